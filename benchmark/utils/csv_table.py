"""Columns of a CSV file with typed access; every error names the file, the line and the column."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, DataError, SubmissionError
from benchmark.utils.missing import is_missing, missing_as


@dataclass(frozen=True)
class CsvRules:
    """Limits and strictness of reading a CSV file.

    Attributes:
        error: class of the errors.
        strict: read every column, and refuse unknown or unnamed columns, records of another width than the
            header, text behind a closing quote, and control characters. Otherwise column names are read in
            lower case, and columns that are not requested may hold anything.
        most_bytes: size of a file.
        longest_cell: characters of a cell that is read; (N,) str arrays are as wide as their longest text.
        blank: texts, in lower case, that stand for a missing value.
    """

    error: type[BenchmarkError]
    strict: bool
    most_bytes: int
    longest_cell: int
    blank: tuple[str, ...]


# 500 MB is 16 times the largest table of the public datasets; pandas writes "nan" for a missing value
METADATA = CsvRules(DataError, False, 500_000_000, 1000, ("", "nan"))
SUBMITTED = CsvRules(SubmissionError, True, 50_000_000, 200, ("",))


@dataclass(frozen=True, eq=False)
class CsvTable:
    """Columns of a CSV file.

    Attributes:
        path: the file, for errors.
        lines: (N,) int64, the line of the file on which a record begins, from 1.
        columns: (N,) str by name, without space around the texts.
        rules: with which the file was read.
    """

    path: Path
    lines: np.ndarray
    columns: Mapping[str, np.ndarray]
    rules: CsvRules = METADATA

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that were read."""
        return tuple(self.columns)

    def where(self, index: int, column: str = "") -> str:
        """Return the location of a record, or of one of its cells, for errors."""
        return f"{self.path}: line {self.lines[index]}" + (f": {column}" if column else "")

    def fault(self, index: int, column: str, problem: str, remedy: str = "") -> BenchmarkError:
        """Return an error at a cell."""
        return self.rules.error(self.where(index, column), problem, remedy)

    def select(self, index: np.ndarray) -> CsvTable:
        """Return the records at these indices, or under this mask."""
        columns = {name: texts[index] for name, texts in self.columns.items()}
        return replace(self, lines=self.lines[index], columns=columns)

    def records(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the location of every record and its texts by column."""
        for index, texts in enumerate(zip(*(c.tolist() for c in self.columns.values()), strict=True)):
            yield self.where(index), dict(zip(self.columns, texts, strict=True))

    def text(self, column: str) -> np.ndarray:
        """Return (N,) str, all blank if the file lacks the column."""
        return self.columns[column] if column in self.columns else np.full(len(self), "")

    def filled(self, column: str) -> np.ndarray:
        """Return (N,) str; raise an error if one is blank."""
        texts = self.text(column)
        blank = np.isin(np.char.lower(texts), self.rules.blank)
        if blank.any():
            raise self.fault(int(blank.argmax()), column, "is missing", "Fill it in, or remove the record.")
        return texts

    def identifiers(self, column: str) -> np.ndarray:
        """Return (N,) str; raise an error if one is missing, in any spelling of ``missing``.

        All images of an ``NA`` would count as one patient.
        """
        missing = self.each(column, lambda where, text: is_missing(text))
        if missing.any():
            k = int(missing.argmax())
            problem = missing_as(str(self.text(column)[k]))
            raise self.fault(k, column, problem, "Fill it in, or remove the record.")
        return self.text(column)

    def each(self, column: str, read: Callable[[str, str], Any]) -> np.ndarray:
        """Return (N,) values of ``read(location, text)``, called once per distinct text."""
        texts = self.text(column).tolist()
        first: dict[str, int] = {}
        for index, text in enumerate(texts):
            first.setdefault(text, index)
        values = {text: read(self.where(index, column), text) for text, index in first.items()}
        return np.array([values[text] for text in texts])

    def numbers(self, column: str) -> np.ndarray:
        """Return (N,) finite float64; raise an error if one is missing or is no finite number."""

        def read(where: str, text: str) -> float:
            try:
                number = plain_float(text)
            except ValueError:
                raise self.rules.error(where, f"is '{text}', expected a number such as 0.75") from None
            if not math.isfinite(number):
                raise self.rules.error(where, f"is '{text}', expected a finite number", "Remove the record.")
            return number

        return self.each(column, read)

    def numbers_or_nan(self, column: str) -> np.ndarray:
        """Return (N,) float64, NaN for a missing value; raise an error for a text that is no number."""
        return self.each(column, number_or_nan)

    def among(self, column: str, meaning: Mapping[str, Any]) -> np.ndarray:
        """Return (N,) the meaning of every text, without regard to case.

        If ``meaning`` has a blank text, every spelling of a missing value has its meaning.
        """
        lower = {text.lower(): value for text, value in meaning.items()}

        def read(where: str, text: str) -> Any:
            if text.lower() not in lower and is_missing(text) and "" in lower:
                return lower[""]
            if text.lower() not in lower:
                stated = ", ".join(text or "blank" for text in meaning)
                problem = f"'{text}' is not one of {stated}"
                remedy = "Correct the table, or download it again from the dataset's site."
                raise self.rules.error(where, problem, remedy)
            return lower[text.lower()]

        return self.each(column, read)

    def choices(self, column: str, allowed: Sequence[str], expected: str = "") -> np.ndarray:
        """Return (N,) float64 index into ``allowed``, NaN for a blank cell."""
        values = {"": math.nan, **{text: k for k, text in enumerate(allowed)}}

        def read(where: str, text: str) -> float:
            if text not in values:
                wanted = expected or " or ".join(allowed)
                raise self.rules.error(where, f"is '{text}', expected {wanted}, or nothing")
            return values[text]

        return self.each(column, read).astype(np.float64)

    def ratings(self, column: str, low: int, high: int) -> np.ndarray:
        """Return (N,) float64 whole numbers from ``low`` to ``high``, NaN for a blank cell."""
        allowed = [str(number) for number in range(low, high + 1)]
        return low + self.choices(column, allowed, f"a whole number from {low} to {high}")

    def unique(self, *columns: str) -> None:
        """Raise an error if two records agree in these columns."""
        seen: dict[tuple[str, ...], int] = {}
        for index, key in enumerate(zip(*(self.text(c).tolist() for c in columns), strict=True)):
            if key in seen:
                cells = ", ".join(f"{c} '{v}'" for c, v in zip(columns, key, strict=True))
                problem = f"{cells} is already in line {self.lines[seen[key]]}"
                raise self.fault(index, columns[-1], problem, "Keep one.")
            seen[key] = index

    def constant(self, by: str, column: str) -> None:
        """Raise an error if two records agree in ``by`` and differ in ``column``."""
        first: dict[str, int] = {}
        texts = self.text(column)
        for index, key in enumerate(self.text(by).tolist()):
            other = first.setdefault(key, index)
            if texts[index] != texts[other]:
                line = self.lines[other]
                problem = f"of {by} '{key}' is '{texts[index]}', in line {line} it is '{texts[other]}'"
                raise self.fault(index, column, problem)


def plain_float(text: str) -> float:
    """Return a number; raise ValueError for a text that is none, or that only Python reads, as ``0_75``."""
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return float(text)


def required_text(where: str, text: str) -> str:
    """Return a text; raise DataError if it is blank or NaN."""
    if text.lower() in METADATA.blank:
        raise DataError(where, "is missing", "Fill it in, or remove the record.")
    return text


def required_id(where: str, text: str) -> str:
    """Return an identifier; raise DataError if it is missing, in any spelling of ``missing``."""
    if is_missing(text):
        raise DataError(where, missing_as(text), "Fill it in, or remove the record.")
    return text


def number_or_nan(where: str, text: str) -> float:
    """Return a number, NaN for a missing value; raise DataError for any other text."""
    try:
        return math.nan if is_missing(text) else plain_float(text)
    except ValueError:
        raise DataError(where, f"'{text}' is not a number", "Give a number, or leave it blank.") from None
