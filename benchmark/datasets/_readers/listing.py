"""From the rows of a table of pictures to one ImageSet: reading, merging duplicates, joining patients."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets._readers.folder_tree import Use, first_of, forbids, note_missing
from benchmark.datasets._readers.tables import read_table
from benchmark.errors import DataError
from benchmark.images.decoding import Fit, decode_gray, read_gray, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import Pixels
from benchmark.utils.hashing import sha256_file, sha256_of

__all__ = [
    "Row", "allowed", "existing_folder", "fingerprint_rows", "left_out", "present", "read_rows", "read_table",
    "refuse_vanished", "same_pictures",
]  # fmt: skip

LARGE = 10_000  # pictures; up to here they are decoded at once and compared, beyond that when looked at
THUMB = 32
SAME_PICTURE = 0.999  # correlation of thumbnails; 0.9999 for one radiograph saved twice, below 0.94 otherwise


@dataclass(frozen=True)
class Row:
    """One row of a table: a picture, its class and its patient; unknown texts empty, unknown age NaN."""

    where: str
    path: Path
    image_id: str
    patient_id: str
    label: str
    view: str = ""
    age: float = float("nan")
    sex: str = ""
    site: str = ""
    license: str = ""
    split: str = ""


class _Groups:
    """Union-find; a group goes by the member that came first."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._parent: dict[Any, Any] = {item: item for item in items}
        self._rank = {item: rank for rank, item in enumerate(self._parent)}

    def find(self, item: Any) -> Any:
        while self._parent[item] != item:
            item = self._parent[item]
        return item

    def join(self, a: Any, b: Any) -> None:
        first, second = sorted((self.find(a), self.find(b)), key=self._rank.__getitem__)
        self._parent[second] = first

    def members(self) -> list[list[Any]]:
        """Every group, in the order of its first member."""
        groups: dict[Any, list[Any]] = {}
        for item in self._parent:
            groups.setdefault(self.find(item), []).append(item)
        return list(groups.values())


def existing_folder(root: Path) -> None:
    """Refuse a root that is missing, not a folder, or empty."""
    if not root.is_dir():
        raise DataError(str(root), "no such folder", "Give the dataset's folder as root.")
    if not any(root.iterdir()):
        raise DataError(
            str(root), "the folder is empty", "Download the dataset into it, or give another root."
        )


def present(rows: Sequence[Row], allow_missing: float) -> tuple[list[Row], list[str]]:
    """The rows whose picture is there, and a note on the others.

    Args:
        allow_missing: the share of the rows whose picture may be missing.
    Raises:
        DataError: more are missing; names the first.
    """
    there = {path: path.is_file() for path in {row.path for row in rows}}
    missing = [row for row in rows if not there[row.path]]
    if not missing:
        return list(rows), []
    names = [row.image_id for row in missing]
    notes = note_missing(names, len(rows), allow_missing, missing[0].where, missing[0].path)
    return [row for row in rows if there[row.path]], notes


def allowed(rows: Sequence[Row], use: Use) -> tuple[list[Row], list[str]]:
    """The rows whose license allows a use, and a note on the others."""
    kept = [row for row in rows if not forbids(row.license, use)]
    gone = Counter(row.license or "not stated" for row in rows if forbids(row.license, use))
    return kept, left_out(f"license forbids {use} use", gone)


def refuse_vanished(
    before: Sequence[Row], after: Sequence[Row], classes: Iterable[str], use: Use, where: str
) -> None:
    """Refuse a use that leaves a class without pictures.

    Raises:
        DataError: names the class.
    """
    had, have = Counter(row.label for row in before), Counter(row.label for row in after)
    for name in classes:
        if had[name] and not have[name]:
            raise DataError(
                f"{where}: '{name}'",
                f"none of its {had[name]} pictures has a license that allows {use} use",
                "Set use to research where it is, drop the class, or ask the owners.",
            )


def left_out(reason: str, counts: Counter[str]) -> list[str]:
    """A note on rows that are left out, by kind, the most frequent first."""
    if not counts:
        return []
    kinds = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{counts.total()} rows left out, {reason}: {', '.join(f'{name} {n}' for name, n in kinds)}"]


def fingerprint_rows(rows: Sequence[Row]) -> str:
    """SHA-256 over what the rows say and the bytes of the files that they name, not over where these lie.

    Of more than ``LARGE`` rows the files' sizes stand for their bytes.
    """
    large = len(rows) > LARGE
    files: dict[Path, str | int] = {}
    said = []
    for row in rows:
        if row.path not in files:
            files[row.path] = row.path.stat().st_size if large else sha256_file(row.path)
        age = None if np.isnan(row.age) else row.age
        texts = [row.image_id, row.patient_id, row.label, row.view, row.sex, row.site, row.license, row.split]
        said.append([texts, age, files[row.path]])
    return sha256_of(said)


def read_rows(
    rows: Sequence[Row],
    classes: tuple[str, ...],
    image_size: int,
    *,
    source: str,
    fit: Fit,
    same_patient: Iterable[tuple[str, str]] = (),
) -> ImageSet:
    """Read the pictures of a table, each once.

    A file that is listed twice, and a picture that is in two files, is kept once, and its patients
    become one. Listed under two classes, it is left out. Two different files of one patient count as
    one picture only when they are equal pixel by pixel, since follow-ups and video frames look alike.
    More than ``LARGE`` files are not compared, and each is decoded when it is looked at.

    Args:
        rows: their pictures are there, see ``present``.
        classes: the label of every row is one of them.
        same_patient: pairs of ids that are known to belong to one person.
    Returns:
        The set; its card notes everything that was changed.
    Raises:
        DataError: a picture cannot be read, or one patient is in two given splits.
    """
    patients = _Groups(row.patient_id for row in rows)
    known = {row.patient_id for row in rows}
    for pair in same_patient:
        if known.issuperset(pair):
            patients.join(*pair)

    by_file: dict[Path, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row.path.resolve(), []).append(row)
    listed, notes = _merge(by_file.values(), patients, "files listed in several rows")

    if len(listed) > LARGE:
        _refuse_two_splits(rows, patients)
        notes += [*_joined_note(patients), f"{len(listed)} files were not compared; data verify does it"]
        unread = Pixels.each(
            lambda i: read_gray(listed[i].path, image_size, fit=fit), len(listed), image_size
        )
        return replace(_image_set(listed, unread, patients, classes, source), card={"notes": notes})

    pictures = [_decode(row, image_size, fit) for row in listed]
    groups, digest = _Groups(range(len(listed))), functools.cache(_digest)
    for i, j in same_pictures(np.stack([p.thumb for p in pictures])) if pictures else ():
        if listed[i].patient_id != listed[j].patient_id or digest(listed[i].path) == digest(listed[j].path):
            groups.join(i, j)
    by_picture = [[listed[i] for i in group] for group in groups.members()]
    kept, more = _merge(by_picture, patients, "pictures found in several files")

    _refuse_two_splits(rows, patients)
    pixels = {row.image_id: picture for row, picture in zip(listed, pictures, strict=True)}
    shown = [pixels[row.image_id] for row in kept]
    notes = [*notes, *more, *_joined_note(patients), *_small_note(shown, image_size)]
    size = (image_size, image_size)
    pixels_shown = np.stack([p.pixels for p in shown]) if shown else np.zeros((0, *size), np.uint8)
    return replace(_image_set(kept, pixels_shown, patients, classes, source), card={"notes": notes})


def same_pictures(thumbs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs i < j of thumbnails that correlate by at least ``SAME_PICTURE``.

    Args:
        thumbs: (N, H, W) uint8, none constant.
    """
    flat = thumbs.reshape(len(thumbs), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    for start in range(0, len(flat), 1024):
        alike = flat[start : start + 1024] @ flat.T >= SAME_PICTURE
        for i, j in np.argwhere(alike):
            if start + i < j:
                yield int(start + i), int(j)


@dataclass(frozen=True)
class _Picture:
    pixels: np.ndarray
    thumb: np.ndarray
    small: bool


def _decode(row: Row, size: int, fit: Fit) -> _Picture:
    gray = decode_gray(row.path, at_least=3 * max(size, THUMB))
    thumb = np.asarray(gray.resize((THUMB, THUMB), reducing_gap=3.0))  # four times faster than to_square
    return _Picture(to_square(gray, size, fit=fit), thumb, min(gray.size) < size)


def _digest(path: Path) -> str:
    """SHA-256 of a picture's size and gray values."""
    gray = decode_gray(path)
    return hashlib.sha256(repr(gray.size).encode() + gray.tobytes()).hexdigest()


def _merge(groups: Iterable[list[Row]], patients: _Groups, what: str) -> tuple[list[Row], list[str]]:
    """Keep the first row of each group, join the group's patients; a group of two classes goes."""
    kept, again, disputed = [], 0, []
    for group in groups:
        for row in group[1:]:
            patients.join(group[0].patient_id, row.patient_id)
        if len({row.label for row in group}) > 1:
            disputed.append(group[0].image_id)
            continue
        kept.append(group[0])
        again += len(group) - 1
    notes = [f"{again} duplicates dropped: {what}"] if again else []
    if disputed:
        notes.append(f"{len(disputed)} pictures left out, listed under two classes: {first_of(disputed)}")
    return kept, notes


def _refuse_two_splits(rows: Sequence[Row], patients: _Groups) -> None:
    first: dict[Any, Row] = {}
    for row in rows:
        other = first.setdefault(patients.find(row.patient_id), row)
        if other.split != row.split:
            who = f"patient '{row.patient_id}'"
            if other.patient_id != row.patient_id:
                who += f", the same person as '{other.patient_id}' (they share a picture),"
            raise DataError(
                row.where,
                f"{who} is in split '{row.split}' and, {other.where}, in split '{other.split}'",
                "Give all pictures of a patient one split.",
            )


def _joined_note(patients: _Groups) -> list[str]:
    multilabel = [" = ".join(map(str, group)) for group in patients.members() if len(group) > 1]
    return [f"ids joined, one patient each: {', '.join(multilabel)}"] if multilabel else []


def _small_note(pictures: Sequence[_Picture], size: int) -> list[str]:
    small = sum(p.small for p in pictures)
    return [f"{small} pictures with a side below {size} pixels were enlarged"] if small else []


def _image_set(
    rows: Sequence[Row],
    pixels: np.ndarray | Pixels,
    patients: _Groups,
    classes: tuple[str, ...],
    source: str,
) -> ImageSet:
    def column(values: Iterable[str]) -> np.ndarray | None:
        texts = np.array(list(values), dtype=np.str_)
        return texts if (texts != "").any() else None

    age = np.array([row.age for row in rows], dtype=np.float64)
    return ImageSet(
        image=pixels,
        label=np.array([classes.index(row.label) for row in rows], dtype=np.int64),
        classes=classes,
        image_id=np.array([row.image_id for row in rows], dtype=np.str_),
        patient_id=np.array([patients.find(row.patient_id) for row in rows], dtype=np.str_),
        origin=np.full(len(rows), f"real:{source}"),
        site=column(row.site for row in rows),
        view=column(row.view for row in rows),
        age=age if np.isfinite(age).any() else None,
        sex=column(row.sex for row in rows),
        license=column(row.license for row in rows),
        split=column(row.split for row in rows),
    )
