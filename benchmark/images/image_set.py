"""The frozen records that pass between stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.lazy import blocks, join, unread
from benchmark.images.lazy import select as select_pixels

PER_IMAGE = (
    "image_id", "patient_id", "origin", "site", "view", "age", "sex", "prompt", "license", "clip", "split",
)  # fmt: skip
TABLES = ("report", "soft", "box")  # (N, ...) numbers beside the label
POSITIVE, NEGATIVE, UNCERTAIN, NOT_MENTIONED = 1, 0, -1, -2  # what a report says of a finding


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labeled grayscale images of one split, or of one generator.

    Attributes:
        image: (N, H, W) uint8, 0 black to 255 white; an array, or ``Pixels`` that are read when looked at.
        label: (N,) int64 index into ``classes``, or (N, K) uint8, 1 for every class that an image has.
        classes: names of the K classes, in the task's order.
        image_id: (N,) str, unique.
        patient_id: (N,) str; a synthetic image is a patient of its own.
        origin: (N,) str, ``real:<source>`` or ``synthetic:<generator>``.
        site, view, age, sex, prompt, license: (N,) where known, else None.
        clip: (N,) str, the video that a frame is from, empty for a still image; None where there are none.
        split: (N,) str, the split that the source gives an image, empty where the task divides; or None.
        report: (N, K) int8, what a report says of every class: 1 positive, 0 negative, -1 uncertain,
            -2 not mentioned; None where the labels are all there is.
        soft: (N, K) float32 probabilities to train on, where a teacher has guessed labels, else None.
        mask: (N, H, W) uint8, 255 inside a finding, where known, else None.
        box: (N, 4) float32 left, top, width, height of the finding in pixels, NaN without one; or None.
        card: where the images come from, in words and numbers (JSON values); ``notes`` lists warnings.
    """

    image: Any  # an array or Pixels, which is no subtype but does what arrays do here
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
    report: np.ndarray | None = None
    soft: np.ndarray | None = None
    mask: Any = None
    box: np.ndarray | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, k = len(self.image), len(self.classes)
        if self.image.dtype != np.uint8 or self.image.ndim != 3:
            raise DataError(
                "ImageSet.image",
                f"got {self.image.dtype} of shape {self.image.shape}, expected uint8 (N, H, W)",
            )
        if self.mask is not None and (self.mask.shape != self.image.shape or self.mask.dtype != np.uint8):
            raise DataError("ImageSet.mask", f"expected uint8 of shape {self.image.shape}")
        for name in ("label", *PER_IMAGE, *TABLES):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"ImageSet.{name}", f"has {len(column)} entries for {n} images")
        for name, width in (("report", k), ("soft", k), ("box", 4)):
            column = getattr(self, name)
            if column is not None and column.shape != (n, width):
                raise DataError(f"ImageSet.{name}", f"has shape {column.shape}, expected {(n, width)}")
        self._check_label()
        if len(np.unique(self.image_id)) != n:
            raise DataError("ImageSet.image_id", "has duplicates", "Give every image an id of its own.")

    def _check_label(self) -> None:
        k = len(self.classes)
        if self.label.ndim == 2 and (self.label.shape[1] != k or self.label.dtype != np.uint8):
            raise DataError(
                "ImageSet.label",
                f"is {self.label.dtype} of shape {self.label.shape}, expected uint8 (N, {k})",
            )
        most = 1 if self.label.ndim == 2 else k - 1
        if self.label.size and (self.label.min() < 0 or self.label.max() > most):
            raise DataError("ImageSet.label", f"outside 0..{most}")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Height of the images in pixels."""
        return int(self.image.shape[1])

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several classes at once."""
        return self.label.ndim == 2

    def counts(self) -> dict[str, int]:
        """Images per class, every class named; an image with several classes counts in each."""
        n = self.label.sum(0) if self.multilabel else np.bincount(self.label, minlength=len(self.classes))
        return {c: int(k) for c, k in zip(self.classes, n, strict=True)}

    def patients(self) -> set[str]:
        """The ids of its patients."""
        return set(self.patient_id.tolist())

    def select(self, index: np.ndarray | Sequence[int]) -> ImageSet:
        """The images at these positions (or under this boolean mask), in this order."""
        rows = np.asarray(index)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        columns: dict[str, Any] = {
            f.name: select_pixels(column, rows)
            for f in fields(self)
            if f.name not in ("classes", "card") and (column := getattr(self, f.name)) is not None
        }
        return replace(self, **columns)

    def unread(self) -> ImageSet:
        """The same set, whose selections copy no pixel; for images in a memory map that processes share."""
        return replace(self, image=unread(self.image), mask=None if self.mask is None else unread(self.mask))

    def of_class(self, label: int) -> ImageSet:
        """The images of one class."""
        mine = np.asarray(self.label[:, label] == 1 if self.multilabel else self.label == label)
        return self.select(np.flatnonzero(mine))

    def to_single_label(self) -> ImageSet:
        """The same images with one class index each: of several, the one that is rarest in this set.

        ``report`` keeps the whole truth, 1 or 0 of every class. An image without any class is left out.
        """
        if not self.multilabel:
            return self
        kept = self.select(np.flatnonzero(self.label.any(1)))
        rarest_first = np.argsort(self.label.sum(0), kind="stable")
        first = kept.label[:, rarest_first].argmax(1)
        return replace(kept, label=rarest_first[first].astype(np.int64), report=kept.label.astype(np.int8))

    def only(self, classes: Sequence[str]) -> ImageSet:
        """The images of these classes, numbered anew; the same set where it has no other class.

        Of images with several classes none is left out: they must have these classes alone.
        """
        kept = [k for k, name in enumerate(self.classes) if name in classes]
        if len(kept) == len(self.classes) or self.multilabel:
            return self
        number = np.full(len(self.classes), -1)
        number[kept] = np.arange(len(kept))
        chosen = self.select(np.flatnonzero(number[self.label] >= 0))
        tables = {
            name: table[:, kept]
            for name in ("report", "soft")
            if (table := getattr(chosen, name)) is not None
        }
        names = tuple(self.classes[k] for k in kept)
        return replace(chosen, label=number[chosen.label], classes=names, **tables)

    def content_hash(self) -> str:
        """SHA-256 over everything but the card."""
        digest = hashlib.sha256(json.dumps([list(self.classes), list(self.image.shape)]).encode())
        for f in fields(self):
            column = getattr(self, f.name)
            if f.name in ("classes", "card") or column is None:
                continue
            digest.update(f.name.encode())
            if column.dtype.kind in "UO":
                digest.update("\0".join(map(str, column)).encode())
            else:
                for part in blocks(column):
                    digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()


def concatenate(parts: Iterable[ImageSet]) -> ImageSet:
    """The images of several sets, in order; a column that one of them lacks is dropped."""
    sets = list(parts)
    first = sets[0]
    if any(s.classes != first.classes or s.image.shape[1:] != first.image.shape[1:] for s in sets):
        raise DataError("concatenate", "the sets differ in classes or image size")
    if any(s.multilabel != first.multilabel for s in sets):
        raise DataError("concatenate", "some sets have one class per image, some have several")
    columns: dict[str, Any] = {
        f.name: None
        if any(getattr(s, f.name) is None for s in sets)
        else join([getattr(s, f.name) for s in sets])
        for f in fields(first)
        if f.name not in ("classes", "card")
    }
    return replace(first, **columns)


@dataclass(frozen=True, eq=False)
class Splits:
    """What a data source hands over.

    Attributes:
        train, val, test: disjoint by patient.
        reserve: real images that only the control ``oracle`` may learn from.
        more_tests: further test splits, each with a name that begins with ``test_``: ``test_paper`` has the
            published size, ``test_site`` comes from another site.
        notes: recorded warnings and exclusions, one line each.
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    reserve: ImageSet
    more_tests: Mapping[str, ImageSet] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        odd = [name for name in self.more_tests if not name.startswith("test_")]
        if odd:
            raise DataError("Splits.more_tests", f"has '{odd[0]}'", "A name begins with test_.")

    @property
    def tests(self) -> dict[str, ImageSet]:
        """All test splits, by name."""
        return {"test": self.test, **self.more_tests}

    def named(self) -> dict[str, ImageSet]:
        """All splits, by name."""
        sets = {"train": self.train, "val": self.val, "test": self.test, "reserve": self.reserve}
        return {**sets, **self.more_tests}


@dataclass(frozen=True, eq=False)
class Learning:
    """The part of the data that a fit may see; ``reserve`` is None but for the control ``oracle``."""

    train: ImageSet
    val: ImageSet
    reserve: ImageSet | None = None

    def of_class(self, label: int) -> Learning:
        """The images of one class."""
        kept = self.reserve.of_class(label) if self.reserve is not None else None
        return Learning(self.train.of_class(label), self.val.of_class(label), kept)

    def only(self, classes: Sequence[str]) -> Learning:
        """The images of these classes alone."""
        kept = self.reserve.only(classes) if self.reserve is not None else None
        return Learning(self.train.only(classes), self.val.only(classes), kept)

    def to_single_label(self) -> Learning:
        """The same images with one class each, see ``ImageSet.one_label_each``."""
        kept = self.reserve.to_single_label() if self.reserve is not None else None
        return Learning(self.train.to_single_label(), self.val.to_single_label(), kept)


def prove_disjoint(splits: Splits) -> dict[str, Any]:
    """Show that no patient and no pixel-identical image is in two splits.

    Images are compared by their pixels' SHA-256, read block by block.

    Returns:
        JSON record: patients per split, and the pairs compared.
    Raises:
        DataError: names a patient or image that two splits share.
    """
    sets = splits.named()
    pixels = {
        n: {hashlib.sha256(i.tobytes()).hexdigest(): k for i, k in zip(s.image, s.image_id, strict=True)}
        for n, s in sets.items()
    }
    names = list(sets)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for a, b in pairs:
        shared = sorted(sets[a].patients() & sets[b].patients())
        if shared:
            raise DataError(
                f"splits {a} and {b}",
                f"share {len(shared)} patients, the first is '{shared[0]}'",
                "Split by patient, or map the ids of one person to one id.",
            )
        same = sorted(pixels[a].keys() & pixels[b].keys())
        if same:
            raise DataError(
                f"splits {a} and {b}",
                f"hold the same picture: '{pixels[a][same[0]]}' and '{pixels[b][same[0]]}'",
                "Remove the duplicate, or give both rows one patient id.",
            )
    return {
        "patients": {n: len(s.patients()) for n, s in sets.items()},
        "images": {n: len(s) for n, s in sets.items()},
        "disjoint_by_patient": [list(p) for p in pairs],
        "disjoint_by_pixels": [list(p) for p in pairs],
    }
