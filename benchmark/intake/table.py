"""Samples as a Parquet file: columns ``image``, ``class``, and where they are needed ``fold`` and labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import SubmissionError, unknown_name
from benchmark.intake.sample import LARGEST_PICTURE, MOST, Sample

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST_TABLE = 8_000_000_000  # bytes, on disk and in memory
LABEL = "label:"  # of the columns that say further labels of an image


def listed(path: Path, classes: Sequence[str], folds: int, *, multilabel: bool) -> list[Sample]:
    """The rows of a table, in their order; no picture is decoded.

    Args:
        classes: of the task.
        folds: of the task; with more than one, ``fold`` says for which an image was made.
        several: whether an image may have several labels; then a column ``label:<class>`` with 0 or 1 for
            each class may say them, ``class`` among them.
    Raises:
        SubmissionError: not Parquet, too large, or a column is missing, unknown or of another type, or has a
            value that is none.
    """
    table = _table(path, multilabel=multilabel)
    values = {name: table[name].to_pylist() for name in table.column_names if name != "image"}
    where = str(path)
    number = {name: k for k, name in enumerate(classes)}
    for row, name in enumerate(values["class"]):
        if name not in number:
            raise SubmissionError(
                *unknown_name("class", str(name), list(classes), f"{where}: row {row}").args
            )
    fold = _folds(values.get("fold"), table.num_rows, folds, where)
    report = _reports(values, classes, where)
    return [
        Sample(
            f"{where}: row {row}", fold[row], number[name], partial(_bytes, table["image"], row), report[row]
        )
        for row, name in enumerate(values["class"])
    ]


def _table(path: Path, *, multilabel: bool) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is missing or not a plain file")
    try:
        with pq.ParquetFile(path) as opened:
            about = opened.metadata
            size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
            _check_size(path, about.num_rows, max(size, path.stat().st_size))
            _check_columns(path, opened.schema_arrow, multilabel=multilabel)
            table = opened.read()
    except SubmissionError:
        raise
    except Exception as error:  # a corrupt file raises many kinds
        raise SubmissionError(str(path), f"cannot be read as Parquet: {str(error)[:200]}") from None
    _check_size(path, table.num_rows, table.nbytes)
    for name in table.column_names:
        if table[name].null_count:
            raise SubmissionError(f"{path}: {name}", "has rows without a value", "Fill them, or remove them.")
    length = pa.compute.binary_length(table["image"])
    if (longest := pa.compute.max(length).as_py() or 0) > LARGEST_PICTURE:
        raise SubmissionError(f"{path}: image", f"has {longest} bytes, at most {LARGEST_PICTURE} are read")
    return table


def _check_size(path: Path, rows: int, size: int) -> None:
    if not 0 < rows <= MOST:
        raise SubmissionError(str(path), f"has {rows} rows, expected 1 to {MOST}")
    if size > LARGEST_TABLE:
        raise SubmissionError(str(path), f"holds {size} bytes, at most {LARGEST_TABLE} are read")


def _check_columns(path: Path, schema: pa.Schema, *, multilabel: bool) -> None:
    import pyarrow.types as kinds

    binary = (kinds.is_binary, kinds.is_large_binary)
    text = (kinds.is_string, kinds.is_large_string)
    expected: dict[str, tuple[Any, ...]] = {"image": binary, "class": text, "fold": (kinds.is_integer,)}
    for name in ("image", "class"):
        if name not in schema.names:
            raise SubmissionError(f"{path}: {name}", "is a missing column", "See docs/submit_samples.md.")
    for field in schema:
        if field.name.startswith(LABEL) and multilabel:
            allowed: tuple[Any, ...] = (kinds.is_integer, kinds.is_boolean)
        elif field.name in expected:
            allowed = expected[field.name]
        else:
            raise SubmissionError(
                *unknown_name("column", field.name, [*expected, LABEL + "..."], str(path)).args
            )
        if not any(kind(field.type) for kind in allowed):
            raise SubmissionError(f"{path}: {field.name}", f"is a column of {field.type}")
    if len(set(schema.names)) != len(schema.names):
        raise SubmissionError(str(path), "has a column twice")


def _folds(given: list[int] | None, rows: int, folds: int, where: str) -> list[int]:
    if given is None:
        if folds == 1:
            return [0] * rows
        raise SubmissionError(
            f"{where}: fold",
            f"is a missing column: the task has {folds} folds, and a generator must be fitted once for each, "
            "since the test patients of one are training patients of another",
            "Say for which fold an image was made.",
        )
    if odd := sorted({k for k in given if not 0 <= k < folds}):
        raise SubmissionError(f"{where}: fold", f"has {odd[0]}, expected 0 to {folds - 1}")
    return given


def _reports(
    values: dict[str, list[Any]], classes: Sequence[str], where: str
) -> list[tuple[int, ...] | None]:
    """The further labels of every row, or None for each where the table does not say them."""
    names = [name for name in values if name.startswith(LABEL)]
    if not names:
        return [None] * len(values["class"])
    if odd := sorted({*names} ^ {LABEL + c for c in classes}):
        raise SubmissionError(f"{where}: {odd[0]}", "is a missing or unknown column", "Give one per class.")
    reports = list(zip(*(map(int, values[LABEL + c]) for c in classes), strict=True))
    for row, (name, said) in enumerate(zip(values["class"], reports, strict=True)):
        if not set(said) <= {0, 1} or said[classes.index(name)] != 1:
            raise SubmissionError(
                f"{where}: row {row}", f"labels are {said}, expected 0 or 1, and 1 for its class '{name}'"
            )
    return [tuple(said) for said in reports]


def _bytes(column: pa.ChunkedArray, row: int) -> bytes:
    return bytes(column[row].as_py())
