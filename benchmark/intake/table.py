"""Samples as a Parquet file: columns ``image``, ``class``, and if needed ``fold`` and ``label:<class>``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import SubmissionError, unknown_name
from benchmark.intake.sample import MAX_IMAGES, MAX_PICTURE_BYTES, Sample
from benchmark.intake.untrusted import as_submission_error, open_parquet, validate_file

if TYPE_CHECKING:
    import pyarrow as pa

MAX_TABLE_BYTES = 8_000_000_000  # on disk and in memory
LABEL = "label:"  # prefix of the columns with the labels of a multi-label image
TYPES = {
    "image": ("binary", "large_binary"),
    "class": ("string", "large_string"),
    "fold": ("integer",),
    LABEL: ("integer", "boolean"),
}


@as_submission_error()
def list_table(path: Path, classes: Sequence[str], folds: int, *, multilabel: bool) -> list[Sample]:
    """List the rows of a table in their order; decodes no picture.

    Args:
        classes: of the task.
        folds: of the task; with more than one, the column ``fold`` is required.
        multilabel: allow a column ``label:<class>`` of 0 and 1 for each class; the column ``class`` must name
            one of those with 1.
    Raises:
        SubmissionError: not Parquet, too large, or a column is missing, unknown, of another type or has an
            invalid value.
    """
    table = _read_table(path, multilabel=multilabel)
    values = {name: table[name].to_pylist() for name in table.column_names if name != "image"}
    for row, name in enumerate(values["class"]):
        if name not in classes:
            raise unknown_name("class", str(name), list(classes), f"{path}: row {row}")
    fold = _folds(values.get("fold"), table.num_rows, folds, path)
    report = _reports(values, classes, path)
    return [
        Sample(
            f"{path}: row {row}",
            fold[row],
            classes.index(name),
            partial(_read, table["image"], row),
            report[row],
        )
        for row, name in enumerate(values["class"])
    ]


def _read(column: pa.ChunkedArray, row: int) -> bytes:
    return bytes(column[row].as_py())


def _read_table(path: Path, *, multilabel: bool) -> pa.Table:
    import pyarrow.compute as pc

    validate_file(path, MAX_TABLE_BYTES)
    with open_parquet(path) as source:
        about = source.metadata
        size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
        _validate_size(path, about.num_rows, size)
        _validate_columns(path, source.schema_arrow, multilabel=multilabel)
        table = source.read()
    _validate_size(path, table.num_rows, table.nbytes)
    for name in table.column_names:
        if table[name].null_count:
            raise SubmissionError(f"{path}: {name}", "has rows without a value", "Fill or remove them.")
    if (longest := pc.max(pc.binary_length(table["image"])).as_py() or 0) > MAX_PICTURE_BYTES:
        raise SubmissionError(
            f"{path}: image", f"has {longest} bytes; at most {MAX_PICTURE_BYTES} are allowed"
        )
    return table


def _validate_size(path: Path, rows: int, size: int) -> None:
    if not 0 < rows <= MAX_IMAGES:
        raise SubmissionError(str(path), f"has {rows} rows, expected 1 to {MAX_IMAGES}")
    if size > MAX_TABLE_BYTES:
        raise SubmissionError(str(path), f"holds {size} bytes; at most {MAX_TABLE_BYTES} are allowed")


def _validate_columns(path: Path, schema: pa.Schema, *, multilabel: bool) -> None:
    import pyarrow.types as kinds

    for name in ("image", "class"):
        if name not in schema.names:
            raise SubmissionError(f"{path}: {name}", "is a missing column", "See docs/submit_samples.md.")
    for field in schema:
        key = LABEL if multilabel and field.name.startswith(LABEL) else field.name
        if key not in TYPES or (key == LABEL and not multilabel):
            raise unknown_name("column", field.name, ["image", "class", "fold", f"{LABEL}..."], str(path))
        if not any(getattr(kinds, f"is_{kind}")(field.type) for kind in TYPES[key]):
            raise SubmissionError(f"{path}: {field.name}", f"is a column of {field.type}")
    if len(set(schema.names)) != len(schema.names):
        raise SubmissionError(str(path), "has a repeated column")


def _folds(given: list[int] | None, rows: int, folds: int, path: Path) -> list[int]:
    if given is None and folds > 1:
        raise SubmissionError(
            f"{path}: fold",
            f"is a missing column: the task has {folds} folds, and a generator must be fitted once for each, "
            "since the test patients of one are training patients of another",
            "Give the fold that each image was generated for.",
        )
    given = [0] * rows if given is None else given
    if odd := sorted({k for k in given if not 0 <= k < folds}):
        raise SubmissionError(f"{path}: fold", f"has {odd[0]}, expected 0 to {folds - 1}")
    return given


def _reports(
    values: dict[str, list[Any]], classes: Sequence[str], path: Path
) -> list[tuple[int, ...]] | list[None]:
    """Return all labels of every row, or a list of None where the table has only ``class``."""
    columns = {name for name in values if name.startswith(LABEL)}
    if not columns:
        return [None] * len(values["class"])
    if odd := sorted(columns ^ {LABEL + c for c in classes}):
        raise SubmissionError(f"{path}: {odd[0]}", "is a missing or unknown column", "Give one per class.")
    reports = list(zip(*(map(int, values[LABEL + c]) for c in classes), strict=True))
    for row, (name, report) in enumerate(zip(values["class"], reports, strict=True)):
        if not set(report) <= {0, 1} or report[classes.index(name)] != 1:
            problem = f"labels are {report}, expected 0 or 1, and 1 for its class '{name}'"
            raise SubmissionError(f"{path}: row {row}", problem)
    return reports
