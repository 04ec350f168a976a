"""Sentences about the tests over all rows: Friedman, power, association, equivalence, variance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.leaderboards.words import measure_title, number, p_equals, percent, points
from benchmark.utils.formatting import listed, plural


def friedman(found: Mapping[str, Any]) -> str:
    """Whether the rows' ranks within the blocks of the design differ at all."""
    if found["reason"] is not None:
        return f"A critical-difference diagram cannot be drawn: {found['reason']}."
    verdict = "the rows differ" if found["p"] < found["alpha"] else "no difference between the rows is shown"
    return (
        f"Friedman's test over {plural(found['blocks'], 'block')}: χ²({found['df']}) = "
        f"{number(found['statistic'])}, {p_equals(found['p'])}, "
        f"Kendall's W {found['kendall_w']:.2f}; {verdict}. "
        f"Rows whose mean ranks lie less than {found['critical_difference']:.2f} apart are joined by a bar: "
        f"Nemenyi's test does not tell them apart at the {percent(found['alpha'], 0)} level."
    )


def associations(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Whether rows with better images help more: a sentence for each measure that has a correlation.

    One more sentence for each reason why others have none.
    """
    said = [_association(name, own) for name, own in sorted(found.items()) if own["rho"] is not None]
    without: dict[str, list[str]] = {}
    for name, own in sorted(found.items()):
        if own["rho"] is None:
            without.setdefault(own["reason"], []).append(measure_title(name))
    return said + [f"No rank correlation for {listed(names)}: {why}." for why, names in without.items()]


def _association(name: str, found: Mapping[str, Any]) -> str:
    reach = f" ({found['reason']})"
    if found["low"] is not None:
        sure = "" if found["low"] * found["high"] > 0 else ", an interval that holds zero"
        reach = f" [{_signed(found['low'])}, {_signed(found['high'])}]{sure}"
    return (
        f"{measure_title(name)}: over {plural(found['n'], 'generator')} Spearman's ρ with the difference to "
        f"real_only is {_signed(found['rho'])}{reach}, {p_equals(found['p'])}; {_expected(found)}."
    )


def _expected(found: Mapping[str, Any]) -> str:
    wanted = "negative" if found["expected_sign"] < 0 else "positive"
    return f"where fidelity foretells utility it is {wanted}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def power(found: Mapping[str, Any]) -> list[str]:
    """The smallest difference to real_only that can be seen, a sentence for each level of power."""
    return [said for level in found["levels"] if (said := _level(found["rows"], level))]


def _level(rows: Mapping[str, Mapping[str, Any]], level: float) -> str:
    each = {name: own[str(level)] for name, own in rows.items() if own.get(str(level)) is not None}
    if not each:
        return ""
    ordered = sorted(each, key=lambda n: (each[n], n))
    least, most = (points(each[n]).lstrip("+") for n in (ordered[0], ordered[-1]))
    span = f"{least} points" if least == most else f"{least} ({ordered[0]}) to {most} points ({ordered[-1]})"
    return f"With {percent(level, 0)} power the smallest difference to real_only that is seen is {span}."


def equivalence(found: Mapping[str, Any]) -> str:
    """What can be said for the claim that a row is no different from real_only."""
    margin = points(found["margin"]).lstrip("+")
    verdict = "shown to lie" if found["equivalent"] else "not shown to lie"
    rope = found["rope"]
    return (
        f"The difference is {verdict} within ±{margin} points (two one-sided tests, "
        f"{p_equals(found['p'])}); {percent(rope['below'], 0)} of its distribution is below, "
        f"{percent(rope['within'], 0)} within and {percent(rope['above'], 0)} above."
    )


def variance(found: Mapping[str, Any]) -> str:
    """How much of the spread between trainings each source brings, the largest first."""
    if found["reason"] is not None:
        return f"The spread cannot be divided among its sources: {found['reason']}."
    each = sorted(found["components"], key=lambda c: (-c["share"], c["source"]))
    parts = [f"{c['source']} {percent(c['share'], 0)} (SD {100 * c['sd']:.1f} points)" for c in each]
    return f"Of the spread between {plural(found['n'], 'value')}: {listed(parts)}."
