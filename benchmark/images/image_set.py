"""Frozen records that pass between stages: image sets and their splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.lazy import as_lazy, blocks, join, select

PER_IMAGE = (
    "image_id", "patient_id", "origin", "site", "view", "age", "sex", "prompt", "license", "clip", "split",
    "laterality", "severity", "source_id",
)  # fmt: skip
TABLES = ("reported_labels", "soft", "box")  # (N, ...) numbers beside the label
POSITIVE, NEGATIVE, UNCERTAIN, NOT_MENTIONED = 1, 0, -1, -2  # what a radiology report states of a finding


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labeled grayscale images of one split or of one generator.

    Attributes:
        image: (N, H, W) uint8, 0 black to 255 white: an array, or ``LazyImages`` that are decoded when read.
        label: (N,) int64 index into ``classes``; or (N, K) uint8, 1 for every class that an image has.
        classes: names of the K classes, in the task's order.
        image_id: (N,) str, unique.
        patient_id: (N,) str; a synthetic image is a separate patient unless its generator says otherwise.
        origin: (N,) str, ``real:<source>`` or ``synthetic:<generator>``.
        site, view, age, sex, prompt, license: (N,) where known, else None.
        clip: (N,) str, the video that a frame is from, empty for a still image; None without videos.
        laterality, severity: (N,) str, of the finding, where known, else None.
        source_id: (N,) str, ``image_id`` of the real image that a synthetic one came from, or None.
        split: (N,) str, the split that the source gives an image, empty where the task divides; or None.
        reported_labels: (N, K) int8, each class according to the radiology report: 1 positive, 0 negative,
            -1 uncertain, -2 not mentioned; None where ``label`` holds all that is known.
        soft: (N, K) float32 probabilities to train on, from a classifier that pseudo-labels; else None.
        mask: (N, H, W) uint8, 255 inside a finding, where known, else None.
        box: (N, 4) float32 left, top, width and height of the finding in pixels, NaN without one; or None.
        card: description of the source (JSON values); ``notes`` lists warnings.
    """

    image: Any  # an array, or LazyImages, which is no subtype of an array but is used like one
    label: np.ndarray
    classes: tuple[str, ...]
    image_id: np.ndarray
    patient_id: np.ndarray
    origin: np.ndarray
    site: np.ndarray | None = None
    view: np.ndarray | None = None
    age: np.ndarray | None = None
    sex: np.ndarray | None = None
    prompt: np.ndarray | None = None
    license: np.ndarray | None = None
    clip: np.ndarray | None = None
    split: np.ndarray | None = None
    reported_labels: np.ndarray | None = None
    soft: np.ndarray | None = None
    laterality: np.ndarray | None = None
    severity: np.ndarray | None = None
    source_id: np.ndarray | None = None
    mask: Any = None
    box: np.ndarray | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, k = len(self.image), len(self.classes)
        if self.image.dtype != np.uint8 or self.image.ndim != 3:
            shape = self.image.shape
            raise DataError("ImageSet.image", f"is {self.image.dtype} {shape}, expected uint8 (N, H, W)")
        if self.mask is not None and (self.mask.shape != self.image.shape or self.mask.dtype != np.uint8):
            raise DataError("ImageSet.mask", f"expected uint8 of shape {self.image.shape}")
        for name in ("label", *PER_IMAGE, *TABLES):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"ImageSet.{name}", f"has {len(column)} entries for {n} images")
        for name, width in zip(TABLES, (k, k, 4), strict=True):
            column = getattr(self, name)
            if column is not None and column.shape != (n, width):
                raise DataError(f"ImageSet.{name}", f"has shape {column.shape}, expected {(n, width)}")
        if self.multilabel and (self.label.shape[1] != k or self.label.dtype != np.uint8):
            shape = self.label.shape
            raise DataError("ImageSet.label", f"is {self.label.dtype} {shape}, expected uint8 (N, {k})")
        highest = 1 if self.multilabel else k - 1
        if self.label.size and (self.label.min() < 0 or self.label.max() > highest):
            raise DataError("ImageSet.label", f"outside 0..{highest}")
        if len(np.unique(self.image_id)) != n:
            raise DataError("ImageSet.image_id", "has duplicates", "Give every image a unique id.")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Height of the images in pixels."""
        return int(self.image.shape[1])

    @property
    def multilabel(self) -> bool:
        """True if an image may have several classes."""
        return self.label.ndim == 2

    def counts(self) -> dict[str, int]:
        """Return the images per class, every class named; an image with several classes counts in each."""
        n = self.label.sum(0) if self.multilabel else np.bincount(self.label, minlength=len(self.classes))
        return {c: int(k) for c, k in zip(self.classes, n, strict=True)}

    def patients(self) -> set[str]:
        return set(self.patient_id.tolist())

    def columns(self) -> dict[str, Any]:
        """Return every array that has an entry per image, in the order of the fields."""
        columns = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("classes", "card")}
        return {name: column for name, column in columns.items() if column is not None}

    def noted(self, *notes: str) -> ImageSet:
        """Return the same images with more warnings in the card."""
        return replace(self, card={**self.card, "notes": [*self.card.get("notes", ()), *notes]})

    def select(self, index: np.ndarray | Sequence[int]) -> ImageSet:
        """Return the images at these indices (or under this boolean mask), in this order."""
        indices = np.asarray(index, dtype=None if len(index) else np.int64)
        return replace(self, **{name: select(column, indices) for name, column in self.columns().items()})

    def as_lazy(self) -> ImageSet:
        """Return the same set, whose selections copy no pixels of a memory map that processes share."""
        mask = None if self.mask is None else as_lazy(self.mask)
        return replace(self, image=as_lazy(self.image), mask=mask)

    def of_class(self, label: int) -> ImageSet:
        """Return the images of one class."""
        return self.select(np.flatnonzero(self.label[:, label] if self.multilabel else self.label == label))

    def to_single_label(self) -> ImageSet:
        """Return the images with one class index each: of several classes, the rarest in this set.

        ``reported_labels`` keeps every class, 1 or 0. Images without any class are left out.
        """
        if not self.multilabel:
            return self
        labeled = self.select(np.flatnonzero(self.label.any(1)))
        rarest_first = np.argsort(self.label.sum(0), kind="stable")
        label = rarest_first[labeled.label[:, rarest_first].argmax(1)].astype(np.int64)
        return replace(labeled, label=label, reported_labels=labeled.label.astype(np.int8))

    def only(self, classes: Sequence[str]) -> ImageSet:
        """Return the single-label images of these classes, renumbered; a multi-label set stays as it is."""
        indices = [k for k, name in enumerate(self.classes) if name in classes]
        return self if self.multilabel or len(indices) == len(self.classes) else self.restrict(indices)

    def members(self, indices: Sequence[int]) -> np.ndarray:
        """Return (N,) bool, the images that ``restrict`` keeps."""
        if not self.multilabel:
            return np.isin(self.label, indices)
        return np.asarray(self.label[:, indices].any(1) | ~self.label.any(1))

    def restrict(self, indices: Sequence[int]) -> ImageSet:
        """Return the images of the classes at these indices, which become the classes, in this order.

        A multi-label image stays if it has one of these classes, or if it has no class at all.
        """
        chosen = self.select(np.flatnonzero(self.members(indices)))
        number = np.full(len(self.classes), -1)
        number[list(indices)] = np.arange(len(indices))
        per_class = ("reported_labels", "soft")
        tables = {n: table[:, indices] for n, table in chosen.columns().items() if n in per_class}
        label = chosen.label[:, indices] if self.multilabel else number[chosen.label]
        return replace(chosen, label=label, classes=tuple(self.classes[k] for k in indices), **tables)

    def content_hash(self) -> str:
        """Return the SHA-256 of everything but the card."""
        digest = hashlib.sha256(json.dumps([list(self.classes), list(self.image.shape)]).encode())
        for name, column in self.columns().items():
            digest.update(name.encode())
            if column.dtype.kind in "UO":
                digest.update("\0".join(map(str, column)).encode())
            else:
                for part in blocks(column):
                    digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def concatenate(parts: Iterable[ImageSet]) -> ImageSet:
    """Join several sets in order; a column that one of them lacks is dropped."""
    first, *_ = sets = list(parts)
    if any(s.classes != first.classes or s.image.shape[1:] != first.image.shape[1:] for s in sets):
        raise DataError("concatenate", "the sets differ in classes or image size")
    if any(s.multilabel != first.multilabel for s in sets):
        raise DataError("concatenate", "some sets are single-label, others multi-label")
    columns: dict[str, Any] = {
        name: None if any(getattr(s, name) is None for s in sets) else join([getattr(s, name) for s in sets])
        for name in first.columns()
    }
    return replace(first, **columns)


@dataclass(frozen=True, eq=False)
class Splits:
    """The images of a task, divided by patient.

    Attributes:
        train, val, test: disjoint by patient.
        reserve: real images that only the control ``oracle`` may learn from.
        more_tests: further test splits, named ``test_...``: ``test_paper`` has the published size,
            ``test_site`` comes from another site.
        notes: recorded warnings and exclusions, one line each.
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    reserve: ImageSet
    more_tests: Mapping[str, ImageSet] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.more_tests:
            if not name.startswith("test_"):
                raise DataError("Splits.more_tests", f"has '{name}'", "A name begins with test_.")

    @property
    def tests(self) -> dict[str, ImageSet]:
        """All test splits by name."""
        return {"test": self.test, **self.more_tests}

    def named(self) -> dict[str, ImageSet]:
        """Return all splits by name."""
        sets = {"train": self.train, "val": self.val, "test": self.test, "reserve": self.reserve}
        return {**sets, **self.more_tests}


@dataclass(frozen=True, eq=False)
class Learning:
    """The data that a fit may read; ``reserve`` is None except for the control ``oracle``.

    The methods change every part as those of ``ImageSet`` do.
    """

    train: ImageSet
    val: ImageSet
    reserve: ImageSet | None = None

    def of_class(self, label: int) -> Learning:
        return self._each(lambda images: images.of_class(label))

    def only(self, classes: Sequence[str]) -> Learning:
        return self._each(lambda images: images.only(classes))

    def to_single_label(self) -> Learning:
        return self._each(ImageSet.to_single_label)

    def _each(self, change: Callable[[ImageSet], ImageSet]) -> Learning:
        reserve = None if self.reserve is None else change(self.reserve)
        return Learning(change(self.train), change(self.val), reserve)
