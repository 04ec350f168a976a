"""Ultrasound cohort with the videos, images and frames of Zhang et al. 2023, Table 1, and fresh patients."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.errors import DataError
from benchmark.phantoms.quotas import round_to_total


@dataclass(frozen=True)
class FrameRecord:
    """One frame to draw; a still image is a clip of one frame."""

    finding: str
    patient: int
    clip: int
    frame: int
    still: bool


@dataclass(frozen=True)
class Counts:
    """Videos and images of one class, frames of both together, and patients of each."""

    videos: int
    images: int
    frames: int
    video_patients: int
    image_patients: int


def cohort(counts: Mapping[str, Counts], *, seed: int) -> list[FrameRecord]:
    """Frames of all videos, and the still images, of each class; videos and images have different patients.

    Raises:
        DataError: more patients than videos or images, or fewer frames than videos.
    """
    records: list[FrameRecord] = []
    patient = 0
    for number, (name, c) in enumerate(counts.items()):
        _check(name, c)
        rng = np.random.default_rng([seed, 13, number])
        lengths = _lengths(c.videos, c.frames - c.images, rng)
        clips = _clips(patient, c.videos, c.video_patients, rng)
        for (who, clip), length in zip(clips, lengths, strict=True):
            records += [FrameRecord(name, who, clip, frame, False) for frame in range(length)]
        patient += c.video_patients
        records += [
            FrameRecord(name, who, clip, 0, True)
            for who, clip in _clips(patient, c.images, c.image_patients, rng)
        ]
        patient += c.image_patients
    return records


def fresh(classes: tuple[str, ...], per_class: int, first: int) -> list[FrameRecord]:
    """Fresh patients with one still image each; classes take turns, so that every prefix is balanced."""
    return [FrameRecord(name, first + i, 0, 0, True) for i, name in enumerate(classes * per_class)]


def _check(name: str, c: Counts) -> None:
    if c.frames < 1:
        raise DataError(f"phantom.ultrasound.frames.{name}", "is 0", "Give every class one frame or more.")
    for field, scans, people in (("video_patients", c.videos, c.video_patients),
                                 ("image_patients", c.images, c.image_patients)):  # fmt: skip
        if people > scans or (scans > 0) != (people > 0):
            raise DataError(
                f"phantom.ultrasound.{field}.{name}",
                f"{people} patients for {scans} scans",
                "Give every patient at least one scan, and every scan a patient.",
            )
    if c.frames - c.images < c.videos or (c.videos == 0) != (c.frames == c.images):
        raise DataError(
            f"phantom.ultrasound.frames.{name}",
            f"{c.frames} frames for {c.images} images and {c.videos} videos",
            "Count every image as one frame and give every video at least one more.",
        )


def _lengths(videos: int, frames: int, rng: np.random.Generator) -> list[int]:
    """Frames of each video, at least one, with the spread of clips of 2 to 30 seconds."""
    if not videos:
        return []
    share = rng.uniform(0.4, 1.6, videos)
    exact = 1 + share / share.sum() * (frames - videos)
    return round_to_total(exact, frames).tolist()


def _clips(first: int, scans: int, people: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(patient, clip) of each scan: one per patient, the others at random."""
    owner = [*range(people), *rng.integers(0, max(people, 1), scans - people).tolist()]
    return [(first + who, owner[:k].count(who)) for k, who in enumerate(owner)]
