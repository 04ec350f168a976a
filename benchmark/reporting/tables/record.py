"""A table before anybody laid it out: keys, cells, a caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.reporting.leaderboards.words import NONE, points

Form = Literal["percent", "decimal", "points", "number"]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One figure.

    Attributes:
        value: as a share (1 is 100 %), a difference of shares, or a number, by the column's form.
        std: sample standard deviation over ``n`` trainings or folds.
        low, high: interval at the task's level.
        p_adjusted: of the difference to the baseline, within the family that the caption names.
        bold: significant by ``p_adjusted``.
        text: shown in place of the figures.
    """

    value: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p_adjusted: float | None = None
    bold: bool = False
    text: str | None = None


@dataclass(frozen=True)
class Column:
    """A column: its key, one text per level of the head, and how its figures are shown."""

    key: Key
    form: Form = "percent"


@dataclass(frozen=True, eq=False)
class Table:
    """A table with everything that a writer needs.

    Attributes:
        name: of the files.
        title: a few words.
        caption: what it shows, after which table, on what data.
        row_heads, column_heads: names of the levels of the keys.
        rows: in order; each key has a text per level.
        cells: by row key and column key; one that is absent is shown as a dash.
        notes: below the table.
    """

    name: str
    title: str
    caption: str
    row_heads: Key
    column_heads: Key
    rows: tuple[Key, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[Key, Key], Cell]
    notes: tuple[str, ...] = ()

    def cell(self, row: Key, column: Column) -> Cell:
        """The cell, or an empty one."""
        return self.cells.get((row, column.key), Cell())


@dataclass(frozen=True)
class LeftOut:
    """A table or figure that the data do not admit, and why."""

    name: str
    reason: str


def figure_cell(record: Mapping[str, Any], alpha: float | None = None, *, spread: bool = True) -> Cell:
    """A cell of a record with ``estimate`` and perhaps ``low``, ``high``, ``std``, ``n``, ``versus``.

    Args:
        alpha: bold where ``versus.p_adjusted`` is below it; None for never.
        spread: whether the standard deviation is kept; without it the interval is shown.
    """
    versus = record.get("versus") or {}
    p = versus.get("p_adjusted")
    return Cell(
        value=record["estimate"],
        std=record.get("std") if spread else None,
        low=record.get("low"),
        high=record.get("high"),
        n=record.get("n"),
        p_adjusted=p,
        bold=alpha is not None and p is not None and p < alpha,
    )


def shown(cell: Cell, form: Form) -> str:
    """The cell as a reader sees it: ``67.3 ± 1.2``, ``0.673 [0.640, 0.705]``, ``+0.5``, a text or a dash."""
    if cell.text is not None:
        return cell.text
    if cell.value is None:
        return NONE
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
