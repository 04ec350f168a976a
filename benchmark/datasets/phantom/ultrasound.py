"""Phantom lung ultrasound: clips of a convex probe of COVID-19, bacterial pneumonia and healthy lungs.

``python -m benchmark.datasets.phantom.ultrasound OUT.png`` draws an example grid.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.phantoms.ultrasound import chest as us_chest
from benchmark.phantoms.ultrasound import console as us_console
from benchmark.phantoms.ultrasound import echo as us_echo
from benchmark.phantoms.ultrasound import findings as us_findings
from benchmark.phantoms.ultrasound import population as us_population
from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.population import Counts, FrameRecord
from benchmark.utils.hashing import canonical_json

version = "1"
CLASSES = us_findings.CLASSES
LICENSE = "Apache-2.0"
FRESH_TEST, FRESH_RESERVE = 1_000_000, 2_000_000  # number of the first fresh patient
STEADY = 0.8  # how much of the speckle stays from frame to frame: the slice of tissue moves out of the plane
PROMPTS = {
    "covid19": "A lung ultrasound image of a patient with COVID-19",
    "pneumonia": "A lung ultrasound image of a patient with bacterial pneumonia",
    "healthy": "A lung ultrasound image of a healthy patient",
}
_COUNTS = ("videos", "images", "frames", "video_patients", "image_patients")


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; videos, images and frames are those of Zhang et al. 2023, Table 1.

    The paper does not give patients. Those of the POCUS pack (Born et al. 2021) of the same class and kind
    are scaled to the number of its videos and images: 4 patients for 15 COVID-19 videos, 24 for 27 of
    pneumonia, 19 for 42 of the healthy; 1 for 3 images, 11 for 11, 8 for 8. None has both.
    """

    videos: dict[str, int] = {"covid19": 56, "pneumonia": 14, "healthy": 36}
    images: dict[str, int] = {"covid19": 19, "pneumonia": 8, "healthy": 5}
    frames: dict[str, int] = Field(
        default={"covid19": 823, "pneumonia": 267, "healthy": 904},
        description="frames of the videos at 3 Hz and the images together",
    )
    video_patients: dict[str, int] = {"covid19": 15, "pneumonia": 12, "healthy": 16}
    image_patients: dict[str, int] = {"covid19": 6, "pneumonia": 8, "healthy": 5}
    test_per_class: int = Field(
        default=400, ge=1, description="fresh patients per class in test, one image each"
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame with its truth.

    Attributes:
        image: (S, S) uint8, 0 outside the sector but for the scanner's marks.
        mask: (S, S) uint8, 255 in effusion, airless lung and the B-lines of the sick; all 0 when healthy.
        site: the scanner; sex: ``male`` or ``female``; age in years.
    """

    image: np.ndarray
    mask: np.ndarray
    site: str
    sex: str
    age: int
    prompt: str


def fingerprint(params: Params) -> str:
    """Hash of what decides the pictures: the version of the phantoms and the parameters."""
    text = canonical_json({"source": "phantom.ultrasound", "version": version, "params": params.model_dump()})
    return hashlib.sha256(text.encode()).hexdigest()


def draw(finding: str, *, seed: int, patient: int, clip: int, frame: int, size: int) -> Frame:
    """Draw one frame, the same for the same arguments whatever was drawn before.

    Patient, placement of the probe, console, lung and speckle come from streams of random numbers of their
    own: another finding leaves chest, view and settings as they are, another clip leaves the chest. The
    frames of a clip differ by breathing, the drift of the hand and a part of the speckle.

    Args:
        finding: a name of ``CLASSES``.
        patient, clip, frame: numbers from 0; frames follow each other at 3 Hz.
        size: height and width in pixels, 16 to 1024.
    Raises:
        DataError: unknown finding, or a size that cannot be drawn.
    """
    _check([finding], size)
    person = us_chest.sample_patient(_stream(seed, 1, patient))
    place = us_chest.sample_placement(_stream(seed, 2, patient, clip))
    console = us_console.sample_console(_stream(seed, 3, patient, clip), person.site)
    lung = us_findings.sample_finding(finding, _stream(seed, 4, patient, clip))
    lines = us_chest.scan_lines(person, place, frame)
    echo = us_echo.assemble(person, place, lung, lines)
    speckle = us_probe.speckle(_scatterers(seed, patient, clip, frame, place, lines), place.probe)
    gray = us_console.compress(echo, speckle, console, place.probe)
    picture = us_probe.scan_convert(gray, place.probe, place.window, size)
    return Frame(
        image=np.round(us_console.write_marks(picture, console) * 255).astype(np.uint8),
        mask=_mask(echo.mask, finding, place, size),
        site=person.site,
        sex=person.sex,
        age=person.age,
        prompt=PROMPTS[finding],
    )


def _stream(seed: int, what: int, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([int(version), seed, what, *numbers])


def _scatterers(
    seed: int, patient: int, clip: int, frame: int, place: us_chest.Placement, lines: us_chest.ScanLines
) -> np.ndarray:
    """Scatterers of a frame: those of the lung slide with it, and a part of all is new in every frame."""
    steady = us_probe.white(_stream(seed, 5, patient, clip))
    spacing = float(lines.lung[0, 1] - lines.lung[0, 0])
    slid = np.roll(steady, -round(float(lines.lung[0, 0]) / spacing), axis=2)
    steady = np.where(us_probe.depths(place.probe) < lines.pleura, steady, slid)
    new = us_probe.white(_stream(seed, 6, patient, clip, frame))
    return np.float32(STEADY) * steady + np.float32((1 - STEADY**2) ** 0.5) * new


def _mask(polar: np.ndarray, finding: str, place: us_chest.Placement, size: int) -> np.ndarray:
    if finding == "healthy" or not polar.any():
        return np.zeros((size, size), np.uint8)
    share = us_probe.scan_convert(polar.astype(np.float32), place.probe, place.window, size)
    return ((share > 0.5) * 255).astype(np.uint8)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The cohort as train, fresh patients as test and reserve. Drawn when looked at.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: images per class of fresh patients for the control ``oracle``.
    Raises:
        DataError: unknown class, a class without counts, or counts that contradict each other.
    """
    _check(classes, image_size)
    parts = {
        "train": us_population.cohort(_counts(params, classes), seed=seed),
        "test": us_population.fresh(classes, params.test_per_class, FRESH_TEST),
        "reserve": us_population.fresh(classes, reserve_per_class, FRESH_RESERVE),
    }
    return _image_set(parts, classes, image_size, seed)


def _check(names: Sequence[str], size: int) -> None:
    unknown = [name for name in names if name not in CLASSES]
    if unknown:
        raise DataError(
            "phantom.ultrasound", f"has no class '{unknown[0]}'", f"Its classes are {', '.join(CLASSES)}."
        )
    if not 16 <= size <= 1024:
        raise DataError(
            "phantom.ultrasound", f"cannot draw {size} pixels", "Choose an image size from 16 to 1024."
        )


def _counts(params: Params, classes: tuple[str, ...]) -> dict[str, Counts]:
    """The counts of the task's classes."""
    tables = {field: getattr(params, field) for field in _COUNTS}
    for field, table in tables.items():
        _check(list(table), 16)
        missing = [name for name in classes if name not in table]
        if missing:
            raise DataError(
                f"phantom.ultrasound.{field}", f"lacks '{missing[0]}'", "Name every class of the task."
            )
    return {name: Counts(**{field: table[name] for field, table in tables.items()}) for name in classes}


def _image_set(
    parts: dict[str, list[FrameRecord]], classes: tuple[str, ...], size: int, seed: int
) -> ImageSet:
    """The rows of all splits, drawn when looked at; what the table says is known without drawing."""
    rows = [r for part in parts.values() for r in part]

    def read(row: int) -> tuple[np.ndarray, np.ndarray]:
        r = rows[row]
        drawn = draw(r.finding, seed=seed, patient=r.patient, clip=r.clip, frame=r.frame, size=size)
        return drawn.image, drawn.mask

    image, mask = LazyImages.pair(read, len(rows), size)
    numbers = sorted({r.patient for r in rows})
    people = {k: us_chest.sample_patient(_stream(seed, 1, k)) for k in numbers}
    of_row = [people[r.patient] for r in rows]
    patient = [f"us-{seed}-p{r.patient:07d}" for r in rows]
    return ImageSet(
        image=image,
        label=np.array([classes.index(r.finding) for r in rows], dtype=np.int64),
        classes=classes,
        image_id=np.array(
            [f"{p}-c{r.clip:02d}-f{r.frame:03d}" for p, r in zip(patient, rows, strict=True)], dtype=str
        ),
        patient_id=np.array(patient, dtype=str),
        origin=np.full(len(rows), "real:phantom.ultrasound"),
        site=np.array([p.site for p in of_row], dtype=str),
        age=np.array([p.age for p in of_row], dtype=np.int64),
        sex=np.array([p.sex for p in of_row], dtype=str),
        prompt=np.array([PROMPTS[r.finding] for r in rows], dtype=str),
        license=np.full(len(rows), LICENSE),
        clip=np.array(
            ["" if r.still else f"{p}-c{r.clip:02d}" for p, r in zip(patient, rows, strict=True)], dtype=str
        ),
        split=np.array([name for name, part in parts.items() for _ in part], dtype=str),
        mask=mask,
        card={"source": "phantom.ultrasound", "version": version, "seed": seed,
              "license": LICENSE, "see": "docs/data_cards/phantom_ultrasound.md"},
    )  # fmt: skip


def example_grid(path: str, *, size: int = 128, columns: int = 8, seed: int = 0) -> None:
    """Write a PNG with one row per class, a patient per column."""
    from PIL import Image

    rows = [
        np.concatenate(
            [draw(c, seed=seed, patient=5000 + 100 * r + k, clip=0, frame=0, size=size).image
             for k in range(columns)], 1,
        )
        for r, c in enumerate(CLASSES)
    ]  # fmt: skip
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.datasets.phantom.ultrasound OUT.png")
    example_grid(sys.argv[1])
