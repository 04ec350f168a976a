"""Any image data set of the ``datasets`` library: from a folder, or from the Hub at a pinned revision."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.hub_columns import Table, read_table
from benchmark.datasets._readers.listing import LARGE, check_classes, with_card
from benchmark.datasets._readers.same_images import Groups
from benchmark.errors import DataError, unknown_name
from benchmark.images.decoding import Fit, decode_bytes, to_square
from benchmark.images.hub import Location
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.plugins.source import CONDITIONS

version = "2"
conditions = CONDITIONS  # those whose columns the data set has

NO_PATIENTS = (
    "PATIENTS UNKNOWN: the data set has no column of patients, every image counts as a patient; "
    "two images of one person may be in train and test"
)


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the data set, and how it is read.

    Attributes:
        root: folder: images by class, Parquet, Arrow, or as ``save_to_disk`` leaves it.
        name: ``owner/name`` on the Hub, instead of a folder.
        revision: its commit, 40 hexadecimal digits; required with ``name``.
        config: the configuration, where the data set has several.
        columns: the data set's own names of columns, by ours: ``image``, ``label``, ``patient_id``,
            ``mask``, ``prompt``, ``view``, ``age``, ``sex``, ``split`` and the others of an image set. A
            column that is not named has our name, or is absent; null leaves it out.
        labels: class per label of the data set, where they have other names than the classes; a label
            without a name is its number.
        ignore_labels: labels to leave out; any other that is not a class is an error. In a list of labels
            they count as absent, such as ``No Finding``.
        parts: our split per split of the data set; an empty text where the task divides. Others are left
            out. By default a single split is divided, and of several ``validation`` is ``val``.
        fit: ``stretch`` to a square as in Schaudt et al. 2023, Table 4, or ``pad`` with black.
    """

    root: Path | None = None
    name: str | None = None
    revision: str | None = None
    config: str | None = None
    columns: dict[str, str | None] = {}
    labels: dict[str | int, str] = {}
    ignore_labels: tuple[str, ...] = ()
    parts: dict[str, str] | None = Field(None, min_length=1)
    fit: Fit = "stretch"

    @property
    def location(self) -> Location:
        """The location; raises DataError for a revision that is not pinned."""
        return Location(self.root, self.name, self.revision, self.config)


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the files of the folder, or of the name and the commit on the Hub.

    Raises:
        DataError: no such folder, an unpinned revision, or the library cannot read it.
    """
    return params.location.fingerprint()


def conditions_of(params: Params) -> frozenset[str]:
    """Return the columns of the data set that are conditions.

    Raises:
        DataError: as ``images``.
    """
    return conditions & read_table(params.location, params.columns, params.parts).names


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """List the images of these classes; pictures are decoded when they are read.

    Of a data set with a list of labels per image all task's classes are labels, and an image of other labels
    alone is left out. Of up to ``LARGE`` images equal files count once, and their patients become one.

    Args:
        classes: in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the data set, a column or a label is missing or wrong; and, when an image is read, a
            picture that is corrupt or of one gray value.
    """
    table = read_table(params.location, params.columns, params.parts)
    notes = list(table.notes)
    table, label, ignored = _labeled(table, params, classes)
    if len(table) <= LARGE:
        table, label, repeated = _unique(table, label)
        notes += repeated
    else:
        notes.append(f"{len(table)} images were not compared; data verify does it")
    if "patient_id" not in table.columns:
        notes.append(NO_PATIENTS)
    columns: dict[str, Any] = {
        "patient_id": table.columns["image_id"],
        "origin": np.full(len(table), "real:huggingface"),
        **table.columns,
    }
    mask = None
    if "mask" in table.names:
        mask = LazyImages.each(lambda k: _mask(table, k, image_size, params.fit), len(table), image_size)
    listed = ImageSet(
        image=LazyImages.each(lambda k: _image(table, k, image_size, params.fit), len(table), image_size),
        mask=mask,
        label=label,
        classes=classes,
        **columns,
    )
    return with_card(listed, [*notes, *ignored], fit=params.fit, **table.about)


def _labeled(table: Table, params: Params, classes: tuple[str, ...]) -> tuple[Table, np.ndarray, list[str]]:
    """Return the rows of the classes with their labels, and notes on the others."""
    names = {str(k): v for k, v in params.labels.items()}
    of_row = [[names.get(label, label) for label in labels] for labels in table.labels]
    index = {name: k for k, name in enumerate(classes)}
    present = {name for labels in of_row for name in labels}
    if not present & index.keys():
        remedy = "Name their classes: --set labels={NAME: CLASS}."
        raise DataError(table.where, f"has no image of any class; its labels are {_some(present)}", remedy)
    if table.multilabel:
        check_classes(classes, {*present, *(names.get(n, n) for n in table.known)}, "huggingface")
        label = np.zeros((len(table), len(classes)), np.uint8)
        of_row = [[name for name in labels if name not in params.ignore_labels] for labels in of_row]
        for row, labels in enumerate(of_row):
            label[row, [index[name] for name in labels if name in index]] = 1
        keep = label.any(1) | np.array([not labels for labels in of_row])
        note = f"{(~keep).sum()} images left out, none of their labels is a class"
        return table.select(np.flatnonzero(keep)), label[keep], [note] if not keep.all() else []
    single = [labels[0] for labels in of_row]
    for row, name in enumerate(single):
        if name not in index and name not in params.ignore_labels:
            error = unknown_name("label", name, list(classes))
            remedy = f"{error.remedy} Rename: --set labels={{NAME: CLASS}}; or --set ignore_labels=[NAME]."
            raise DataError(f"{table.where}: {table.place(row)}", error.problem, remedy)
    keep = np.array([name in index and name not in params.ignore_labels for name in single])
    counts = Counter(name for name, stays in zip(single, keep, strict=True) if not stays)
    notes = [f"{n} images left out, label '{name}' ignored" for name, n in sorted(counts.items())]
    label = np.array([index.get(name, -1) for name in single], np.int64)
    return table.select(np.flatnonzero(keep)), label[keep], notes


def _some(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names)[:10]) + (", ..." if len(names) > 10 else "")


def _unique(table: Table, label: np.ndarray) -> tuple[Table, np.ndarray, list[str]]:
    """Return one row per picture's bytes, and notes; a picture with two labels is left out."""
    groups: dict[bytes, list[int]] = {}
    for k in range(len(table)):
        groups.setdefault(hashlib.sha256(table.picture("image", k)).digest(), []).append(k)
    agreed = [rows for rows in groups.values() if all((label[k] == label[rows[0]]).all() for k in rows)]
    repeats = sum(len(rows) - 1 for rows in agreed)
    notes = [f"{repeats} duplicates dropped: equal files"] if repeats else []
    if disputed := len(groups) - len(agreed):
        notes.append(f"{disputed} images left out, listed under two classes")
    patient = table.columns.get("patient_id")
    if patient is not None:
        patients = Groups(patient.tolist())
        for first, *others in groups.values():
            patients.join_known((str(patient[first]), str(patient[other])) for other in others)
        joined = np.array([patients.find(name) for name in patient.tolist()])
        table = replace(table, columns={**table.columns, "patient_id": joined})
        notes += patients.note()
    indices = np.array([rows[0] for rows in agreed], np.int64)
    return table.select(indices), label[indices], notes


def _image(table: Table, row: int, size: int, fit: Fit) -> np.ndarray:
    where = f"{table.where}: {table.place(row)}"
    return to_square(decode_bytes(table.picture("image", row), where), size, fit=fit)


def _mask(table: Table, row: int, size: int, fit: Fit) -> np.ndarray:
    """Return 255 where a mask is above half of its maximum, 0 elsewhere or where it is absent."""
    from PIL import Image

    if table.is_empty("mask", row):
        return np.zeros((size, size), np.uint8)
    where = f"{table.where}: mask of {table.place(row)}"
    values = np.asarray(decode_bytes(table.picture("mask", row), where, blank=True))
    inside = Image.fromarray((values > values.max() / 2).astype(np.uint8) * 255)
    return ((to_square(inside, size, fit=fit) > 127) * 255).astype(np.uint8)
