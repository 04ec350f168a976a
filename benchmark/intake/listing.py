"""List submitted samples without decoding them: a folder, or a Parquet file.

A folder has a subfolder per class, below a subfolder per fold in a cross-validation. A file has the columns
``image`` and ``class``, and if needed ``fold`` and ``label:<class>``. ``hub_listing`` reads data sets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import SubmissionError, unknown_name
from benchmark.intake.untrusted import as_submission_error, open_parquet, validate_file, validate_size

if TYPE_CHECKING:
    import pyarrow as pa

MAX_IMAGES = 500_000  # of a submission; the papers' largest bracket is 3000 in 5 classes
MAX_PICTURE_BYTES = 32_000_000
MAX_TABLE_BYTES = 8_000_000_000  # on disk and in memory
LABEL = "label:"  # prefix of the columns with the labels of a multi-label image
TYPES = {
    "image": ("binary", "large_binary"),
    "class": ("string", "large_string"),
    "fold": ("integer",),
    LABEL: ("integer", "boolean"),
}
SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "docs/submit_samples.md shows the layout."


@dataclass(frozen=True)
class Sample:
    """A submitted picture, before it is opened, and its labels.

    Attributes:
        where: file, or row of a table, for errors.
        fold: the fold that it was generated for; 0 without folds.
        label: index of the requested class.
        read: returns its bytes.
        report: in a multi-label task 1 or 0 for each class; None where only ``label`` is given.
    """

    where: str
    fold: int
    label: int
    read: Callable[[], bytes]
    report: tuple[int, ...] | None = None


@as_submission_error()
def list_folder(root: Path, classes: Sequence[str], folds: int) -> list[Sample]:
    """List the pictures of a folder by fold, class and file name; opens none.

    Args:
        classes: of the task, each the name of an optional subfolder.
        folds: of the task; with more than one, the class folders lie in ``fold_0``, ``fold_1`` and so on.
    Raises:
        SubmissionError: a link, an unknown class, a picture outside a class, a file that is not a PNG or JPEG
            by its name, too many or too large files, or missing fold folders.
    """
    if root.is_symlink() or not root.is_dir():
        raise SubmissionError(str(root), "is not a folder", "Give the samples' folder, or a Parquet file.")
    places = [(0, root)] if folds == 1 else _fold_folders(root, [f"fold_{k}" for k in range(folds)])
    samples = [s for fold, place in places for s in _list_fold(place, classes, fold)]
    if not samples:
        raise SubmissionError(str(root), "holds no picture", LAYOUT)
    if len(samples) > MAX_IMAGES:
        raise SubmissionError(str(root), f"holds {len(samples)} pictures; at most {MAX_IMAGES} are allowed")
    return samples


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a folder by name, without hidden ones; refuse links."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_symlink():
                raise SubmissionError(entry.path, "is a link", "Submit the pictures themselves.")
            if not entry.name.startswith("."):
                yield entry


def _subfolders(root: Path, inside: str) -> list[os.DirEntry[str]]:
    """Return the subfolders; refuse pictures beside them and ignore other files."""
    entries = list(_entries(root))
    for entry in entries:
        if not entry.is_dir() and entry.name.lower().endswith(SUFFIXES):
            raise SubmissionError(entry.path, f"is a picture outside any {inside} folder", LAYOUT)
    return [entry for entry in entries if entry.is_dir()]


def _fold_folders(root: Path, names: list[str]) -> list[tuple[int, Path]]:
    folders = [e for e in _subfolders(root, "fold") if e.name in names]
    if not folders:
        raise SubmissionError(
            str(root),
            f"has no folders {names[0]} to {names[-1]}: the test patients of one fold are training patients "
            "of the others, so a generator must be fitted once for each fold",
            "Fit on train/ of fold_<k> of the export, and write the samples to fold_<k>/<class>/.",
        )
    return sorted((names.index(e.name), Path(e.path)) for e in folders)


def _list_fold(root: Path, classes: Sequence[str], fold: int) -> Iterator[Sample]:
    folders = {entry.name: entry for entry in _subfolders(root, "class")}
    for name in sorted(folders.keys() - set(classes)):
        raise unknown_name("class", name, list(classes), folders[name].path)
    for label, name in enumerate(classes):
        for entry in _entries(Path(folders[name].path)) if name in folders else ():
            if not entry.is_file() or not entry.name.lower().endswith(SUFFIXES):
                raise SubmissionError(entry.path, "is not a .png, .jpg or .jpeg file", "Remove it.")
            validate_size(entry.stat().st_size, MAX_PICTURE_BYTES, entry.path)
            yield Sample(entry.path, fold, label, partial(_read_file, Path(entry.path)))


def _read_file(path: Path) -> bytes:
    """Return a file's bytes up to the limit, even if it has grown since it was listed."""
    try:
        with open(path, "rb") as handle:
            return handle.read(MAX_PICTURE_BYTES)
    except OSError as error:
        raise SubmissionError(str(path), f"cannot be read: {error.strerror}") from None


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
    fold = folds_of(values.get("fold"), table.num_rows, folds, path)
    report = reports_of(values, classes, path)
    return [
        Sample(
            f"{path}: row {row}",
            fold[row],
            classes.index(name),
            partial(_read_cell, table["image"], row),
            report[row],
        )
        for row, name in enumerate(values["class"])
    ]


def _read_cell(column: pa.ChunkedArray, row: int) -> bytes:
    return bytes(column[row].as_py())


def _read_table(path: Path, *, multilabel: bool) -> pa.Table:
    import pyarrow.compute as pc

    validate_file(path, MAX_TABLE_BYTES)
    with open_parquet(path) as source:
        about = source.metadata
        size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
        _validate_table_size(path, about.num_rows, size)
        _validate_columns(path, source.schema_arrow, multilabel=multilabel)
        table = source.read()
    _validate_table_size(path, table.num_rows, table.nbytes)
    for name in table.column_names:
        if table[name].null_count:
            raise SubmissionError(f"{path}: {name}", "has rows without a value", "Fill or remove them.")
    longest = pc.max(pc.binary_length(table["image"])).as_py() or 0
    validate_size(longest, MAX_PICTURE_BYTES, f"{path}: image")
    return table


def _validate_table_size(path: Path, rows: int, size: int) -> None:
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


def folds_of(given: list[int] | None, rows: int, folds: int, path: Path | str) -> list[int]:
    """Return the fold of every row, from the column ``fold`` where the task has several.

    Raises:
        SubmissionError: the column is missing, or has an unknown fold.
    """
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


def reports_of(
    values: dict[str, list[Any]], classes: Sequence[str], path: Path | str
) -> list[tuple[int, ...]] | list[None]:
    """Return all labels of every row, or a list of None where the table has only ``class``.

    Raises:
        SubmissionError: a column is missing or unknown, or a row's labels lack its class.
    """
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
