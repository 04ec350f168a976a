"""A folder of DICOM files, with a table, a subfolder per class, or a label in an attribute.

Patients' ids are hashed; names, birth dates and other identifying attributes never leave this module.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers import listing
from benchmark.datasets._readers.dicom import Header, is_dicom, read_header
from benchmark.datasets._readers.dicom_pixels import read_pixels
from benchmark.datasets._readers.folder_tree import Tree, existing_folder, in_order, listed_name, walk
from benchmark.datasets._readers.listing import OPTIONAL, TABLE, Record
from benchmark.errors import DataError
from benchmark.images.decoding import Fit, inside, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.utils.csv_file import read_csv
from benchmark.utils.csv_table import number_or_nan, required_text
from benchmark.utils.hashing import sha256_file, sha256_of
from benchmark.utils.missing import is_missing, known, missing_as

version = "2"
conditions = frozenset({"age", "sex", "view"})

COLUMNS = ("image", "label")


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the files, and how they are read.

    Attributes:
        root: folder with the table, with one subfolder per class, or with files at any depth.
        table: name of the CSV file in ``root``; by default ``metadata.csv`` if it exists.
        label_from: keyword of the attribute that holds the label, such as ``StudyDescription``; without it
            and without a table, the subfolder is the label.
        labels: class per label, where they have other names than the classes.
        ignore_labels: labels to leave out; any other that is not a class is an error.
        salt: secret text that enters the hashes of patients' ids, so that nobody can try out ids.
        frames: of a file with several frames the ``first`` is read, with a note; or it is an ``error``.
        identifiable: a name, birth date or id that does not look anonymous, or burnt-in text, leaves a
            ``note``; or it is an ``error``.
        fit: ``stretch`` to a square or ``pad`` with black.
    """

    root: Path
    table: str | None = None
    label_from: str | None = Field(None, pattern=r"^[A-Za-z]+$")
    labels: dict[str, str] = {}
    ignore_labels: tuple[str, ...] = ()
    salt: str = ""
    frames: Literal["first", "error"] = "first"
    identifiable: Literal["note", "error"] = "note"
    fit: Fit = "pad"


@dataclass(frozen=True, kw_only=True)
class _DicomRecord(Record):
    """A file and its header; ids are hashed, but for ``raw_patient``, which never leaves this module."""

    header: Header
    raw_patient: str


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the files, their labels, patients and splits.

    Raises:
        DataError: as ``images`` for the folder, the table, missing files and files that are not DICOM.
    """
    records, _ = _list(params)
    return sha256_of(
        [[r.image_id, r.patient_id, r.label, r.split, r.site, r.view, sha256_file(r.path)] for r in records]
    )


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the files of these classes: headers now, pixels when an image is read.

    Args:
        classes: the labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the folder, the table, a label or a header is missing or broken; and, when an image is
            read, a file without pixel data or in a compression that cannot be read.
    """
    listed, notes = _list(params)
    remedy = "Name its class: --set labels={NAME: CLASS}; or --set ignore_labels=[NAME]."
    records, ignored = listing.of_classes(listed, classes, params.ignore_labels, params.root, remedy)
    listing.refuse_partial_splits(records)
    listing.refuse_two_splits(records)
    records, repeated = _unique(records)
    if params.identifiable == "error":
        _refuse_identifiable(records)

    def read(k: int) -> np.ndarray:
        gray = read_pixels(records[k].path)
        coarse = max(1, min(gray.size) // (3 * image_size))  # averaged first: faster, and looks the same
        return to_square(gray.reduce(coarse), image_size, fit=params.fit)

    lazy = LazyImages.each(read, len(records), image_size)
    notes = [*notes, *ignored, *repeated, *_header_notes(records)]
    return listing.with_card(
        listing.image_set(records, lazy, classes, "dicom_folder"), notes, name="DICOM folder", fit=params.fit
    )


def _list(params: Params) -> tuple[list[_DicomRecord], list[str]]:
    """Return every file that the table, the subfolders or the attribute label, and notes."""
    existing_folder(params.root)
    path = inside(params.root, params.table or TABLE, "table")
    if path.is_file() or params.table:
        if params.label_from:
            raise DataError("label_from", f"is given, and so is the table {path}", "Give one of the two.")
        records = list(_list_table(params, path))
        tree = walk(params.root)
        listed = {record.path for record in records}
        unlisted = sum(params.root / name not in listed for name in _dicom_names(tree))
        notes = [f"{unlisted} DICOM files left out, in no record of the table"] if unlisted else []
        return records, [*notes, *tree.notes()]
    tree = walk(params.root)
    tree.refuse_outside()
    names = _dicom_names(tree)
    if not names:
        raise DataError(str(params.root), "contains no DICOM file", f"Add DICOM files, or a table {TABLE}.")
    other = len({*tree.size, *tree.other}.difference(names))
    notes = [f"{other} files left out: not DICOM"] if other else []
    return [_record_of_file(params, name) for name in names], [*notes, *tree.notes()]


def _list_table(params: Params, path: Path) -> Iterator[_DicomRecord]:
    for where, cells in read_csv(path, COLUMNS, ("patient_id", "age", *OPTIONAL)).records():
        name, label = (required_text(f"{where}: {column}", cells[column]) for column in COLUMNS)
        name = listed_name(params.root, name)
        file = inside(params.root, name, f"{where}: image")
        if not file.is_file():
            raise DataError(where, f"lists '{name}', which is missing", "Add it, or remove the record.")
        yield _record(params, where, file, {**cells, "split": listing.split_of(where, cells)}, label)


def _record_of_file(params: Params, name: str) -> _DicomRecord:
    path = inside(params.root, name, name)
    if not params.label_from and "/" not in name:
        remedy = f"Move it into a folder per class, add a table {TABLE}, or give label_from."
        raise DataError(str(path), "is in no subfolder, so it has no label", remedy)
    return _record(params, str(path), path, {}, name.split("/")[0])


def _dicom_names(tree: Tree) -> list[str]:
    """Return the relative names of the DICOM files of a tree."""
    return [
        name
        for name in in_order([*tree.size, *tree.other])
        if name.lower().endswith((".dcm", ".dicom")) or is_dicom(tree.root / name)
    ]


def _record(params: Params, where: str, path: Path, cells: dict[str, str], label: str) -> _DicomRecord:
    """Return a file with the texts of its table's record, or else of its header."""
    header = read_header(path, params.label_from)
    if header.frames > 1 and params.frames == "error":
        raise DataError(str(path), f"has {header.frames} frames", "Split it, or --set frames=first.")
    label = header.label if params.label_from else label
    if not label:
        raise DataError(f"{path}: {params.label_from}", "is blank, so the file has no label", "Fill it in.")
    patient = known(cells.get("patient_id", "")) or header.patient_id
    if is_missing(patient):
        problem = missing_as(patient) if patient else "is blank"
        raise DataError(f"{path}: PatientID", problem, f"Add a column patient_id to a table {TABLE}.")
    name = path.relative_to(params.root).as_posix()
    age = known(cells.get("age", ""))
    return _DicomRecord(
        where=where,
        path=path,
        image_id=f"dicom-{_hashed(params, known(header.uid) or name)}",
        patient_id=f"patient-{_hashed(params, patient)}",
        label=params.labels.get(label, label),
        header=header,
        raw_patient=patient,
        year=_year(header.study_date),
        age=number_or_nan(f"{where}: age", age) if age else header.age,
        **listing.optional_cells(cells, view=header.view, sex=header.sex),
    )


def _year(text: str) -> float:
    """Return a DICOM date as a fraction of years; NaN for any other text, as older devices write."""
    try:
        return listing.year_or_nan("StudyDate", text)
    except DataError:
        return float("nan")


def _hashed(params: Params, text: str) -> str:
    """Return the first 64 bits of SHA-256: equal texts stay equal, and the text cannot be recovered."""
    return hashlib.sha256(f"{params.salt}\0{text}".encode()).hexdigest()[:16]


def _unique(records: Sequence[_DicomRecord]) -> tuple[list[_DicomRecord], list[str]]:
    """Return one record per SOPInstanceUID, and a note on the others."""
    first: dict[str, _DicomRecord] = {}
    for record in records:
        other = first.setdefault(record.image_id, record)
        if other.label != record.label or other.patient_id != record.patient_id:
            problem = f"is the same SOP instance as {other.where}, with another label or patient"
            raise DataError(record.where, problem, "Keep one of the two.")
    repeated = len(records) - len(first)
    return list(first.values()), [f"{repeated} files dropped: repeated SOPInstanceUID"] if repeated else []


def _refuse_identifiable(records: Sequence[_DicomRecord]) -> None:
    for record in records:
        burned_in = ["BurnedInAnnotation"] if record.header.burned_in else []
        if names := [*record.header.identity, *burned_in]:
            problem = f"does not look de-identified: {', '.join(names)}"
            remedy = "De-identify the files, or --set identifiable=note."
            raise DataError(str(record.path), problem, remedy)


def _header_notes(records: Sequence[_DicomRecord]) -> Iterator[str]:
    """Yield warnings as counts: notes are published, so they name no file and no value."""
    headers = [record.header for record in records]
    if burned_in := sum(header.burned_in for header in headers):
        yield f"BURNT-IN ANNOTATION: {burned_in} of {len(headers)} files declare text burnt into the image"
    fields = Counter(name for header in headers for name in header.identity)
    if fields:
        counts = ", ".join(f"{name} {n}" for name, n in sorted(fields.items()))
        yield f"NOT DE-IDENTIFIED: files with an attribute that does not look anonymous: {counts}"
    if plain := sum(not header.window for header in headers):
        yield f"{plain} files without a window or VOI LUT: shown over the smallest bit depth that holds them"
    if multi_frame := sum(header.frames > 1 for header in headers):
        yield f"{multi_frame} files have several frames, the first is read"
    for oddity in listing.doubts(records, [record.raw_patient for record in records]):
        yield oddity.count
