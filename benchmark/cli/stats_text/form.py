"""Tables, numbers, p-values and intervals as text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmark.reporting.formats import DASH, p_equals

Record = Mapping[str, Any]


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Align columns, the first to the left, the others to the right."""
    cells = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in cells
    )
    return ["  ".join(line).rstrip() for line in lines]


def number(value: float | None, digits: int = 3) -> str:
    """Format a number, or a dash for None."""
    return DASH if value is None else f"{value:.{digits}f}"


def two_digits(value: float) -> str:
    """Format a number with two digits."""
    return number(value, 2)


def size(value: float | None) -> str:
    """Format the size of a difference in hundredths of the metric."""
    return DASH if value is None else f"{100 * abs(value):.1f}"


def amount(value: float) -> str:
    """Format a given difference or margin within a sentence."""
    hundredths = f"{100 * value:g}"
    return f"{hundredths} point" if hundredths == "1" else f"{hundredths} points"


def between(low: float | None, high: float | None, form: Callable[[float], str]) -> str:
    """Format an interval, or its absence."""
    return "no interval" if low is None or high is None else f"{form(low)} to {form(high)}"


def kruskal(test: Record, items: str, alpha: float) -> str:
    """Describe the result of a Kruskal-Wallis test of the items."""
    if test["p"] is None:
        return f"Kruskal-Wallis: not computed, {test['reason']}."
    conclusion = (
        f"at least two of the {items} differ" if test["p"] < alpha
        else f"no significant difference, which does not show that the {items} are equal"
    )  # fmt: skip
    return (
        f"Kruskal-Wallis: H = {test['statistic']:.2f}, df {test['df']}, {p_equals(test['p'])} "
        f"({test['method']}), epsilon-squared {test['epsilon_squared']:.2f}: {conclusion}."
    )


def dunn(items: str, settings: Record, suffix: str = "") -> str:
    """Explain the letters."""
    return (
        f"{items} that share a letter do not differ significantly (Dunn's test, {settings['correction']}, "
        f"alpha {settings['alpha']:g}){suffix}."
    )


def notes(record: Record) -> list[str]:
    """Format the notes of a record, after an empty line."""
    return ["", *[f"Note: {note}" for note in record["notes"]]] if record["notes"] else []
