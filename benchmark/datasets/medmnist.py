"""MedMNIST v2 and MedMNIST+ files (Yang et al. 2023, doi:10.1038/s41597-022-01721-8), read unchanged.

https://medmnist.com: one ``.npz`` per dataset and size (28, 64, 128, 224) with ``train_images``,
``train_labels``, and likewise for ``val`` and ``test``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets._readers.npz import COPY, Archive
from benchmark.errors import DataError
from benchmark.images.decoding import to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages, as_lazy
from benchmark.utils.hashing import sha256_file

version = "1"
conditions: frozenset[str] = frozenset()

PARTS = ("train", "val", "test")
MAX_SIDE = 1024
MAX_IMAGES = 1_000_000

# Names and order of the labels as in the package medmnist 3.0.2, medmnist/info.py.
LABELS = {
    "chestmnist": (
        "atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia",
        "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia",
    ),
    "pneumoniamnist": ("normal", "pneumonia"),
    "breastmnist": ("malignant", "normal, benign"),
}  # fmt: skip
LICENSE = "CC BY 4.0"  # of all sets but dermamnist, which is CC BY-NC 4.0
NO_PATIENTS = (
    "PATIENTS UNKNOWN: the file has no patient ids, every image counts as a patient; "
    "two images of one person may be in train and test"
)


class Params(BaseModel, extra="forbid", frozen=True):
    """Location of the file, and how it is read.

    Attributes:
        root: the ``.npz`` file, or the folder that contains it.
        file: name of the file in that folder; required if the folder has several.
        labels: names of the labels 0, 1, ...; required unless ``LABELS`` has them.
        unpack: folder for an unpacked copy of compressed arrays, which is then mapped instead of held in
            memory; written once.
        max_memory: bytes of images that may be held in memory.
    """

    root: Path
    file: str | None = None
    labels: tuple[str, ...] | None = None
    unpack: Path | None = None
    max_memory: int = Field(4 * 2**30, gt=0)


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of the file and of the names given to its labels."""
    names = "\0".join(params.labels or ())
    return hashlib.sha256(f"{sha256_file(_file(params))}\n{names}".encode()).hexdigest()


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Read the images and the splits of the file; color becomes luminance (ITU-R 601).

    Of a single-label file these are the images of the task's classes. A multi-label file gives all of its
    labels as classes, with ``reported_labels`` 1 or 0 of each.

    Args:
        classes: names of labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the file is missing, not a MedMNIST file, or too large; its arrays do not fit together; or
            a class is not one of its labels.
    """
    path = _file(params)
    with Archive(path, params.unpack, params.max_memory) as archive:
        parts = [_Part.of(archive, name) for name in PARTS]
        names = _names(params, path, parts)
        _check_classes(path, classes, names)
        arrays = [archive.array(f"{name}_images.npy", mapped=True) for name in PARTS]
    unique, notes = _unique(arrays)
    label = np.concatenate([part.labels for part in parts])
    multilabel = label.shape[1] > 1
    if not multilabel:
        requested = np.isin(label[:, 0], [names.index(c) for c in classes])
        left_out = int((unique & ~requested).sum())
        unique &= requested
        notes += [f"{left_out} images left out, label not among the classes"] if left_out else []
    index_of = np.array([classes.index(name) if name in classes else -1 for name in names], np.int64)
    ids = np.concatenate([[f"{part.name}-{k:06d}" for k in range(len(part.labels))] for part in parts])
    indices = np.flatnonzero(unique)
    label = label[indices]
    read = ImageSet(
        image=_squares(arrays, image_size).take(indices),
        label=label if multilabel else index_of[label[:, 0]],
        classes=names if multilabel else classes,
        image_id=ids[indices],
        patient_id=ids[indices],
        origin=np.full(len(indices), "real:medmnist"),
        split=np.repeat(PARTS, [len(part.labels) for part in parts])[indices],
        reported_labels=label.astype(np.int8) if multilabel else None,
    )
    about = {
        "name": f"MedMNIST {path.stem}",
        "url": "https://medmnist.com",
        "citation": "Yang et al. 2023, Scientific Data 10, 41, doi:10.1038/s41597-022-01721-8",
        "license": "CC BY-NC 4.0" if path.stem.lower().startswith("dermamnist") else LICENSE,
        "size": list(parts[0].shape[1:]),
        "published": {part.name: len(part.labels) for part in parts},
    }
    return replace(read, card={**about, "images": read.counts(), "notes": [NO_PATIENTS, *notes]})


def _file(params: Params) -> Path:
    """Return the file that the parameters name."""
    root = params.root
    if root.is_file():
        return root
    if not root.is_dir():
        raise DataError(str(root), "no such file or folder", "Give the .npz file or its folder as root.")
    if params.file is not None:
        path = root / params.file
        if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
            raise DataError(f"{root}: file", f"'{params.file}' is not in this folder", "Name a file in it.")
        return path
    paths = sorted(root.glob("*.npz"))
    if len(paths) != 1:
        names = ", ".join(path.name for path in paths) or "none"
        remedy = "Name one with --set file=NAME."
        raise DataError(str(root), f"expected one .npz file, the folder has {names}", remedy)
    return paths[0]


@dataclass(frozen=True)
class _Part:
    """One split of the file: its name, the shape of its images, and its (N, L) labels."""

    name: str
    shape: tuple[int, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, archive: Archive, name: str) -> _Part:
        shape, dtype, _ = archive.header(f"{name}_images.npy")
        where = f"{archive.path}: {name}_images"
        gray_or_color = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        if dtype != np.uint8 or not gray_or_color:
            problem = f"is {dtype} of shape {shape}, expected uint8 (N, H, W) or (N, H, W, 3)"
            raise DataError(where, problem, "Use one of the 2D sets.")
        if not shape[0] or max(shape[1:3]) > MAX_SIDE or min(shape[1:3]) < 8 or shape[0] > MAX_IMAGES:
            raise DataError(where, f"has shape {shape}, expected sides of 8 to {MAX_SIDE} pixels", COPY)
        count, _, _ = archive.header(f"{name}_labels.npy")
        if count[0] != shape[0] or len(count) > 2 or (len(count) == 2 and not 1 <= count[1] <= 100):
            where = f"{archive.path}: {name}_labels"
            raise DataError(where, f"has shape {count} for {shape[0]} images", COPY)
        labels = archive.array(f"{name}_labels.npy").reshape(shape[0], -1)
        return cls(name, shape, labels)


def _names(params: Params, path: Path, parts: list[_Part]) -> tuple[str, ...]:
    """Return the names of the labels, checked against the labels that occur."""
    known = next((names for key, names in LABELS.items() if path.stem.lower().startswith(key)), None)
    names = params.labels or known
    if names is None:
        problem = f"the names of the labels are known for {', '.join(LABELS)}, not for {path.stem}"
        remedy = "Give them in the order of their numbers: --set labels=[...]."
        raise DataError(f"{path}: labels", problem, remedy)
    if len(set(names)) != len(names):
        problem = f"names one twice: {', '.join(names)}"
        raise DataError(f"{path}: labels", problem, "Give every label another name.")
    widths = {part.labels.shape[1] for part in parts}
    if len(widths) > 1:
        raise DataError(f"{path}", f"its splits have {sorted(widths)} labels per image", COPY)
    width = widths.pop()
    for part in parts:
        highest = 1 if width > 1 else len(names) - 1
        if part.labels.min() < 0 or part.labels.max() > highest or width not in (1, len(names)):
            problem = f"has {width} numbers per image, up to {part.labels.max()}, for {len(names)} names"
            remedy = "Give as many names as there are labels: --set labels=[...]."
            raise DataError(f"{path}: {part.name}_labels", problem, remedy)
    return names


def _check_classes(path: Path, classes: tuple[str, ...], names: tuple[str, ...]) -> None:
    for name in classes:
        if name not in names:
            problem = f"the task's class '{name}' is not one of the labels {', '.join(names)}"
            remedy = "Name the task's classes like the labels, or rename these: --set labels=[...]."
            raise DataError(f"{path}: labels", problem, remedy)


def _unique(arrays: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Return a mask without repeated images; of equal images that of test, then of val, stays."""
    part = np.repeat(np.arange(len(PARTS)), [len(array) for array in arrays])
    order = np.argsort(-part, kind="stable")
    digest = np.array([digest for array in arrays for digest in _digests(array)], "V16")
    unique = np.zeros(len(part), bool)
    unique[order[np.unique(digest[order], return_index=True)[1]]] = True
    dropped = np.bincount(part[~unique], minlength=len(PARTS)).tolist()
    counts = ", ".join(f"{n} of {name}" for name, n in zip(PARTS, dropped, strict=True) if n)
    return unique, [f"images dropped that are equal to another one: {counts}"] if counts else []


def _digests(array: np.ndarray) -> Iterator[bytes]:
    for start in range(0, len(array), 1024):
        for pixels in np.ascontiguousarray(array[start : start + 1024]):
            yield hashlib.blake2b(pixels, digest_size=16).digest()


def _squares(arrays: list[np.ndarray], size: int) -> LazyImages:
    """Return the images of all parts, converted to gray squares when they are read."""
    from PIL import Image

    def squares(array: np.ndarray) -> LazyImages:
        if array.shape[1:] == (size, size):
            return as_lazy(array)

        def square(k: int) -> np.ndarray:
            return to_square(Image.fromarray(np.asarray(array[k])).convert("L"), size)

        return LazyImages.each(square, len(array), size)

    return LazyImages.joined([squares(array) for array in arrays])
