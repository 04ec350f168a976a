"""List submitted samples of a data set of the ``datasets`` library: a folder, or one on the Hub."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import SubmissionError, unknown_name
from benchmark.images.hub import Location, is_dataset, parse_name, pictures
from benchmark.intake.listing import (
    LABEL,
    MAX_IMAGES,
    MAX_PICTURE_BYTES,
    Sample,
    folds_of,
    reports_of,
)
from benchmark.intake.untrusted import as_submission_error, validate_size

if TYPE_CHECKING:
    from datasets import Dataset

CLASS = ("class", "label")  # columns that may name the class


@as_submission_error()
def location_of(source: Path) -> Location | None:
    """Return the location of a data set, or None for folders of pictures and a single file.

    Raises:
        SubmissionError: the name of a data set on the Hub without a pinned revision.
    """
    if source.is_dir():
        return Location(root=source) if is_dataset(source) else None
    if source.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+(@.*)?", str(source)):
        return None
    return None if source.suffix.lower() == ".parquet" else parse_name(str(source))


@as_submission_error()
def list_dataset(location: Location, classes: Sequence[str], folds: int, *, multilabel: bool) -> list[Sample]:
    """List the rows of every split of a data set in their order; decodes no picture.

    The columns are those of a Parquet file, but the class may be a ``ClassLabel``, and its column may be
    named ``label``. Other columns are not read.

    Args:
        classes: of the task.
        folds: of the task; with more than one, the column ``fold`` is required.
        multilabel: read the columns ``label:<class>``.
    Raises:
        SubmissionError: the data set cannot be read, lacks a column, or has an unknown class.
    """
    import datasets

    whole, where = datasets.concatenate_datasets(list(location.parts().values())), location.where
    if not 0 < len(whole) <= MAX_IMAGES:
        raise SubmissionError(where, f"has {len(whole)} rows, expected 1 to {MAX_IMAGES}")
    column = next((name for name in CLASS if name in whole.features), None)
    if column is None or "image" not in whole.features:
        problem = f"its columns are {', '.join(whole.features)}; expected image, and class or label"
        raise SubmissionError(where, problem, "Rename them with rename_column of the library.")
    names = _class_names(whole, column, where)
    for row, name in enumerate(names):
        if name not in classes:
            raise unknown_name("class", name, list(classes), f"{where}: row {row}")
    values = {
        c: whole[c][:] for c in whole.column_names if c == "fold" or (multilabel and c.startswith(LABEL))
    }
    fold = folds_of(values.pop("fold", None), len(whole), folds, where)
    report = reports_of({**values, "class": names}, classes, where)
    cells = pictures(whole, "image", where)
    return [
        Sample(
            f"{where}: row {row}",
            fold[row],
            classes.index(name),
            partial(_read_cell, location, cells, row),
            report[row],
        )
        for row, name in enumerate(names)
    ]


def _class_names(whole: "Dataset", column: str, where: str) -> list[str]:
    names: Any = getattr(whole.features[column], "names", None)
    values = whole[column][:]
    if any(value is None or (names and value < 0) for value in values):
        raise SubmissionError(f"{where}: {column}", "has rows without a value", "Fill or remove them.")
    return [names[value] if names else str(value) for value in values]


def _read_cell(location: Location, cells: "Dataset", row: int) -> bytes:
    where = f"{location.where}: row {row}"
    content = location.picture(cells[row]["image"], where)
    validate_size(len(content), MAX_PICTURE_BYTES, where)
    return content
