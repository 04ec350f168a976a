"""MedMNIST v2 and MedMNIST+ files (Yang et al. 2023, doi:10.1038/s41597-022-01721-8), read unchanged.

https://medmnist.com: one ``.npz`` per dataset and size (28, 64, 128, 224) with ``train_images``,
``train_labels``, and likewise for ``val`` and ``test``.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import DataError
from benchmark.images.decoding import to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import Pixels
from benchmark.utils.hashing import sha256_file

version = "1"

PARTS = ("train", "val", "test")
MAX_SIDE = 1024
MAX_IMAGES = 1_000_000
BROKEN = (  # what zipfile and NumPy raise on damaged files
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, KeyError, RuntimeError,
    OverflowError, MemoryError,
)  # fmt: skip
COPY = "Download the file again from https://medmnist.com."

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


class Params(BaseModel, extra="forbid", frozen=True):
    """Which file is read, and how.

    Attributes:
        root: the ``.npz`` file, or the folder that holds it.
        file: name of the file in that folder; needed where the folder has several.
        labels: names of the labels 0, 1, ...; known for the sets of ``LABELS``, else to be given.
        unpack: folder for an unpacked copy of compressed arrays, which is then mapped instead of held in
            memory; written once.
        max_memory: bytes of pictures that may be held in memory.
    """

    root: Path
    file: str | None = None
    labels: tuple[str, ...] | None = None
    unpack: Path | None = None
    max_memory: int = Field(4 * 2**30, gt=0)


def fingerprint(params: Params) -> str:
    """SHA-256 of the file and of the names given to its labels."""
    path = _file(params)
    names = "\0".join(params.labels or ())
    return hashlib.sha256(f"{sha256_file(path)}\n{names}".encode()).hexdigest()


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The pictures with the splits that the file gives; color becomes luminance (ITU-R 601).

    A set with one label per picture gives the images of the task's classes. One with several labels gives
    all of them as its classes, with ``report`` 1 or 0 of each.

    Args:
        classes: names of labels, in the task's order.
        image_size: side in pixels.
    Raises:
        DataError: the file is missing, is no MedMNIST file, too large, or its arrays do not fit together; or
            a class is none of its labels.
    """
    path = _file(params)
    with _Archive(path) as archive:
        parts = [_Part.of(archive, name) for name in PARTS]
        names = _names(params, path, parts)
        multilabel = parts[0].labels.shape[1] > 1
        _check_classes(path, classes, names)
        pictures = [archive.array(f"{name}_images.npy", params) for name in PARTS]
    keep, notes = _once(pictures)
    label = np.concatenate([part.labels for part in parts])
    if not multilabel:
        wanted = np.isin(label[:, 0], [names.index(c) for c in classes])
        left_out = int((keep & ~wanted).sum())
        keep &= wanted
        notes += [f"{left_out} pictures left out, label not among the classes"] if left_out else []
    rows = np.flatnonzero(keep)
    split = np.repeat(PARTS, [len(part.labels) for part in parts])
    ids = np.concatenate([[f"{part.name}-{k:06d}" for k in range(len(part.labels))] for part in parts])
    label, kind = label[rows], (names if multilabel else classes)
    made = ImageSet(
        image=_pixels(pictures, image_size).take(rows),
        label=label if multilabel else _index(names, classes)[label[:, 0]],
        classes=kind,
        image_id=ids[rows],
        patient_id=ids[rows],
        origin=np.full(len(rows), "real:medmnist"),
        split=split[rows],
        report=label.astype(np.int8) if multilabel else None,
    )
    return replace(made, card={**_card(path, parts), "images": made.counts(), "notes": [NO_PATIENTS, *notes]})


NO_PATIENTS = (
    "PATIENTS UNKNOWN: the file has no patient ids, every picture counts as a patient of its own; "
    "two pictures of one person may be in train and test"
)


def _file(params: Params) -> Path:
    """The file that the parameters name."""
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
    found = sorted(root.glob("*.npz"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DataError(
            str(root), f"expected one .npz file, found {names}", "Name one with the parameter file."
        )
    return found[0]


class _Archive:
    """Arrays of an ``.npz`` file by their headers, without trust in what they promise and without pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except BROKEN as error:
            raise DataError(str(path), f"is no .npz file: {error}", COPY) from None

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def header(self, member: str) -> tuple[tuple[int, ...], np.dtype, int]:
        """Shape, type and length in bytes of the header of an array.

        Raises:
            DataError: missing, not an array of whole numbers, not in C order, or more data than announced.
        """
        where = f"{self.path}: {member.removesuffix('.npy')}"
        try:
            size = self._zip.getinfo(member).file_size
        except KeyError:
            have = ", ".join(name.removesuffix(".npy") for name in self._zip.namelist()[:8])
            raise DataError(where, f"is missing, the file holds {have}", COPY) from None
        try:
            with self._zip.open(member) as stream:
                shape, fortran, dtype = _read_header(stream)
                length = stream.tell()
        except BROKEN as error:
            raise DataError(where, f"is no array: {error}", COPY) from None
        if dtype.hasobject or dtype.kind not in "uib" or fortran:
            raise DataError(where, f"holds {dtype}, expected whole numbers in C order", COPY)
        if size != length + int(np.prod(shape, dtype=object)) * dtype.itemsize:
            raise DataError(where, f"has {size} bytes, which is not what its shape {shape} needs", COPY)
        return shape, dtype, length

    def array(self, member: str, params: Params | None = None) -> np.ndarray:
        """The array: mapped where it is stored as it is, mapped from an unpacked copy, or in memory.

        Raises:
            DataError: it is compressed and larger than ``params.max_memory``, or broken.
        """
        shape, dtype, length = self.header(member)
        info = self._zip.getinfo(member)
        where = f"{self.path}: {member.removesuffix('.npy')}"
        if info.compress_type == zipfile.ZIP_STORED and params is not None:
            start = self._data_start(info) + length
            if start + info.file_size - length > self.path.stat().st_size:
                raise DataError(where, "ends before its last picture", COPY)
            return np.memmap(self.path, dtype, mode="r", offset=start, shape=shape)
        if params is not None and params.unpack is not None:
            return np.load(self._unpacked(member, params.unpack), mmap_mode="r", allow_pickle=False)
        if params is not None and info.file_size > params.max_memory:
            raise DataError(
                where,
                f"takes {info.file_size} bytes unpacked, more than max_memory {params.max_memory}",
                "Give a folder for an unpacked copy with the parameter unpack, or raise max_memory.",
            )
        try:
            with self._zip.open(member) as stream:
                return np.lib.format.read_array(stream, allow_pickle=False)
        except BROKEN as error:
            raise DataError(where, f"cannot be read: {error}", COPY) from None

    def _data_start(self, info: zipfile.ZipInfo) -> int:
        """Where a member's bytes begin: behind its local header, whose names may differ in length."""
        with open(self.path, "rb") as handle:
            handle.seek(info.header_offset + 26)
            name, extra = np.frombuffer(handle.read(4), "<u2").tolist()
        return int(info.header_offset + 30 + name + extra)

    def _unpacked(self, member: str, folder: Path) -> Path:
        """A copy of the member, named after its content, written under another name until it is complete."""
        import shutil

        crc = self._zip.getinfo(member).CRC
        path = folder / f"{self.path.stem}-{crc:08x}-{member}"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            try:
                with self._zip.open(member) as stream, open(unfinished, "wb") as copy:
                    shutil.copyfileobj(stream, copy, 2**20)
            except BROKEN as error:
                unfinished.unlink(missing_ok=True)
                raise DataError(f"{self.path}: {member}", f"cannot be unpacked: {error}", COPY) from None
            unfinished.replace(path)
        return path


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    major = np.lib.format.read_magic(stream)
    if major not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {major} is not known")
    read = np.lib.format.read_array_header_1_0 if major == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


@dataclass(frozen=True)
class _Part:
    """One split of the file: its name, the shape of its pictures, and its (N, L) labels."""

    name: str
    shape: tuple[int, ...]
    labels: np.ndarray

    @classmethod
    def of(cls, archive: _Archive, name: str) -> _Part:
        shape, dtype, _ = archive.header(f"{name}_images.npy")
        where = f"{archive.path}: {name}_images"
        gray_or_color = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
        if dtype != np.uint8 or not gray_or_color:
            raise DataError(
                where, f"is {dtype} of shape {shape}, expected uint8 (N, H, W) or (N, H, W, 3)",
                "Use one of the 2D sets.",
            )  # fmt: skip
        if not shape[0] or max(shape[1:3]) > MAX_SIDE or min(shape[1:3]) < 8 or shape[0] > MAX_IMAGES:
            raise DataError(where, f"has shape {shape}, expected sides of 8 to {MAX_SIDE} pixels", COPY)
        count, _, _ = archive.header(f"{name}_labels.npy")
        if count[0] != shape[0] or len(count) > 2 or (len(count) == 2 and not 1 <= count[1] <= 100):
            raise DataError(
                f"{archive.path}: {name}_labels", f"has shape {count} for {shape[0]} pictures", COPY
            )
        labels = archive.array(f"{name}_labels.npy").reshape(shape[0], -1)
        return cls(name, shape, labels)


def _names(params: Params, path: Path, parts: list[_Part]) -> tuple[str, ...]:
    """Names of the labels, checked against the labels that occur."""
    known = next((names for key, names in LABELS.items() if path.stem.lower().startswith(key)), None)
    names = params.labels or known
    if names is None:
        raise DataError(
            f"{path}: labels",
            f"the names of the labels are known for {', '.join(LABELS)}, not for {path.stem}",
            "Give them with the parameter labels, in the order of their numbers.",
        )
    if len(set(names)) != len(names):
        raise DataError(
            f"{path}: labels", f"names one twice: {', '.join(names)}", "Give each a name of its own."
        )
    widths = {part.labels.shape[1] for part in parts}
    if len(widths) > 1:
        raise DataError(f"{path}", f"its splits have {sorted(widths)} labels per picture", COPY)
    width = widths.pop()
    for part in parts:
        most = 1 if width > 1 else len(names) - 1
        if part.labels.min() < 0 or part.labels.max() > most or width not in (1, len(names)):
            raise DataError(
                f"{path}: {part.name}_labels",
                f"has {width} numbers per picture, up to {part.labels.max()}, for {len(names)} names",
                "Give as many names with the parameter labels as there are labels.",
            )
    return names


def _check_classes(path: Path, classes: tuple[str, ...], names: tuple[str, ...]) -> None:
    odd = [c for c in classes if c not in names]
    if odd:
        raise DataError(
            f"{path}: labels",
            f"the task's class '{odd[0]}' is none of the labels {', '.join(names)}",
            "Name the task's classes like the labels, or rename these with the parameter labels.",
        )


def _index(names: tuple[str, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Place among the classes of every label, -1 where it is none."""
    return np.array([classes.index(name) if name in classes else -1 for name in names], dtype=np.int64)


def _once(pictures: list[np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """Which pictures to keep so that none is there twice; of equal ones that of test, then val, stays."""
    ends = np.cumsum([0, *(len(part) for part in pictures)])
    keep = np.ones(ends[-1], bool)
    seen: set[bytes] = set()
    dropped = dict.fromkeys(PARTS, 0)
    for p in reversed(range(len(PARTS))):
        for k, digest in enumerate(_digests(pictures[p])):
            if digest in seen:
                keep[ends[p] + k] = False
                dropped[PARTS[p]] += 1
            seen.add(digest)
    told = ", ".join(f"{n} of {name}" for name, n in dropped.items() if n)
    return keep, [f"pictures dropped that are equal to another one: {told}"] if told else []


def _digests(pictures: np.ndarray) -> Iterator[bytes]:
    for start in range(0, len(pictures), 1024):
        for picture in np.ascontiguousarray(pictures[start : start + 1024]):
            yield hashlib.blake2b(picture, digest_size=16).digest()


def _pixels(parts: list[np.ndarray], size: int) -> Pixels:
    """The pictures of all parts, gray, at the wanted size when they are looked at."""
    from PIL import Image

    def reader(pictures: np.ndarray) -> Pixels:
        def multilabel(rows: np.ndarray) -> np.ndarray:
            if pictures.shape[1:] == (size, size):
                return np.asarray(pictures[rows])
            block = np.empty((len(rows), size, size), np.uint8)
            for i, row in enumerate(rows.tolist()):
                block[i] = to_square(Image.fromarray(np.asarray(pictures[row])).convert("L"), size)
            return block

        return Pixels(multilabel, (len(pictures), size, size))

    return Pixels.joined([reader(pictures) for pictures in parts])


def _card(path: Path, parts: list[_Part]) -> dict[str, Any]:
    return {
        "name": f"MedMNIST {path.stem}",
        "url": "https://medmnist.com",
        "citation": "Yang et al. 2023, Scientific Data 10, 41, doi:10.1038/s41597-022-01721-8",
        "license": "CC BY-NC 4.0" if path.stem.lower().startswith("dermamnist") else LICENSE,
        "size": list(parts[0].shape[1:]),
        "published": {part.name: len(part.labels) for part in parts},
    }
