"""Strict reading of a plain CSV: every fault names the file, the line and the column, and says what to do."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from benchmark.errors import SubmissionError

LARGEST = 50_000_000  # bytes of a file
MOST_COLUMNS = 2_000
LONGEST = 200  # characters of a cell


@dataclass(frozen=True, eq=False)
class CsvTable:
    """The cells of a CSV as text, with the line that each row came from.

    Attributes:
        path: of the file, for messages.
        names: of the columns.
        rows: each with as many cells as there are columns, without space around them.
        lines: of each row in the file, from 1.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def fault(self, row: int, column: str, problem: str, remedy: str = "") -> SubmissionError:
        """An error at a cell."""
        return SubmissionError(f"{self.path}: line {self.lines[row]}: {column}", problem, remedy)

    def cells(self, column: str) -> list[str]:
        """The cells of a column; empty where nothing is given."""
        k = self.names.index(column)
        return [row[k] for row in self.rows]

    def texts(self, column: str) -> np.ndarray:
        """(n,) str, none of them empty."""
        found = self.cells(column)
        for i, cell in enumerate(found):
            if not cell:
                raise self.fault(i, column, "is empty, expected a name", "Every line needs one.")
        return np.array(found, dtype=object)

    def choices(self, column: str, allowed: Sequence[str]) -> np.ndarray:
        """(n,) float index into ``allowed``, NaN for an empty cell."""
        found = np.full(len(self), np.nan)
        for i, cell in enumerate(self.cells(column)):
            if cell and cell not in allowed:
                raise self.fault(i, column, f"is '{cell}', expected {' or '.join(allowed)}, or nothing")
            if cell:
                found[i] = allowed.index(cell)
        return found

    def ratings(self, column: str, low: int, high: int) -> np.ndarray:
        """(n,) float whole numbers from ``low`` to ``high``, NaN for an empty cell."""
        allowed = [str(v) for v in range(low, high + 1)]
        found = np.full(len(self), np.nan)
        for i, cell in enumerate(self.cells(column)):
            if cell and cell not in allowed:
                raise self.fault(
                    i, column, f"is '{cell}', expected a whole number from {low} to {high}, or nothing"
                )
            if cell:
                found[i] = int(cell)
        return found

    def numbers(self, column: str) -> np.ndarray:
        """(n,) float finite numbers, none missing."""
        found = np.empty(len(self))
        for i, cell in enumerate(self.cells(column)):
            try:
                found[i] = float(cell)
            except ValueError:
                raise self.fault(i, column, f"is '{cell}', expected a number such as 0.75") from None
            if not math.isfinite(found[i]):
                raise self.fault(i, column, f"is '{cell}', expected a finite number", "Leave the line out.")
        return found

    def unique(self, *columns: str) -> None:
        """Refuse two lines that agree in these columns."""
        seen: dict[tuple[str, ...], int] = {}
        for i, key in enumerate(zip(*(self.cells(c) for c in columns), strict=True)):
            if key in seen:
                what = ", ".join(f"{c} '{v}'" for c, v in zip(columns, key, strict=True))
                raise self.fault(
                    i, columns[-1], f"{what} is there already in line {self.lines[seen[key]]}", "Keep one."
                )
            seen[key] = i

    def constant(self, by: str, column: str) -> None:
        """Refuse two lines that agree in ``by`` and differ in ``column``."""
        first: dict[str, int] = {}
        cells = self.cells(column)
        for i, key in enumerate(self.cells(by)):
            j = first.setdefault(key, i)
            if cells[i] != cells[j]:
                raise self.fault(
                    i, column, f"of {by} '{key}' is '{cells[i]}', in line {self.lines[j]} it is '{cells[j]}'"
                )


def read_csv(path: Path, required: Sequence[str], optional: Collection[str] | None = ()) -> CsvTable:
    """Read a CSV with a header, in UTF-8, with commas.

    Args:
        path: of the file.
        required: columns that must be there.
        optional: columns that may be there; None for any.
    Raises:
        SubmissionError: the file is missing, too large, not UTF-8 or not a table; a column is missing,
            unknown or there twice; a line has too few or too many cells, or one with control characters.
    """
    names, rows, lines = _records(path)
    for i, name in enumerate(names):
        if not name or name in names[:i]:
            what = f"column '{name}' is there twice" if name else f"column {i + 1} has no name"
            raise SubmissionError(f"{path}: line 1", what, "Give every column a name of its own.")
    missing = [name for name in required if name not in names]
    if missing:
        remedy = f"Columns found: {', '.join(names)}."
        if len(names) == 1 and any(mark in names[0] for mark in ";\t"):
            remedy = "Separate the cells with commas."
        raise SubmissionError(f"{path}: line 1", f"column '{missing[0]}' is missing", remedy)
    known = [*required, *(optional or ())]
    for name in names:
        if optional is not None and name not in known:
            close = get_close_matches(name, known, n=1, cutoff=0.5)
            meant = f"Did you mean '{close[0]}'? " if close else ""
            raise SubmissionError(
                f"{path}: line 1", f"unknown column '{name}'", f"{meant}Known: {', '.join(known)}."
            )
    if not rows:
        raise SubmissionError(str(path), "has a header and no line below it", "Add one line per record.")
    return CsvTable(path, tuple(names), tuple(rows), tuple(lines))


def _records(path: Path) -> tuple[list[str], list[tuple[str, ...]], list[int]]:
    """The header, and the rows that are not blank with their lines."""
    content = _content(path)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}: line {reader.line_num}"
            row = tuple(_clean(cell, where) for cell in cells)
            if not names:
                names = list(row)
                if len(names) > MOST_COLUMNS:
                    raise SubmissionError(where, f"has {len(names)} columns, at most {MOST_COLUMNS} are read")
                continue
            if len(row) != len(names):
                raise SubmissionError(
                    where, f"has {len(row)} cells, expected {len(names)}, as many as the header has",
                    "Put a text that holds a comma in double quotes.",
                )  # fmt: skip
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise SubmissionError(
            f"{path}: line {reader.line_num}", f"is not CSV: {error}", "Save the table as CSV with commas."
        ) from None
    if not names:
        raise SubmissionError(str(path), "is empty", "Its first line names the columns.")
    return names, rows, lines


def _content(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > LARGEST:
            raise SubmissionError(str(path), f"has more than {LARGEST} bytes", "Divide it.")
        return path.read_text(encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise SubmissionError(
            str(path), f"cannot be read: {error.strerror or error}", "Give the path of a CSV."
        ) from None
    except UnicodeDecodeError as error:
        raise SubmissionError(
            str(path), f"is not UTF-8 at byte {error.start}", "Save the table as CSV in UTF-8."
        ) from None


def _clean(cell: str, where: str) -> str:
    text = cell.strip()
    if len(text) > LONGEST:
        raise SubmissionError(where, f"a cell has {len(text)} characters, at most {LONGEST} are read")
    if not text.isprintable():
        raise SubmissionError(where, f"cell {text!r} holds control characters", "Take them out.")
    return text
