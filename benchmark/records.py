"""The frozen records that pass between stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import DataError, GeneratorError

PER_IMAGE = ("image_id", "patient_id", "origin", "site", "view", "age", "sex", "prompt", "license")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labeled grayscale images of one split, or of one generator.

    Attributes:
        image: (N, H, W) uint8, 0 black to 255 white.
        label: (N,) int64 index into ``classes``.
        classes: names of the classes, in the task's order.
        image_id: (N,) str, unique.
        patient_id: (N,) str; a synthetic image is a patient of its own.
        origin: (N,) str, ``real:<source>`` or ``synthetic:<generator>``.
        site, view, age, sex, prompt, license: (N,) where known, else None.
        mask: (N, H, W) uint8, 255 inside a finding, where known, else None.
        card: where the images come from, in words and numbers (JSON values).
    """

    image: np.ndarray
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
    mask: np.ndarray | None = None
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.image)
        if self.image.dtype != np.uint8 or self.image.ndim != 3:
            raise DataError(
                "ImageSet.image",
                f"got {self.image.dtype} of shape {self.image.shape}, expected uint8 (N, H, W)",
            )
        if self.mask is not None and (self.mask.shape != self.image.shape or self.mask.dtype != np.uint8):
            raise DataError("ImageSet.mask", f"expected uint8 of shape {self.image.shape}")
        for name in ("label", *PER_IMAGE):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"ImageSet.{name}", f"has {len(column)} entries for {n} images")
        if n and (self.label.min() < 0 or self.label.max() >= len(self.classes)):
            raise DataError("ImageSet.label", f"outside 0..{len(self.classes) - 1}")
        if len(np.unique(self.image_id)) != n:
            raise DataError("ImageSet.image_id", "has duplicates", "Give every image an id of its own.")

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Height of the images in pixels."""
        return int(self.image.shape[1])

    def counts(self) -> dict[str, int]:
        """Images per class, every class named."""
        n = np.bincount(self.label, minlength=len(self.classes))
        return {c: int(k) for c, k in zip(self.classes, n, strict=True)}

    def patients(self) -> set[str]:
        """The ids of its patients."""
        return set(self.patient_id.tolist())

    def select(self, index: np.ndarray | Sequence[int]) -> ImageSet:
        """The images at these positions (or under this boolean mask), in this order."""
        rows = np.asarray(index)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        columns = {
            f.name: getattr(self, f.name)[rows]
            for f in fields(self)
            if f.name not in ("classes", "card") and getattr(self, f.name) is not None
        }
        return replace(self, **columns)

    def of_class(self, label: int) -> ImageSet:
        """The images of one class."""
        return self.select(self.label == label)

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
                digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def concatenate(parts: Iterable[ImageSet]) -> ImageSet:
    """The images of several sets, in order; a column that one of them lacks is dropped."""
    sets = list(parts)
    first = sets[0]
    if any(s.classes != first.classes or s.image.shape[1:] != first.image.shape[1:] for s in sets):
        raise DataError("concatenate", "the sets differ in classes or image size")
    columns: dict[str, Any] = {
        f.name: None
        if any(getattr(s, f.name) is None for s in sets)
        else np.concatenate([getattr(s, f.name) for s in sets])
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
        test_paper: a second test split of the published size, or None.
        notes: recorded warnings and exclusions, one line each.
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet
    reserve: ImageSet
    test_paper: ImageSet | None = None
    notes: tuple[str, ...] = ()

    def named(self) -> dict[str, ImageSet]:
        """The splits that are there, by name."""
        sets = {n: getattr(self, n) for n in ("train", "val", "test", "reserve", "test_paper")}
        return {n: s for n, s in sets.items() if s is not None}


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


def prove_disjoint(splits: Splits) -> dict[str, Any]:
    """Show that no patient and no pixel-identical image is in two splits.

    ``test_paper`` may not overlap train, val or reserve; it is its own draw beside ``test``.

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


@dataclass(frozen=True)
class SampleRequest:
    """What a generator is asked for: one class index per image wanted."""

    label: np.ndarray
    classes: tuple[str, ...]
    image_size: int

    @classmethod
    def balanced(cls, per_class: int, classes: tuple[str, ...], image_size: int) -> SampleRequest:
        """``per_class`` images of each class, interleaved, so that every prefix is balanced."""
        return cls(np.tile(np.arange(len(classes)), per_class), classes, image_size)


def synthetic_set(image: np.ndarray, request: SampleRequest, *, generator: str) -> ImageSet:
    """Wrap what a generator drew, in the order of the request.

    Args:
        image: (N, H, W), uint8, or float in [0, 1].
    Raises:
        GeneratorError: wrong count, shape or range, or NaN.
    """
    where, size = f"generator '{generator}'", request.image_size
    image = np.asarray(image)
    if image.shape != (len(request.label), size, size):
        raise GeneratorError(
            where,
            f"sample() gave shape {image.shape}, expected {(len(request.label), size, size)}",
            "Return one image per requested label, at the task's size.",
        )
    if image.dtype != np.uint8:
        if not np.isfinite(image).all():
            raise GeneratorError(where, "sample() gave NaN or infinite pixels", "Lower the learning rate.")
        if image.min() < 0 or image.max() > 1:
            raise GeneratorError(
                where,
                f"sample() gave pixels in [{image.min():.3g}, {image.max():.3g}]",
                "Return uint8, or float in [0, 1].",
            )
        image = np.round(image * 255).astype(np.uint8)
    ids = np.array([f"{generator}-{i:06d}" for i in range(len(image))])
    return ImageSet(
        image=image,
        label=np.asarray(request.label, dtype=np.int64),
        classes=request.classes,
        image_id=ids,
        patient_id=ids,
        origin=np.full(len(image), f"synthetic:{generator}"),
    )


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=str
    )


def sha256_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
