"""Reads CSV tables from others: every fault with its line and column, and nothing mended in silence."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.errors import DataError

MAX_BYTES = 500_000_000  # 16 times the largest table of the public sets
MAX_CELL = 1000  # characters of a cell that is read; (N,) str arrays are as wide as their longest text
MANY = 8192  # rows that are turned into columns at once
NOTHING = ("", "nan")  # what pandas writes for a missing value, beside a blank

_END = "\0end of the table"
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a CSV file.

    Attributes:
        path: the file, for errors.
        line: (N,) int64, the line of the file on which a row begins.
        columns: (N,) str by name in lower case, stripped; those that were asked for and are there.
    """

    path: Path
    line: np.ndarray
    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.line)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def where(self, row: int, column: str = "") -> str:
        """The place of a row, or of one of its cells, for errors."""
        return f"{self.path}: line {self.line[row]}" + (f": {column}" if column else "")

    def select(self, rows: np.ndarray) -> Table:
        """The rows at these positions, or under this mask."""
        return replace(
            self, line=self.line[rows], columns={name: texts[rows] for name, texts in self.columns.items()}
        )

    def text(self, column: str) -> np.ndarray:
        """(N,) str; blank throughout where the file lacks the column."""
        return self.columns[column] if column in self.columns else np.full(len(self), "")

    def filled(self, column: str) -> np.ndarray:
        """(N,) str, none blank or NaN.

        Raises:
            DataError: names the first row without a value.
        """
        texts = self.text(column)
        blank = _is_nothing(texts)
        if blank.any():
            raise _missing(self.where(int(blank.argmax()), column))
        return texts

    def among(self, column: str, meaning: Mapping[str, int]) -> np.ndarray:
        """(N,) int64, what every text means; upper and lower case are the same.

        Raises:
            DataError: names the first row with a text that is not stated.
        """
        kinds, which = self._kinds(column)
        lower = {text.lower(): value for text, value in meaning.items()}
        known = np.array([kind.lower() in lower for kind in kinds])[which]
        if not known.all():
            row = int((~known).argmax())
            stated = ", ".join(text or "blank" for text in meaning)
            raise DataError(
                self.where(row, column),
                f"'{self.text(column)[row]}' is none of {stated}",
                "Correct the table, or take it from the dataset's own site.",
            )
        return np.array([lower[kind.lower()] for kind in kinds], np.int64)[which]

    def _kinds(self, column: str) -> tuple[list[str], np.ndarray]:
        """The texts that occur, and (N,) which of them a row has."""
        place: dict[str, int] = {}
        which = [place.setdefault(text, len(place)) for text in self.text(column).tolist()]
        return list(place), np.array(which, np.int64)

    def number(self, column: str) -> np.ndarray:
        """(N,) float64, NaN where nothing is given.

        Raises:
            DataError: names the first row whose text is no number.
        """
        return self.each(column, number_of)

    def each(self, column: str, read: Callable[[str, str], float]) -> np.ndarray:
        """(N,) float64 of ``read(place, text)``, which is asked once for every text that occurs."""
        texts = self.text(column)
        kinds, first, which = np.unique(texts, return_index=True, return_inverse=True)
        values = [
            read(self.where(int(row), column), str(kind)) for kind, row in zip(kinds, first, strict=True)
        ]
        return np.array(values, np.float64)[which]


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read some columns of a CSV file, in any order and beside any others.

    224,316 rows of CheXpert's 19 columns take about two seconds and 150 MB.

    Raises:
        DataError: missing, empty, too large, not CSV or not UTF-8 (in a column that is read); a column that
            is read is given twice, or a required one not at all; or no row.
    """
    header, rows = _parse(path, required, optional)
    names = [name for name in (*required, *optional) if name in header]
    places = [header.index(name) for name in names]
    lines: list[int] = []
    parts: list[list[np.ndarray]] = [[] for _ in names]
    while some := list(itertools.islice(rows, MANY)):
        lines += [line for line, _ in some]
        for part, name, place in zip(parts, names, places, strict=True):
            texts = [fields[place] if place < len(fields) else "" for _, fields in some]
            part.append(_checked(path, name, some, texts))
    if not lines:
        raise _no_rows(path)
    columns = {name: np.char.strip(np.concatenate(part)) for name, part in zip(names, parts, strict=True)}
    return Table(path, np.array(lines, np.int64), columns)


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file as (place for errors, column -> stripped text); column names in lower case.

    Args:
        optional: columns that are read where they are there; without it, all are.
    Raises:
        DataError: as ``read_columns``.
    """
    header, rows = _parse(path, required, optional)
    wanted = set(header) if optional is None else {*required, *optional}
    places = [(name, place) for place, name in enumerate(header) if name and name in wanted]
    nothing = True
    for line, fields in rows:
        nothing = False
        cells = {name: fields[place].strip() if place < len(fields) else "" for name, place in places}
        for name, cell in cells.items():
            if _UNDECODED.search(cell):
                raise _not_utf8(f"{path}: line {line}: {name}", cell)
        yield f"{path}: line {line}", cells
    if nothing:
        raise _no_rows(path)


def header_of(path: Path) -> list[str]:
    """The names of a table's columns, in lower case, blank ones too."""
    return _parse(path, (), ())[0]


def given(where: str, text: str) -> str:
    """The text, which must not be blank or NaN."""
    if text.lower() in NOTHING:
        raise _missing(where)
    return text


def number_of(where: str, text: str) -> float:
    """A number, NaN where nothing is given.

    Raises:
        DataError: neither.
    """
    try:
        return float("nan") if text.lower() in NOTHING else float(text)
    except ValueError:
        raise DataError(where, f"'{text}' is not a number", "Give a number, or leave it blank.") from None


def _parse(
    path: Path, required: Sequence[str], optional: Sequence[str] | None
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Column names in lower case, and the rows as (line of their beginning, fields)."""
    reader = csv.reader(itertools.chain(io.StringIO(_text(path), newline=""), [_END]))
    header: list[str] = []
    try:
        header = [name.strip().lower() for name in next(reader)]
    except csv.Error as error:
        raise _not_csv(path, 1, error) from None
    if header == [_END]:
        raise DataError(str(path), "is empty", "Download the table again.")
    for name in required:
        if name not in header:
            raise DataError(f"{path}: {name}", "column is missing", _expected(header, required))
    read = header if optional is None else [*required, *optional]
    for name in filter(None, read):
        if header.count(name) > 1:
            raise DataError(f"{path}: {name}", "column is given twice", "Remove or rename one of them.")
    return header, _rows(path, reader)


def _rows(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank; the mark at the end tells whether a quote was left open."""
    line = 2
    try:
        for fields in reader:
            if fields == [_END]:
                return
            if fields and fields[-1].endswith(_END):
                raise DataError(
                    f"{path}: line {line}",
                    "opens a quote that is never closed",
                    "Close it, or download the table again.",
                )
            if any(field and not field.isspace() for field in fields):
                yield line, fields
            line = reader.line_num + 1  # type: ignore[attr-defined]
    except csv.Error as error:
        raise _not_csv(path, line, error) from None


def _text(path: Path) -> str:
    """The file decoded; what is not UTF-8 stays visible, since columns that nobody reads may have some."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        raise DataError(
            str(path), f"cannot be read: {error.strerror}", "Give the dataset's folder."
        ) from None
    if size > MAX_BYTES:
        raise DataError(
            str(path), f"has {size} bytes, expected at most {MAX_BYTES}", "Give the table of pictures."
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(str(path), "is UTF-16, expected UTF-8", "Save it as CSV in UTF-8.")
    return data.decode("utf-8-sig", errors="surrogateescape")


def _checked(
    path: Path, name: str, some: Sequence[tuple[int, list[str]]], texts: Sequence[str]
) -> np.ndarray:
    """(M,) str of one column's cells, none undecoded or longer than ``MAX_CELL``."""
    longest = max(map(len, texts))
    if longest > MAX_CELL:
        line = next(line for (line, _), text in zip(some, texts, strict=True) if len(text) == longest)
        problem = f"has {longest} characters, expected at most {MAX_CELL}"
        raise DataError(f"{path}: line {line}: {name}", problem, "Correct the table.")
    if _UNDECODED.search("".join(texts)):
        row = next(k for k, text in enumerate(texts) if _UNDECODED.search(text))
        raise _not_utf8(f"{path}: line {some[row][0]}: {name}", texts[row])
    return np.array(texts, np.str_)


def _is_nothing(texts: np.ndarray) -> np.ndarray:
    return np.isin(np.char.lower(texts), NOTHING)


def _expected(header: Iterable[str], required: Sequence[str]) -> str:
    columns = f"Expected the columns {', '.join(required)}."
    first = next(iter(header), "")
    other = next((name for mark, name in ((";", "semicolons"), ("\t", "tabs")) if mark in first), "")
    return f"{columns} The file seems to be separated by {other}: save it with commas." if other else columns


def _missing(where: str) -> DataError:
    return DataError(where, "is missing", "Fill it in, or remove the row.")


def _no_rows(path: Path) -> DataError:
    return DataError(str(path), "has no rows", "Give a table with one row per picture.")


def _not_utf8(where: str, text: str) -> DataError:
    shown = text.encode("utf-8", errors="surrogateescape").decode("ascii", errors="backslashreplace")
    return DataError(where, f"'{shown.strip()}' is not UTF-8", "Save the table as CSV in UTF-8.")


def _not_csv(path: Path, line: int, error: Exception) -> DataError:
    return DataError(f"{path}: line {line}", f"is not CSV: {error}", "Save it as CSV again.")
