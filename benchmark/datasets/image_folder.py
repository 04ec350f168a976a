"""A folder of one's own pictures, with a table or with a subfolder per class; see docs/add_a_dataset.md."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, Field

from benchmark.datasets._readers.folder_tree import Use
from benchmark.datasets._readers.listing import (
    Row,
    allowed,
    existing_folder,
    fingerprint_rows,
    present,
    read_rows,
    refuse_vanished,
)
from benchmark.datasets._readers.tables import given, number_of, read_table
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import SUFFIXES, Fit, inside
from benchmark.images.image_set import ImageSet
from benchmark.protocol.split import PARTS

version = "2"

TABLE = "metadata.csv"
COLUMNS = ("image", "label", "patient_id")
FURTHER = ("view", "age", "sex", "site", "license", "split")


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the pictures lie and how they are read.

    Attributes:
        root: folder with the table, or with one subfolder per class.
        table: name of the CSV file in ``root``. Without a name, ``metadata.csv`` is read where there is
            one, and else the subfolders.
        patient_separator: for subfolders: the patient's id is the file name up to the first of these,
            e.g. ``p17`` of ``p17_lateral.png`` for ``_``. Without it every file is its own patient.
        ignore_labels: labels or subfolders to leave out; any other that is not a class is an error.
        fit: ``stretch`` to a square as in Schaudt et al. 2023, Table 4, or ``pad`` with black.
        allow_missing: share of the listed pictures that may not be there, and are left out with a note.
        use: what the pictures are for; those whose license forbids it are left out with a note. Where the
            table states licenses, a blank one is not for commercial use; where it states none, all are.
    """

    root: Path
    table: str | None = None
    patient_separator: str | None = Field(None, min_length=1)
    ignore_labels: tuple[str, ...] = ()
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"


def fingerprint(params: Params) -> str:
    """SHA-256 over the table, or the names of the subfolders, and over every file that they list.

    Raises:
        DataError: as ``images`` for the folder, the table and missing pictures.
    """
    return fingerprint_rows(_usable(_rows(params)[0], params)[0])


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The pictures of these classes, with the column ``split`` of the table.

    Args:
        classes: the labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the folder, the table, an id or a picture is missing or broken; a label is none of
            the classes; a patient is in two given splits; or no license of a class allows the use.
    """
    found, notes = _rows(params)
    found, ignored = _of_classes(found, classes, params)
    _split_for_all_or_none(found)
    rows, gone = _usable(found, params)
    refuse_vanished(found, rows, classes, params.use, "source image_folder")
    loaded = read_rows(rows, classes, image_size, source="image_folder", fit=params.fit)
    notes = (*notes, *ignored, *gone, *loaded.card["notes"])
    return replace(loaded, card={**_card(loaded, params), "notes": list(notes)})


def _usable(rows: list[Row], params: Params) -> tuple[list[Row], list[str]]:
    """The rows whose license allows the use and whose picture is there, and notes on the others."""
    forbidden: list[str] = []
    if any(row.license for row in rows):
        rows, forbidden = allowed(rows, params.use)
    rows, missing = present(rows, params.allow_missing)
    return rows, [*forbidden, *missing]


def _rows(params: Params) -> tuple[list[Row], tuple[str, ...]]:
    """Every picture that the table or the subfolders list, and notes."""
    existing_folder(params.root)
    path = inside(params.root, params.table or TABLE, "table")
    if path.is_file() or params.table:
        return [_row(params.root, where, field) for where, field in read_table(path, COLUMNS, FURTHER)], ()
    return _subfolders(params)


def _row(root: Path, where: str, field: dict[str, str]) -> Row:
    for name in COLUMNS:
        given(f"{where}: {name}", field[name])
    part = field.get("split", "")
    if part and part not in PARTS:
        raise DataError(
            f"{where}: split", f"'{part}' is none of {', '.join(PARTS)}", "Use one of these names."
        )
    return Row(
        where=where,
        path=inside(root, field["image"], f"{where}: image"),
        image_id=field["image"],
        patient_id=field["patient_id"],
        label=field["label"],
        view=field.get("view", ""),
        age=number_of(f"{where}: age", field.get("age", "")),
        sex=field.get("sex", ""),
        site=field.get("site", ""),
        license=field.get("license", ""),
        split=part,
    )


def _subfolders(params: Params) -> tuple[list[Row], tuple[str, ...]]:
    rows, other = [], 0
    for folder in sorted(p for p in params.root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
            if path.suffix.lower() not in SUFFIXES:
                other += 1
                continue
            name = f"{folder.name}/{path.name}"
            stem = path.stem.split(params.patient_separator)[0] if params.patient_separator else name
            if not stem:
                raise DataError(
                    str(path), "the file name begins with the separator, so the patient's id is empty"
                )
            rows.append(Row(str(path), inside(params.root, name, str(path)), name, stem, folder.name))
    if not rows:
        raise DataError(
            str(params.root),
            f"has neither a table {TABLE} nor subfolders with pictures",
            f"Add one folder per class with files that end in {', '.join(SUFFIXES)}, or a table.",
        )
    notes = (
        []
        if params.patient_separator
        else ["every file counts as a patient of its own: no patient_separator"]
    )
    if other:
        notes.append(f"{other} files in the class folders left out: none of {', '.join(SUFFIXES)}")
    return rows, tuple(notes)


def _split_for_all_or_none(rows: list[Row]) -> None:
    blank = [row for row in rows if not row.split]
    if blank and len(blank) < len(rows):
        raise DataError(f"{blank[0].where}: split", "is missing", "Give every row a split, or none.")


def _of_classes(
    rows: list[Row], classes: tuple[str, ...], params: Params
) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of the classes, and a note on those of ignored labels."""
    found = sorted({row.label for row in rows})
    if not set(found) & set(classes):
        raise DataError(
            str(params.root),
            f"has no picture of any class, labels found: {', '.join(found)}",
            f"Expected one folder per class, or a table {TABLE} with labels {', '.join(classes)}.",
        )
    kept = []
    ignored: Counter[str] = Counter()
    for row in rows:
        if row.label in params.ignore_labels:
            ignored[row.label] += 1
        elif row.label in classes:
            kept.append(row)
        else:
            error = unknown_name("label", row.label, list(classes))
            remedy = f"{error.remedy} To leave it out, name it in ignore_labels."
            raise DataError(row.where, error.problem, remedy)
    notes = [f"{n} pictures left out, label '{name}' ignored" for name, n in sorted(ignored.items())]
    return kept, tuple(notes)


def _card(images: ImageSet, params: Params) -> dict[str, object]:
    return {
        "name": params.root.resolve().name,
        "images": images.counts(),
        "patients": len(images.patients()),
        "fit": params.fit,
    }
