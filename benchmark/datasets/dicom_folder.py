"""A folder of DICOM files, with a table, a subfolder per class, or a label in an attribute.

Patients' ids are hashed; names, birth dates and other identifying attributes are never handed on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.dicom import Header, is_dicom, read_header, read_picture
from benchmark.datasets._readers.listing import existing_folder
from benchmark.datasets._readers.tables import read_table
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import Fit, inside, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import Pixels
from benchmark.protocol.split import PARTS
from benchmark.utils.hashing import sha256_file, sha256_of

version = "1"

TABLE = "metadata.csv"
COLUMNS = ("image", "label")


class Params(BaseModel, extra="forbid", frozen=True):
    """Where the files lie and how they are read.

    Attributes:
        root: folder with the table, with one subfolder per class, or with files at any depth.
        table: name of the CSV file in ``root``. Without a name, ``metadata.csv`` is read where there is one.
        label_from: keyword of the attribute that holds the label, such as ``StudyDescription``; without it
            and without a table, the subfolder is the label.
        labels: class per label, where they have other names than the classes.
        ignore_labels: labels to leave out; any other that is not a class is an error.
        salt: secret text that goes into the hashes of patients' ids, so that nobody can try ids out.
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


def fingerprint(params: Params) -> str:
    """SHA-256 over the files, their labels, patients and splits.

    Raises:
        DataError: as ``images`` for the folder, the table, missing files and files that are no DICOM.
    """
    files, _ = _list(params)
    said = [[f.image_id, f.patient_id, f.label, f.split, f.site, f.view, sha256_file(f.path)] for f in files]
    return sha256_of(said)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The files of these classes; headers are read here, pictures when they are looked at.

    Args:
        classes: the labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the folder, the table, a label or a header is missing or broken; and, when it is looked
            at, a file without pixel data or in a compression that cannot be read.
    """
    listed, notes = _list(params)
    files, ignored = _of_classes(listed, classes, params)
    _split_for_all_or_none(files)
    files, again = _once(files)
    _refuse_identifiable(files, params)

    def read(row: int) -> np.ndarray:
        picture = read_picture(files[row].path)
        coarse = max(1, min(picture.size) // (3 * image_size))  # averaged first: faster, and equal to the eye
        return to_square(picture.reduce(coarse), image_size, fit=params.fit)

    age = np.array([f.age for f in files], dtype=np.float64)
    made = ImageSet(
        image=Pixels.each(read, len(files), image_size),
        label=np.array([classes.index(f.label) for f in files], dtype=np.int64),
        classes=classes,
        image_id=np.array([f.image_id for f in files], dtype=np.str_),
        patient_id=np.array([f.patient_id for f in files], dtype=np.str_),
        origin=np.full(len(files), "real:dicom_folder"),
        site=_column(f.site for f in files),
        view=_column(f.view for f in files),
        sex=_column(f.sex for f in files),
        license=_column(f.license for f in files),
        split=_column(f.split for f in files),
        age=age if np.isfinite(age).any() else None,
    )
    told = [*notes, *ignored, *again, *_header_notes(files)]
    card = {"name": "DICOM folder", "images": made.counts(), "patients": len(made.patients())}
    return replace(made, card={**card, "fit": params.fit, "notes": told})


@dataclass(frozen=True)
class _File:
    """One file, its label, and what its row and its header say; ids are hashed."""

    where: str
    path: Path
    image_id: str
    patient_id: str
    label: str
    header: Header
    view: str
    age: float
    sex: str
    site: str = ""
    license: str = ""
    split: str = ""


def _list(params: Params) -> tuple[list[_File], list[str]]:
    """Every file that the table, the subfolders or the attribute label, and notes."""
    existing_folder(params.root)
    path = inside(params.root, params.table or TABLE, "table")
    if path.is_file() or params.table:
        if params.label_from:
            raise DataError("label_from", f"is given, and so is the table {path}", "Give one of the two.")
        listed = list(_from_table(params, path))
        return [_file(params, *one) for one in listed], []
    found, other = _walk(params.root)
    files = []
    for name in found:
        path = inside(params.root, name, name)
        told = {"label": "" if params.label_from else name.split("/")[0]}
        if not params.label_from and "/" not in name:
            raise DataError(
                str(path),
                "lies in no subfolder, so it has no label",
                f"Move it into a folder per class, add a table {TABLE}, or give label_from.",
            )
        files.append(_file(params, str(path), path, told))
    notes = [f"{other} files left out: no DICOM files"] if other else []
    return files, notes


def _from_table(params: Params, path: Path) -> Iterator[tuple[str, Path, dict[str, str]]]:
    for where, told in read_table(path, COLUMNS):
        for name in COLUMNS:
            if not told[name]:
                raise DataError(f"{where}: {name}", "is missing", "Fill it in, or remove the row.")
        part = told.get("split", "")
        if part and part not in PARTS:
            raise DataError(
                f"{where}: split", f"'{part}' is none of {', '.join(PARTS)}", "Use one of these names."
            )
        file = inside(params.root, told["image"], f"{where}: image")
        if not file.is_file():
            raise DataError(
                where, f"lists '{told['image']}', which is not there", "Add it, or remove the row."
            )
        yield where, file, told


def _walk(root: Path) -> tuple[list[str], int]:
    """Names of the DICOM files below a folder, relative to it, in order; and how many files are none."""
    found, other = [], 0
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if any(part.startswith(".") for part in name.parts) or path.name == "DICOMDIR" or not path.is_file():
            continue
        if path.suffix.lower() in (".dcm", ".dicom") or is_dicom(path):
            found.append(name.as_posix())
        else:
            other += 1
    if not found:
        raise DataError(str(root), "holds no DICOM file", f"Add DICOM files, or a table {TABLE}.")
    return found, other


def _file(params: Params, where: str, path: Path, told: dict[str, str]) -> _File:
    """One file with what its row says, or else its header."""
    header = read_header(path, params.label_from)
    if header.frames > 1 and params.frames == "error":
        raise DataError(str(path), f"has {header.frames} frames", "Split it, or set frames to first.")
    label = header.label if params.label_from else told["label"]
    if not label:
        raise DataError(f"{path}: {params.label_from}", "is blank, so the file has no label", "Fill it in.")
    patient = told.get("patient_id") or header.patient_id
    if not patient:
        raise DataError(f"{path}: PatientID", "is blank", f"Add a column patient_id to a table {TABLE}.")
    name = path.relative_to(params.root).as_posix()
    age = told.get("age", "")
    return _File(
        where=where,
        path=path,
        image_id=f"dicom-{_hashed(params, header.uid or name)}",
        patient_id=f"patient-{_hashed(params, patient)}",
        label=params.labels.get(label, label),
        header=header,
        view=told.get("view") or header.view,
        age=_age(where, age) if age else header.age,
        sex=told.get("sex") or header.sex,
        site=told.get("site", ""),
        license=told.get("license", ""),
        split=told.get("split", ""),
    )


def _hashed(params: Params, text: str) -> str:
    """The first 64 bits of SHA-256; equal texts stay equal, and the text cannot be read from it."""
    return hashlib.sha256(f"{params.salt}\0{text}".encode()).hexdigest()[:16]


def _age(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(
            f"{where}: age", f"'{text}' is not a number", "Give years, or leave it blank."
        ) from None


def _of_classes(
    files: Sequence[_File], classes: tuple[str, ...], params: Params
) -> tuple[list[_File], list[str]]:
    """The files of the classes, and notes on those of ignored labels."""
    ignored: Counter[str] = Counter()
    kept = []
    for file in files:
        if file.label in params.ignore_labels:
            ignored[file.label] += 1
        elif file.label in classes:
            kept.append(file)
        else:
            error = unknown_name("label", file.label, list(classes))
            remedy = f"{error.remedy} Name its class with labels, or leave it out with ignore_labels."
            raise DataError(file.where, error.problem, remedy)
    if not kept:
        raise DataError(str(params.root), "has no file of any class", f"Expected {', '.join(classes)}.")
    return kept, [f"{n} files left out, label '{name}' ignored" for name, n in sorted(ignored.items())]


def _split_for_all_or_none(files: Sequence[_File]) -> None:
    first: dict[str, _File] = {}
    blank = [file for file in files if not file.split]
    if blank and len(blank) < len(files):
        raise DataError(f"{blank[0].where}: split", "is missing", "Give every row a split, or none.")
    for file in files:
        other = first.setdefault(file.patient_id, file)
        if other.split != file.split:
            raise DataError(
                f"{file.where}: split",
                f"is '{file.split}', and '{other.split}' for another file of its patient, {other.where}",
                "Give all files of a patient one split.",
            )


def _once(files: Sequence[_File]) -> tuple[list[_File], list[str]]:
    """Files with a SOPInstanceUID of their own; a second one of the same is left out."""
    kept: dict[str, _File] = {}
    for file in files:
        other = kept.setdefault(file.image_id, file)
        if other.label != file.label or other.patient_id != file.patient_id:
            raise DataError(
                file.where,
                f"is the same SOP instance as {other.where}, with another label or patient",
                "Keep one of the two.",
            )
    again = len(files) - len(kept)
    return list(kept.values()), [f"{again} files dropped: SOPInstanceUID there before"] if again else []


def _refuse_identifiable(files: Sequence[_File], params: Params) -> None:
    if params.identifiable == "note":
        return
    for file in files:
        found = [*file.header.identity, *(["BurnedInAnnotation"] if file.header.burned_in else [])]
        if found:
            raise DataError(
                str(file.path),
                f"does not look de-identified: {', '.join(found)}",
                "De-identify the files, or set identifiable to note.",
            )


def _header_notes(files: Sequence[_File]) -> Iterator[str]:
    """Warnings, as counts: notes are published, so they name no file and no value."""
    burned = sum(file.header.burned_in for file in files)
    if burned:
        yield f"BURNT-IN ANNOTATION: {burned} of {len(files)} files say that text is burnt into the picture"
    fields = Counter(name for file in files for name in file.header.identity)
    if fields:
        told = ", ".join(f"{name} {n}" for name, n in sorted(fields.items()))
        yield f"NOT DE-IDENTIFIED: files with an attribute that does not look anonymous: {told}"
    plain = sum(not file.header.window for file in files)
    if plain:
        yield f"{plain} files without a window or VOI LUT: the range of their stored bits is shown"
    multilabel = sum(file.header.frames > 1 for file in files)
    if multilabel:
        yield f"{multilabel} files have several frames, the first is read"


def _column(values: Iterable[str]) -> np.ndarray | None:
    texts: Any = np.array(list(values), dtype=np.str_)
    return texts if (texts != "").any() else None
