"""Decode each image of a source once: drop duplicates, and join the patients who share an image."""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.datasets._readers.folder_tree import first_of
from benchmark.datasets._readers.listing import LARGE, Record, image_set, refuse_two_splits
from benchmark.images.decoding import Fit, decode_gray, read_gray, to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages

THUMB = 32  # pixels
SAME_IMAGE = 0.999  # correlation of thumbnails; 0.9999 for one radiograph saved twice, below 0.94 otherwise


class Groups:
    """Disjoint groups of items; a group is named by its first member."""

    def __init__(self, items: Iterable[Any]) -> None:
        from scipy.cluster.hierarchy import DisjointSet

        self._place = {item: place for place, item in enumerate(dict.fromkeys(items))}
        self._sets = DisjointSet(self._place)
        self.join = self._sets.merge

    def find(self, item: Any) -> Any:
        """Return the name of an item's group."""
        return min(self._sets.subset(item), key=self._place.__getitem__)

    def join_known(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Join the pairs of which both are items."""
        for pair in pairs:
            if self._place.keys() >= set(pair):
                self.join(*pair)

    def members(self) -> list[list[Any]]:
        """Return every group, in the order of its first member."""
        return [sorted(group, key=self._place.__getitem__) for group in self._sets.subsets()]

    def note(self) -> list[str]:
        """Return a note on the patient ids that were joined."""
        joined = [" = ".join(map(str, group)) for group in self.members() if len(group) > 1]
        return [f"ids joined, one patient each: {', '.join(joined)}"] if joined else []


def read_images(
    records: Sequence[Record],
    classes: tuple[str, ...],
    image_size: int,
    *,
    source: str,
    fit: Fit,
    same_patient: Iterable[tuple[str, str]] = (),
) -> ImageSet:
    """Read the images of a table, each once.

    A file that is listed twice, and an image that is in two files, is read once, and its patients become
    one. Listed under two classes, it is left out. Two files of one patient count as one image only when they
    are equal pixel by pixel, since follow-ups and video frames look alike. More than ``LARGE`` files are not
    compared, and each is decoded when it is read.

    Args:
        records: their files exist, see ``listing.present``, and their labels are ``classes``.
        same_patient: pairs of ids that are known to belong to one person.
    Returns:
        The set; its card notes everything that was changed.
    Raises:
        DataError: an image cannot be read, or one patient is in two given splits.
    """
    patients = Groups(record.patient_id for record in records)
    patients.join_known(same_patient)
    by_file: dict[Path, list[Record]] = {}
    for record in records:
        by_file.setdefault(record.path.resolve(), []).append(record)
    listed, notes = _merge(by_file.values(), patients, "files listed in several records")
    if len(listed) > LARGE:
        refuse_two_splits(records, patients.find)
        notes += [*patients.note(), f"{len(listed)} files were not compared; data verify does it"]
        lazy = LazyImages.each(
            lambda k: read_gray(listed[k].path, image_size, fit=fit), len(listed), image_size
        )
        return replace(image_set(listed, lazy, classes, source, patients.find), card={"notes": notes})

    decoded = [_decode(record, image_size, fit) for record in listed]
    chosen, more = _unique(listed, decoded, patients)
    refuse_two_splits(records, patients.find)
    by_id = {record.image_id: each for record, each in zip(listed, decoded, strict=True)}
    shown = [by_id[record.image_id] for record in chosen]
    small = sum(each.small for each in shown)
    enlarged = [f"{small} images with a side below {image_size} pixels were enlarged"] if small else []
    pixels = [each.pixels for each in shown]
    image = np.stack(pixels) if pixels else np.zeros((0, image_size, image_size), np.uint8)
    notes = [*notes, *more, *patients.note(), *enlarged]
    return replace(image_set(chosen, image, classes, source, patients.find), card={"notes": notes})


def same_thumbnails(thumbs: np.ndarray, at_least: float = SAME_IMAGE) -> Iterator[tuple[int, int]]:
    """Yield the pairs i < j of thumbnails that correlate by at least ``at_least``.

    Args:
        thumbs: (N, H, W) uint8, none constant.
    """
    flat = thumbs.reshape(len(thumbs), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    for start in range(0, len(flat), 1024):
        alike = flat[start : start + 1024] @ flat.T >= at_least
        for i, j in np.argwhere(alike):
            if start + i < j:
                yield int(start + i), int(j)


@dataclass(frozen=True)
class _Decoded:
    pixels: np.ndarray
    thumb: np.ndarray
    small: bool


def _decode(record: Record, size: int, fit: Fit) -> _Decoded:
    gray = decode_gray(record.path, at_least=3 * max(size, THUMB))
    thumb = np.asarray(gray.resize((THUMB, THUMB), reducing_gap=3.0))  # four times faster than to_square
    return _Decoded(to_square(gray, size, fit=fit), thumb, min(gray.size) < size)


def _unique(
    listed: Sequence[Record], decoded: Sequence[_Decoded], patients: Groups
) -> tuple[list[Record], list[str]]:
    """Return one record per image, and notes."""
    groups, digest = Groups(range(len(listed))), functools.cache(_digest)
    for i, j in same_thumbnails(np.stack([each.thumb for each in decoded])) if decoded else ():
        a, b = listed[i], listed[j]
        if a.patient_id != b.patient_id or digest(a.path) == digest(b.path):
            groups.join(i, j)
    by_image = [[listed[k] for k in group] for group in groups.members()]
    return _merge(by_image, patients, "images in several files")


def _digest(path: Path) -> str:
    """Return the SHA-256 of an image's size and gray values."""
    gray = decode_gray(path)
    return hashlib.sha256(repr(gray.size).encode() + gray.tobytes()).hexdigest()


def _merge(groups: Iterable[list[Record]], patients: Groups, kind: str) -> tuple[list[Record], list[str]]:
    """Keep the first record of each group and join the group's patients; drop a group of two classes."""
    chosen, repeats, disputed = [], 0, []
    for group in groups:
        for record in group[1:]:
            patients.join(group[0].patient_id, record.patient_id)
        if len({record.label for record in group}) > 1:
            disputed.append(group[0].image_id)
            continue
        chosen.append(group[0])
        repeats += len(group) - 1
    notes = [f"{repeats} duplicates dropped: {kind}"] if repeats else []
    if disputed:
        notes.append(f"{len(disputed)} images left out, listed under two classes: {first_of(disputed)}")
    return chosen, notes
