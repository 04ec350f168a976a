"""The statistics of a leaderboard as sections of its Markdown page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.leaderboards import statistic_words, words
from benchmark.reporting.leaderboards.compared import compared
from benchmark.reporting.leaderboards.markdown_table import tabulated
from benchmark.reporting.leaderboards.view import View
from benchmark.reporting.leaderboards.words import markdown as md
from benchmark.utils.formatting import listed


def statistics(view: View, record: str) -> list[str]:
    """What could have been seen, what is shown to be no different, and every test.

    Args:
        record: name of the file that holds what is too long for the page.
    """
    return [*_power(view), *_equivalence(view), "## Tests over all rows", _tests(view, record), _each(view)]


def _power(view: View) -> list[str]:
    power = view.comparison["power"]
    if not power["rows"]:
        return []
    seen = [f"Seen with {words.percent(level, 0)} power" for level in power["levels"]]
    head = ["Row", "vs real\\_only", *seen, "Trainings to see it", "Patients to see it"]
    rows = []
    for line in view.lines:
        if (own := power["rows"].get(line.name)) is not None:
            difference, needed = view.difference(line), power["needed"].get(line.name) or {}
            found = words.points(difference["estimate"]) if difference else words.NONE
            each = [_points(own.get(str(level))) for level in power["levels"]]
            enough = [str(needed.get(what) or "no number") for what in ("runs", "patients")]
            rows.append([md(line.name), found, *each, *enough])
    said = "\n".join(f"- {md(s)}" for s in statistic_words.power(power))
    text = "The last two columns: how many trainings, or test patients, it would take to see what was found."
    return ["## What could have been seen", said, text, tabulated(head, rows)]


def _points(value: float | None) -> str:
    return words.NONE if value is None else f"±{100 * value:.1f}"


def _equivalence(view: View) -> list[str]:
    """ "No difference" is claimed where it is shown, and nowhere else."""
    rows, margin = [], 0.0
    for line in view.lines:
        if difference := view.difference(line):
            found = difference["equivalence"]
            margin, rope = found["margin"], found["rope"]
            shares = [words.percent(rope[part], 0) for part in ("below", "within", "above")]
            shown = "**shown**" if found["equivalent"] else "not shown"
            rows.append([md(line.name), shown, md(words.p_value(found["p"])), *shares])
    if not rows:
        return []
    text = (
        f"Whether the true difference to real\\_only lies within ±{100 * margin:.1f} points: two one-sided "
        "tests, and the shares of its distribution below, within and above. Not shown is no claim."
    )
    head = ["Row", "No different", "p", "Below", "Within", "Above"]
    return ["## No different from real\\_only?", text, tabulated(head, rows)]


def _tests(view: View, record: str) -> str:
    comparison = view.comparison
    said = [
        _kruskal_wallis(comparison["kruskal_wallis"], record),
        md(statistic_words.friedman(comparison["friedman"])),
        md(statistic_words.variance(comparison["variance"])),
        *map(md, statistic_words.associations(comparison["association"])),
    ]
    if comparison["friedman"]["reason"] is None:
        said.insert(2, _mean_ranks(comparison["friedman"]))
    return "\n".join(f"- {s}" for s in said)


def _kruskal_wallis(found: Mapping[str, Any], record: str) -> str:
    if found["p"] is None:
        return f"Kruskal-Wallis cannot be computed: {md(found['reason'])}."
    return (
        f"Kruskal-Wallis over {found['n']} trainings: H({found['df']}) = {words.number(found['statistic'])}, "
        f"{md(words.p_equals(found['p']))}, ε² = {found['epsilon_squared']:.2f}. "
        f"Dunn's post hoc test of all pairs, and Nemenyi's, are in {md(record)}."
    )


def _mean_ranks(found: Mapping[str, Any]) -> str:
    """The critical-difference diagram in words."""
    ranks = sorted(found["mean_ranks"].items(), key=lambda r: (r[1], r[0]))
    joined = [listed(clique) for clique in found["cliques"] if len(clique) > 1]
    each = ", ".join(f"{md(name)} {rank:.2f}" for name, rank in ranks)
    bars = f" Not told apart: {md('; '.join(joined))}." if joined else ""
    return f"Mean ranks, 1 is best: {each}.{bars}"


def _each(view: View) -> str:
    """Every test of every row, folded away."""
    rows = [
        [md(line.name), md(test), md(result)] for line in view.lines for test, result in compared(view, line)
    ]
    table = tabulated(["Row", "Test", "Result"], rows)
    return f"<details><summary>Every test of each row</summary>\n\n{table}\n\n</details>"
