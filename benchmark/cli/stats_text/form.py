"""Tables, numbers, p values and intervals as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in aligned columns, the first to the left, the others to the right."""
    cells = [list(head), *[list(r) for r in rows]]
    wide = [max(len(row[k]) for row in cells) for k in range(len(head))]
    lines = []
    for first, *rest in cells:
        right = [c.rjust(w) for c, w in zip(rest, wide[1:], strict=True)]
        lines.append("  ".join([first.ljust(wide[0]), *right]).rstrip())
    return lines


def p_text(p: float | None) -> str:
    """A p value, never as zero."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_is(p: float) -> str:
    """A p value within a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def points(value: float | None) -> str:
    """A difference in hundredths of the metric, with its sign."""
    return "-" if value is None else f"{100 * value:+.1f}"


def amount(value: float) -> str:
    """A wanted difference or a margin, in words."""
    size = f"{100 * value:g}"
    return f"{size} point" if size == "1" else f"{size} points"


def percent(value: float) -> str:
    """A share."""
    return f"{100 * value:.1f} %"


def between(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    """An interval, or nothing."""
    return "no interval" if low is None or high is None else f"{form(low)} to {form(high)}"


def size(value: float | None) -> str:
    """The size of a difference in hundredths of the metric."""
    return "-" if value is None else f"{100 * abs(value):.1f}"


def kruskal(found: Record, what: str, alpha: float) -> str:
    """A sentence on the test of Kruskal and Wallis."""
    if found["p"] is None:
        return f"Kruskal-Wallis: not computed, {found['reason']}."
    said = (
        f"the {what} are not all alike" if found["p"] < alpha
        else f"the {what} were not told apart, which does not show that they are alike"
    )  # fmt: skip
    return (
        f"Kruskal-Wallis: H = {found['statistic']:.2f}, df {found['df']}, {p_is(found['p'])} "
        f"({found['method']}), epsilon-squared {found['epsilon_squared']:.2f}: {said}."
    )


def notes(record: Record) -> list[str]:
    """The notes of a record, after an empty line."""
    return ["", *[f"Note: {note}" for note in record["notes"]]] if record["notes"] else []
