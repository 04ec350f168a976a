"""How a row compares with the baselines, test by test, as terms and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.leaderboards.statistic_words import equivalence
from benchmark.reporting.leaderboards.view import Line, View
from benchmark.reporting.leaderboards.words import number, p_equals, spread
from benchmark.utils.formatting import listed, plural

Item = tuple[str, str]


def compared(view: View, line: Line) -> list[Item]:
    """Every test of a row at the primary bracket; nothing for a failed row.

    McNemar's test, DeLong's and that of equivalence are against real_only.
    """
    if line.figures is None:
        return []
    found = [_against(view, line, base) for base in line.figures["versus"]]
    difference = view.difference(line)
    if difference:
        found.append(("Equivalent?", equivalence(difference["equivalence"])))
        found.append(("Would take", needed_in_words(view.comparison["power"]["needed"][line.name])))
    if line.figures["mcnemar"]:
        found += _mcnemar(line.figures["mcnemar"])
    if line.figures["delong"]:
        found.append(("DeLong", _delong(line.figures["delong"])))
    return found


def _against(view: View, line: Line, base: str) -> Item:
    difference = view.difference(line, base)
    assert difference is not None
    p = p_equals(difference["p_adjusted"])
    return f"Against {base}", f"{spread(difference, view.metric['noun'])}, adjusted {p}"


def needed_in_words(found: Mapping[str, Any]) -> str:
    """What it would take to find a true difference as large as the one that was found."""
    enough = [plural(found[what], what[:-1]) for what in ("runs", "patients") if found[what] is not None]
    wanted = f"to find a difference of {100 * found['difference']:.1f} points"
    said = f"{' or '.join(enough)} {wanted}" if enough else f"More than any number {wanted}"
    return f"{said}; {found['reason']}." if found["reason"] else f"{said}."


def _mcnemar(found: Mapping[str, Any]) -> list[Item]:
    counts = f"{found['gained']} images gained, {found['lost']} lost"
    by_patient = found["clustered"]
    return [
        ("McNemar", f"{counts}: adjusted {p_equals(found['p_adjusted'])} ({found['method']})"),
        (
            "McNemar by patient",
            f"{plural(by_patient['patients'], 'patient')}: adjusted {p_equals(by_patient['p_adjusted'])} "
            f"({by_patient['method']})",
        ),
    ]


def _delong(found: Mapping[str, Any]) -> str:
    """Of the scores averaged over trainings."""
    if found["low"] is None:
        return f"{number(100 * found['difference'])} points of AUROC ({found['reason']})"
    ends = {"estimate": found["difference"], "low": found["low"], "high": found["high"]}
    why = [found["reason"]] if found["reason"] else []
    return f"{spread(ends, 'AUROC')}, {listed(['adjusted ' + p_equals(found['p_adjusted']), *why])}"
