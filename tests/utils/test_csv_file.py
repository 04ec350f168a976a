"""Strict reading of CSV: every fault names file, line and column."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import SubmissionError
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import SUBMITTED


def table(folder, text, required=("a", "b"), optional=("c",), rules=SUBMITTED):
    """Read a text as a file."""
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path, required, optional, rules)


def test_cells_keep_their_lines(tmp_path):
    """Blank lines and a byte order mark are skipped; a quoted text may have a comma and a line break."""
    result = table(tmp_path, '\ufeffa,b\n\n1, x \n\n2,"y, z"\n')
    assert result.names == ("a", "b")
    assert result.text("b").tolist() == ["x", "y, z"]
    assert result.lines.tolist() == [3, 5]
    assert result.numbers("a").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "no records"),
        ("a;b\n1;2\n", "Semicolons seem to separate the cells"),
        ("a\n1\n", "line 1: b: column is missing"),
        ("a,b,a\n1,2,3\n", "line 1: a: column is there twice"),
        ("a,b,\n1,2,3\n", "column 3 has no name"),
        ("a,b,cc\n1,2,3\n", "unknown column 'cc'\n.*Did you mean 'c'"),
        ("a,b\n1,2\n1\n", "line 3: has 1 cells, expected 2"),
        ('a,b\n1,"2\n', "is not CSV"),
        ("a,b\n1,\x07\n", "line 2: b: cell .* control characters"),
        (b"a,b\n1,\xff\n", r"line 2: b: '\\xff' is not UTF-8"),
        ("a,b\n1," + "x" * 201 + "\n", "201 characters, expected at most 200"),
        ("a,b," + ",".join(f"x{i}" for i in range(2000)) + "\n", "2002 columns"),
    ],
)
def test_files_that_are_not_tables_are_refused(tmp_path, text, message):
    """Each fault has its own message."""
    with pytest.raises(SubmissionError, match=message):
        table(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """The error names a missing file, a folder, or a file that is too large."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(SubmissionError, match="cannot be read"):
            read_csv(path, ("a",), rules=SUBMITTED)
    with pytest.raises(SubmissionError, match="has 8 bytes, expected at most 3"):
        table(tmp_path, "a,b\n1,2\n", rules=replace(SUBMITTED, most_bytes=3))


@pytest.mark.parametrize(
    ("cell", "read", "message"),
    [
        ("", lambda t: t.filled("b"), "is missing"),
        ("x", lambda t: t.numbers("b"), "is 'x', expected a number"),
        ("nan", lambda t: t.numbers("b"), "expected a finite number"),
        ("1e999", lambda t: t.numbers("b"), "expected a finite number"),
        ("6", lambda t: t.ratings("b", 1, 5), "is '6', expected a whole number from 1 to 5"),
        ("4.5", lambda t: t.ratings("b", 1, 5), "is '4.5', expected a whole number"),
        ("maybe", lambda t: t.choices("b", ("real", "fake")), "expected real or fake"),
    ],
)
def test_a_wrong_cell_is_named(tmp_path, cell, read, message):
    """The message begins with file, line and column."""
    with pytest.raises(SubmissionError, match=rf"t\.csv: line 3: b: .*{re.escape(message)}"):
        read(table(tmp_path, f"a,b\n1,{'real' if cell == 'maybe' else 1}\n2,{cell}\n"))


def test_missing_answers_are_nan(tmp_path):
    """An empty cell is a missing answer, NaN."""
    result = table(tmp_path, "a,b,c\n5,real,x\n,,y\n")
    assert np.array_equal(result.ratings("a", 1, 5), [5, np.nan], equal_nan=True)
    assert np.array_equal(result.choices("b", ("real", "fake")), [0, np.nan], equal_nan=True)


def test_lines_that_contradict_are_refused(tmp_path):
    """A repeated key is refused, with the same value or another; the error names both lines."""
    result = table(tmp_path, "a,b\n1,x\n2,y\n1,y\n")
    with pytest.raises(SubmissionError, match="line 4: a: a '1' is already in line 2"):
        result.unique("a")
    with pytest.raises(SubmissionError, match="line 4: b: of a '1' is 'y', in line 2 it is 'x'"):
        result.constant("a", "b")
    result.unique("a", "b")


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=80) | st.text(alphabet='ab,"\n\r;\t1.\x00é', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    """Any file gives a table of the header's width or an error with a location."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(content)
    with suppress(SubmissionError):
        result = read_csv(path, ("a",), None, SUBMITTED)
        assert {len(texts) for texts in result.columns.values()} == {len(result)}


@pytest.mark.parametrize("text", ["0_75", "1_000", "１２", "٣", "0x10", "1,5"])
def test_only_plain_numbers_are_numbers(tmp_path, text):
    """Python's float reads digits with underscores, and those of other scripts; no other program does."""
    with pytest.raises(SubmissionError, match="line 2: a"):
        table(tmp_path, f'a,b\n"{text}",x\n').numbers("a")
