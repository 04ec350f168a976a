"""The reader of all CSV files: UTF-8, commas, a header; nothing is corrected silently."""

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmark.errors import unknown_name
from benchmark.utils.csv_table import METADATA, CsvRules, CsvTable

MOST_COLUMNS = 2_000
BATCH = 8192  # records that are turned into columns at once
LISTED = 20  # column names in a message

_END = "\0end of the table"
_UNDECODED = re.compile("[\udc80-\udcff]")
Record = tuple[int, list[str]]  # line on which it begins, fields


def read_csv(
    path: Path,
    required: Sequence[str],
    optional: Collection[str] | None = (),
    rules: CsvRules = METADATA,
) -> CsvTable:
    """Read columns of a CSV file, in any order.

    224,316 records of CheXpert's 19 columns take about two seconds and 150 MB.

    Args:
        required: columns that the file must have.
        optional: columns that it may have; None for any.
    Raises:
        BenchmarkError: of the class ``rules.error``: the file is missing, empty, too large, no CSV or, in a
            column that is read, not UTF-8; a required column is missing, a column that is read is there
            twice; there is no record; or what strict rules refuse, see ``CsvRules``.
    """
    line, header, records = _parse(path, rules)
    names = _names(f"{path}: line {line}", header, required, optional, rules)
    places = [header.index(name) for name in names]
    lines: list[int] = []
    parts: list[list[np.ndarray]] = [[] for _ in names]
    while batch := list(itertools.islice(records, BATCH)):
        if rules.strict:
            _refuse_other_widths(path, batch, header, rules)
        lines += [line for line, _ in batch]
        for part, name, place in zip(parts, names, places, strict=True):
            texts = [fields[place].strip() if place < len(fields) else "" for _, fields in batch]
            _check_cells(path, name, batch, texts, rules)
            part.append(np.array(texts, np.str_))
    if not lines:
        raise rules.error(str(path), "has a header and no records", "Add one line per record.")
    columns = {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}
    return CsvTable(path, np.array(lines, np.int64), columns, rules)


def header_of(path: Path) -> list[str]:
    """Return the names of all columns of a metadata table, in lower case; an unnamed column is blank."""
    return _parse(path, METADATA)[1]


def _parse(path: Path, rules: CsvRules) -> tuple[int, list[str], Iterator[Record]]:
    """Return the line and the names of the header, and the records below it."""
    records = _records(path, rules)
    first = next(records, None)
    if first is None:
        raise rules.error(
            str(path), "is empty", "The first line names the columns; download the table again."
        )
    line, fields = first
    names = [name.strip() if rules.strict else name.strip().lower() for name in fields]
    return line, names, records


def _records(path: Path, rules: CsvRules) -> Iterator[Record]:
    """Yield the records that are not blank; the mark at the end shows if a quote was left open."""
    lines = itertools.chain(io.StringIO(_content(path, rules), newline=""), [_END])
    reader = csv.reader(lines, strict=rules.strict)
    line = 1
    try:
        for fields in reader:
            if fields == [_END]:
                return
            if fields and fields[-1].endswith(_END):
                problem = "opens a quote that is never closed"
                raise rules.error(f"{path}: line {line}", problem, "Close it, or download the table again.")
            if any(field and not field.isspace() for field in fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        where = f"{path}: line {line}"
        raise rules.error(where, f"is not CSV: {error}", "Save the table as CSV with commas.") from None


def _content(path: Path, rules: CsvRules) -> str:
    """Decode the file; bytes that are not UTF-8 stay visible, since unread columns may have some."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= rules.most_bytes else b""
    except OSError as error:
        remedy = "Give the path of a CSV file in the dataset's folder."
        raise rules.error(str(path), f"cannot be read: {error.strerror or error}", remedy) from None
    if size > rules.most_bytes:
        problem = f"has {size} bytes, expected at most {rules.most_bytes}"
        raise rules.error(str(path), problem, "Divide it, or give the table of images.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise rules.error(str(path), "is UTF-16, expected UTF-8", "Save it as CSV in UTF-8.")
    return content.decode("utf-8-sig", errors="surrogateescape")


def _names(
    where: str, header: list[str], required: Sequence[str], optional: Collection[str] | None, rules: CsvRules
) -> list[str]:
    """Return the columns to read, after checking the header."""
    for name in required:
        if name not in header:
            raise rules.error(f"{where}: {name}", "column is missing", _remedy(header, required))
    every = rules.strict or optional is None
    read = header if every else [n for n in (*required, *(optional or ())) if n in header]
    if len(read) > MOST_COLUMNS:
        raise rules.error(where, f"has {len(read)} columns, at most {MOST_COLUMNS} are read")
    for k, name in enumerate(read, start=1):
        if not name and rules.strict:
            raise rules.error(where, f"column {k} has no name", "Name every column.")
        if rules.strict and (len(name) > rules.longest_cell or not name.isprintable()):
            problem = f"column name {name[:40]!r} is too long or contains control characters"
            raise rules.error(where, problem, "Rename it.")
        if name and header.count(name) > 1:
            raise rules.error(f"{where}: {_printable(name)}", "column is there twice", "Rename one of them.")
        if rules.strict and optional is not None and name not in (*required, *optional):
            error = unknown_name("column", _printable(name), [*required, *optional], where)
            raise rules.error(error.where, error.problem, error.remedy)
    return [name for name in read if name]


def _remedy(header: Sequence[str], required: Sequence[str]) -> str:
    present = ", ".join(map(_printable, header[:LISTED])) + (", ..." if len(header) > LISTED else "")
    expected = f"Expected the columns {', '.join(required)}; the file has {present}."
    return f"{expected} {_separated(header)}".rstrip()


def _separated(fields: Sequence[str]) -> str:
    """Return the remedy for a record whose cells another mark than the comma separates, or no text."""
    for mark, name in {";": "Semicolons", "\t": "Tabs", "|": "Vertical bars"}.items():
        if mark in fields[0]:
            return f"{name} seem to separate the cells: use commas, and points in decimal numbers."
    return ""


def _refuse_other_widths(path: Path, batch: Sequence[Record], header: Sequence[str], rules: CsvRules) -> None:
    for line, fields in batch:
        if len(fields) != len(header):
            problem = f"has {len(fields)} cells, expected {len(header)} as in the header"
            quotes = "Put a text that contains a comma in double quotes."
            remedy = _separated(header) or _separated(fields) or quotes
            raise rules.error(f"{path}: line {line}", problem, remedy)


def _check_cells(
    path: Path, name: str, batch: Sequence[Record], texts: Sequence[str], rules: CsvRules
) -> None:
    """Refuse texts that are too long, not UTF-8 or, by strict rules, not printable."""
    together = "".join(texts)
    valid = together.isprintable() if rules.strict else not _UNDECODED.search(together)
    if valid and max(map(len, texts)) <= rules.longest_cell:
        return
    for (line, _), text in zip(batch, texts, strict=True):
        where = f"{path}: line {line}: {name}"
        if len(text) > rules.longest_cell:
            problem = f"has {len(text)} characters, expected at most {rules.longest_cell}"
            raise rules.error(where, problem, "Correct the table.")
        if _UNDECODED.search(text):
            raise rules.error(where, f"'{_printable(text)}' is not UTF-8", "Save the table as CSV in UTF-8.")
        if rules.strict and not text.isprintable():
            raise rules.error(where, f"cell {text!r} contains control characters", "Remove them.")


def _printable(text: str) -> str:
    """Show bytes that are not UTF-8 as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if text else ""
