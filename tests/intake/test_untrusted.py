"""JSON and Parquet of third parties: ambiguous files, and files that would exhaust the memory, are
refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.errors import SubmissionError
from benchmark.intake.untrusted import read_json, validate_parquet


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ('{"a": 1, "a": 2}', "'a' is repeated"),
        ('{"a": NaN}', "NaN"),
        ('{"a": [Infinity]}', "Infinity"),
        ("[" * 100_000, "nested more than 30"),
        ("[" * 40 + "]" * 40, "nested more than 30"),
        ("1" * 5000, "not JSON"),
        ('"\udcff"', "not JSON"),
    ],
    ids=["cut", "twice", "nan", "infinity", "bottomless", "deep", "digits", "bytes"],
)
def test_invalid_json_is_refused(tmp_path: Path, text: str, words: str):
    """Truncated, ambiguous, empty, too deeply nested and non-UTF-8 JSON, and too long numbers, are
    refused."""
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SubmissionError, match=words):
        read_json(path, 10**6)


def test_plain_json_is_read(tmp_path: Path):
    """Plain JSON is read unchanged."""
    (tmp_path / "x.json").write_text('{"a": [1, 2.5, null, {"b": "ü"}]}')
    assert read_json(tmp_path / "x.json", 100) == {"a": [1, 2.5, None, {"b": "ü"}]}
    with pytest.raises(SubmissionError, match="at most 10 are allowed"):
        read_json(tmp_path / "x.json", 10)


def test_a_billion_equal_rows_are_refused(tmp_path: Path):
    """Thirty million equal numbers take 110 kB; only their count is read."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": pa.array([1] * 30_000_000, pa.int8())}), path, compression="zstd")
    assert path.stat().st_size < 200_000
    with pytest.raises(SubmissionError, match="30000000 rows"):
        validate_parquet(path)


def test_a_long_repeated_text_is_refused(tmp_path: Path):
    """A text of a megabyte in a hundred thousand records would decode to 100 GB."""
    path = tmp_path / "x.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), ["x" * 1_000_000])
    pq.write_table(pa.table({"a": column}), path, store_schema=False)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(SubmissionError, match="texts of 1000000 bytes"):
        validate_parquet(path)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1, 2]]),
        pa.array([{"a": 1}]),
        pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), ["x"]),
        pa.array([1], pa.decimal128(5)),
    ],
    ids=["list", "struct", "dictionary", "decimal"],
)
def test_columns_that_are_not_plain_are_refused(tmp_path: Path, column: pa.Array):
    """A bundle's table has only numbers, texts and bytes."""
    pq.write_table(pa.table({"a": column}), tmp_path / "x.parquet")
    with pytest.raises(SubmissionError, match=r"expected numbers|columns"):
        validate_parquet(tmp_path / "x.parquet")


def test_files_that_are_not_parquet_are_refused(tmp_path: Path):
    """The error is one line."""
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(SubmissionError, match="not readable as Parquet"):
        validate_parquet(tmp_path / "x.parquet")
