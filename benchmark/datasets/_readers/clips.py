"""Ultrasound files, still or video, as square frames; and the patients that equal frames join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.datasets._readers.listing import Record
from benchmark.datasets._readers.same_images import THUMB, Groups, same_thumbnails
from benchmark.datasets._readers.sector import crop, sector_box
from benchmark.datasets._readers.video import SUFFIXES, Broken, read_clip
from benchmark.errors import DataError
from benchmark.images.decoding import Fit, decode_gray, to_square
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    from PIL.Image import Image

# Thumbnails of two patients: 0.9988 for one picture saved twice (192 and 198), at most 0.979 otherwise.
SAME_FRAME = 0.99
BLANK = 2.0  # standard deviation of gray values; the pack has one frame of 0.2


@dataclass(frozen=True)
class ClipFile:
    """One decoded file.

    Attributes:
        pixels, thumbs: (T, S, S) and (T, THUMB, THUMB) uint8.
        number: (T,) indices of the frames in the video, empty for a still image.
        digest: SHA-256 of the file.
        fault: reason why decoding stopped midway, else empty.
        blank: number of blank frames that were dropped.
    """

    record: Record
    pixels: np.ndarray
    thumbs: np.ndarray
    number: np.ndarray
    digest: str
    fault: str = ""
    blank: int = 0

    @property
    def still(self) -> bool:
        """True for a still image."""
        return not len(self.number)

    def image_ids(self) -> list[str]:
        """Return the id of every frame."""
        name = self.record.image_id
        return [name] if self.still else [f"{name}#{n:04d}" for n in self.number]


def read_file(
    record: Record,
    size: int,
    *,
    video: bool,
    hertz: float,
    most: int,
    broken: Broken,
    square: Literal["sector", "stretch", "pad"],
) -> ClipFile:
    """Decode a file; see ``Params`` of the source for the options.

    Raises:
        DataError: the file is broken, or blank in every frame.
    """
    from PIL.Image import fromarray

    number, fault, blank = np.zeros(0, np.int64), "", 0
    if video and record.path.suffix.lower() in SUFFIXES:
        clip = read_clip(record.path, hertz=hertz, most=most, broken=broken)
        shows = np.array([frame.std() >= BLANK for frame in clip.frames])
        if not shows.any():
            raise DataError(str(record.path), "is blank in every frame", "Remove its record.")
        frames, number, blank = clip.frames[shows], clip.number[shows], int((~shows).sum())
        fault = f"{record.path.name} after {clip.decoded} frames ({clip.fault})" if clip.fault else ""
    else:
        frames = np.asarray(decode_gray(record.path))[None]
    box = sector_box(frames) if square == "sector" else None
    fit: Fit = "stretch" if square == "stretch" else "pad"
    cropped = [fromarray(crop(frame, box)) for frame in frames]
    return ClipFile(
        record=record,
        pixels=np.stack([to_square(image, size, fit=fit) for image in cropped]),
        thumbs=np.stack([_thumb(image, fit) for image in cropped]),
        number=number,
        digest=sha256_file(record.path),
        fault=fault,
        blank=blank,
    )


def _thumb(image: Image, fit: Fit) -> np.ndarray:
    """Return (THUMB, THUMB) uint8; averaging first is three times as fast as filtering all pixels."""
    return to_square(image.reduce(max(1, min(image.size) // (4 * THUMB))), THUMB, fit=fit)


def join_patients(files: Sequence[ClipFile], patients: Groups) -> tuple[list[ClipFile], list[str]]:
    """Join the patients of equal files and frames, and drop repeated files.

    Returns:
        The remaining files, and a note on the others.
    """
    dropped: set[int] = set()
    for i, j in _alike(files):
        a, b = files[i], files[j]
        patients.join(a.record.patient_id, b.record.patient_id)
        same_file = a.digest == b.digest or (a.still and b.still)
        if same_file and a.record.label == b.record.label and i not in dropped:
            dropped.add(j)
    names = ", ".join(files[j].record.image_id for j in sorted(dropped))
    notes = [f"{len(dropped)} files dropped, the same picture or video as another: {names}"]
    return [file for k, file in enumerate(files) if k not in dropped], notes if dropped else []


def _alike(files: Sequence[ClipFile]) -> Iterator[tuple[int, int]]:
    """Yield the pairs i < j of files with the same bytes, or of two patients with a frame in common."""
    first: dict[str, int] = {}
    for j, file in enumerate(files):
        i = first.setdefault(file.digest, j)
        if i != j:
            yield i, j
    file_of = np.repeat(np.arange(len(files)), [len(file.thumbs) for file in files]).tolist()
    thumbs = np.concatenate([file.thumbs for file in files])
    for i, j in sorted({(file_of[a], file_of[b]) for a, b in same_thumbnails(thumbs, SAME_FRAME)}):
        if files[i].record.patient_id != files[j].record.patient_id:
            yield i, j
