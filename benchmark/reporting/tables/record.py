"""Tables independent of their layout: keys, cells and a caption."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.reporting.formats import DASH
from benchmark.utils.formatting import points

Form = Literal["percent", "decimal", "points", "number"]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One figure with its uncertainty."""

    value: float | None = None  # a fraction, a difference of fractions, or a number, by the column's form
    std: float | None = None  # sample standard deviation over n trainings or folds
    low: float | None = None  # interval at the task's level
    high: float | None = None
    n: int | None = None
    p_adjusted: float | None = None  # of the difference to the baseline, in the family that the caption names
    bold: bool = False  # significant by p_adjusted
    text: str | None = None  # printed in place of the figures


@dataclass(frozen=True)
class Column:
    """A column: its key, one text per level of the head, and the format of its figures."""

    key: Key
    form: Form = "percent"


@dataclass(frozen=True, eq=False)
class Table:
    """A table with everything that a writer needs."""

    name: str  # of the files
    title: str
    caption: str  # content, paper table that it follows, and data
    row_heads: Key  # this and the next: names of the levels of the keys
    column_heads: Key
    columns: tuple[Column, ...]
    cells: Mapping[tuple[Key, Key], Cell]  # by row key and column key; an absent one is printed as a dash
    rows: tuple[Key, ...] = ()  # keys in order, one text per level; by default in the order of ``cells``
    notes: tuple[str, ...] = ()  # printed below the table

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.rows or tuple(dict.fromkeys(row for row, _ in self.cells)))

    def cell(self, row: Key, column: Column) -> Cell:
        """Return the cell, or an empty one."""
        return self.cells.get((row, column.key), Cell())


@dataclass(frozen=True)
class LeftOut:
    """A table or figure that the data do not admit, with the reason."""

    name: str
    reason: str


def figure_cell(record: Any, alpha: float | None = None) -> Cell:
    """Return the cell of a record with ``estimate``, and perhaps an interval, ``std``, ``n`` and ``versus``.

    The cell is bold if ``versus.p_adjusted`` is below ``alpha``.
    """
    versus = getattr(record, "versus", None)
    p = versus.p_adjusted if versus else None
    optional = {name: getattr(record, name, None) for name in ("std", "low", "high", "n")}
    return Cell(
        record.estimate, **optional, p_adjusted=p, bold=alpha is not None and p is not None and p < alpha
    )


def shown(cell: Cell, form: Form) -> str:
    """Format a cell: ``67.30 ± 1.20``, ``0.673 [0.640, 0.705]``, ``+0.50``, a text or a dash."""
    if cell.text is not None:
        return cell.text
    if cell.value is None:
        return DASH
    text = _number(cell.value, form)
    if cell.std is not None:
        return f"{text} ± {_number(cell.std, form, plain=True)}"
    if cell.low is not None and cell.high is not None:
        return f"{text} [{_number(cell.low, form)}, {_number(cell.high, form)}]"
    return text


def _number(value: float, form: Form, plain: bool = False) -> str:
    if form == "points" and not plain:
        return points(value, 2)
    if form in ("percent", "points"):
        return _signed(f"{100 * value:.2f}")
    return _signed(f"{value:.0f}" if form == "number" else f"{value:.3f}")


def _signed(text: str) -> str:
    return text.replace("-", "−") if float(text) else text.replace("-", "")
