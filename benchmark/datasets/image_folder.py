"""A folder of your own images, with a table or with a subfolder per class; see docs/add_a_dataset.md."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from benchmark.datasets._readers import listing
from benchmark.datasets._readers.folder_tree import existing_folder, first_of, in_order, listed_name, walk
from benchmark.datasets._readers.listing import OPTIONAL, TABLE, Record, Use
from benchmark.datasets._readers.same_images import read_images
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import SUFFIXES, Fit, inside
from benchmark.images.image_set import ImageSet
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import number_or_nan, required_id, required_text
from benchmark.utils.missing import is_missing, missing_as

version = "3"
conditions = frozenset({"age", "sex", "view"})

COLUMNS = ("image", "label", "patient_id")
_EVERY_FILE = "every file counts as a patient"


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the images, and how they are read.

    Attributes:
        root: folder with the table, or with one subfolder per class.
        table: name of the CSV file in ``root``; by default ``metadata.csv`` if it exists, else the
            subfolders are read.
        patient_separator: for subfolders: the patient's id is the file name up to the first of these,
            e.g. ``p17`` of ``p17_lateral.png`` for ``_``. By default every file counts as a patient.
        subfolders: meaning of the folders in a class folder: of ``patients``, whose id is the folder's name
            up to ``patient_separator``; or ``groups``, whose names do not count.
        ignore_labels: labels or subfolders to leave out; any other that is not a class is an error.
        fit: ``stretch`` to a square as in Schaudt et al. 2023, Table 4, or ``pad`` with black.
        allow_missing: share of the listed images whose files may be missing; they are left out with a note.
        columns: the table's own names of columns, by ours: ``image``, ``label``, ``patient_id`` and others.
        use: intended use; images whose license forbids it are left out with a note. If the table states
            licenses, an image with a blank one is not for commercial use; if it states none, all are.
    """

    root: Path
    table: str | None = None
    patient_separator: str | None = Field(None, min_length=1)
    subfolders: Literal["patients", "groups"] = "patients"
    ignore_labels: tuple[str, ...] = ()
    fit: Fit = "stretch"
    allow_missing: float = Field(0, ge=0, le=1)
    use: Use = "research"
    columns: dict[str, str] = {}


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the table, or of the names of the subfolders, and of every file that they list.

    Raises:
        DataError: as ``images`` for the folder, the table and missing files.
    """
    return listing.fingerprint_records(_usable(_list(params)[0], params)[0])


def conditions_of(params: Params) -> frozenset[str]:
    """Return the columns that the table fills for an image, of all classes and licenses.

    Raises:
        DataError: the folder or the table is missing or broken.
    """
    listed, _ = _list(params)
    filled = {name for name in ("sex", "view") if any(getattr(record, name) for record in listed)}
    return frozenset(filled | ({"age"} if any(record.age == record.age for record in listed) else set()))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the images of these classes, with the column ``split`` of the table.

    Args:
        classes: the labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the folder, the table, an id or an image is missing or broken; a label is not one of the
            classes; a patient is in two given splits; or no license of a class allows the use.
    """
    listed, notes = _list(params)
    remedy = "To leave it out: --set ignore_labels=[NAME]."
    listed, ignored = listing.of_classes(listed, classes, params.ignore_labels, params.root, remedy)
    listing.refuse_partial_splits(listed)
    records, gone = _usable(listed, params)
    listing.refuse_vanished(listed, records, classes, params.use, "source image_folder")
    read = read_images(records, classes, image_size, source="image_folder", fit=params.fit)
    doubts = listing.doubts(records, [record.patient_id for record in records])
    notes = [*notes, *ignored, *gone, *map(str, doubts), *read.card["notes"]]
    return listing.with_card(read, notes, name=params.root.resolve().name, fit=params.fit)


def _usable(records: list[Record], params: Params) -> tuple[list[Record], list[str]]:
    """Return the records whose license allows the use and whose file exists, and notes on the others."""
    forbidden: list[str] = []
    if any(record.license for record in records):
        records, forbidden = listing.allowed(records, params.use)
    records, missing = listing.present(records, params.allow_missing)
    return records, [*forbidden, *missing]


def _list(params: Params) -> tuple[list[Record], list[str]]:
    """Return every image that the table or the subfolders list, and notes."""
    existing_folder(params.root)
    path = inside(params.root, params.table or TABLE, "table")
    if not path.is_file() and not params.table:
        return _list_subfolders(params)
    names = _column_names(params)
    theirs = [names[own] for own in COLUMNS], [name for own, name in names.items() if own not in COLUMNS]
    records = [
        _record(params.root, where, {own: cells[name] for own, name in names.items() if name in cells})
        for where, cells in read_csv(path, *theirs).records()
    ]
    return records, walk(params.root).notes(record.image_id for record in records)


def _column_names(params: Params) -> dict[str, str]:
    """Return the table's names of all columns that are read, by ours.

    Raises:
        UnknownNameError: ``columns`` renames one that is not read.
    """
    own = (*COLUMNS, "age", "study_date", *OPTIONAL)
    if odd := [name for name in params.columns if name not in own]:
        raise unknown_name("column", odd[0], list(own), "--set columns")
    return {name: params.columns.get(name, name) for name in own}


def _record(root: Path, where: str, cells: dict[str, str]) -> Record:
    text, patient = (required_id(f"{where}: {column}", cells[column]) for column in ("image", "patient_id"))
    name = listed_name(root, text)
    return Record(
        where=where,
        path=inside(root, name, f"{where}: image"),
        image_id=name,
        patient_id=patient,
        label=required_text(f"{where}: label", cells["label"]),
        age=number_or_nan(f"{where}: age", cells.get("age", "")),
        year=listing.year_or_nan(f"{where}: study_date", cells.get("study_date", "")),
        **{**listing.optional_cells(cells), "split": listing.split_of(where, cells)},
    )


def _list_subfolders(params: Params) -> tuple[list[Record], list[str]]:
    tree = walk(params.root)
    tree.refuse_outside()
    names, other = (in_order(n for n in some if "/" in n) for some in (tree.size, tree.other))
    for name in other:
        if name.lower().endswith(SUFFIXES):
            problem = "is not a plain file, or a link without a target"
            raise DataError(str(params.root / name), problem, "Restore the file, or remove it.")
    if not names:
        remedy = f"Add one folder per class with files that end in {', '.join(SUFFIXES)}, or a table."
        raise DataError(str(params.root), f"has neither a table {TABLE} nor subfolders with images", remedy)
    records = [_record_of_file(params, name) for name in names]
    deep = sum(name.count("/") > 1 for name in names)
    by_folder = deep if params.subfolders == "patients" else 0
    notes = []
    if not params.patient_separator and by_folder < len(names):
        which = f"{len(names) - by_folder} files count as a patient each" if by_folder else _EVERY_FILE
        notes.append(f"{which}: no patient_separator")
    if deep:
        meaning = "names the patient" if by_folder else "does not count"
        notes.append(f"{deep} images in subfolders of the class folders: the subfolder {meaning}")
    if beside := in_order(name for name in tree.size if "/" not in name):
        notes.append(f"{len(beside)} images beside the class folders left out: {first_of(beside)}")
    if other:
        notes.append(f"{len(other)} files in the class folders left out: not one of {', '.join(SUFFIXES)}")
    return records, [*notes, *tree.notes()]


def _record_of_file(params: Params, name: str) -> Record:
    path = params.root / name
    label, *inner = name.split("/")
    by_folder = len(inner) > 1 and params.subfolders == "patients"
    patient = inner[0] if by_folder else path.stem
    if params.patient_separator:
        patient = patient.split(params.patient_separator)[0]
    elif not by_folder:
        patient = name
    if is_missing(patient):
        empty = "begins with the separator, so the patient's id is empty"
        problem = f"gives a patient's id that {missing_as(patient)}" if patient else empty
        raise DataError(str(path), problem, "Rename it, or --set patient_separator=TEXT.")
    return Record(where=str(path), path=path, image_id=name, patient_id=patient, label=label)
