"""Phantom lung ultrasound: clips of a convex probe of COVID-19, bacterial pneumonia and healthy lungs."""

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets.phantom import _common
from benchmark.datasets.phantom._common import Phantom
from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.ultrasound import chest as us_chest
from benchmark.phantoms.ultrasound import console as us_console
from benchmark.phantoms.ultrasound import echo as us_echo
from benchmark.phantoms.ultrasound import findings as us_findings
from benchmark.phantoms.ultrasound import population as us_population
from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.population import Counts, FrameRecord

version = "1"
conditions = frozenset({"age", "mask", "prompt", "sex"})
SOURCE = "phantom.ultrasound"
CLASSES = us_findings.CLASSES
FRESH_TEST, FRESH_RESERVE = 1_000_000, 2_000_000  # number of the first fresh patient
STEADY = 0.8  # correlation of the speckle between frames: tissue moves through the image plane
PROMPTS = {
    "covid19": "A lung ultrasound image of a patient with COVID-19",
    "pneumonia": "A lung ultrasound image of a patient with bacterial pneumonia",
    "healthy": "A lung ultrasound image of a healthy patient",
}
_COUNTS = ("videos", "images", "frames", "video_patients", "image_patients")


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; videos, images and frames are those of Zhang et al. 2023, Table 1.

    The paper gives no patient counts. They are scaled from the POCUS pack (Born et al. 2021), class by class:
    4 patients for 15 COVID-19 videos, 24 for 27 pneumonia videos, 19 for 42 healthy videos; 1 for 3 COVID-19
    images, 11 for 11 pneumonia images, 8 for 8 healthy images. No patient has both videos and images.
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


def fingerprint(params: Params) -> str:
    """Hash of everything that decides the pixels."""
    return _common.fingerprint(SOURCE, version, params)


def draw(finding: str, *, seed: int, patient: int, clip: int, frame: int, size: int) -> Phantom:
    """Draw one frame, black outside the sector except for the on-screen annotations.

    The result depends on the arguments alone.

    Patient, probe placement, console, lung and speckle have separate random streams: another finding leaves
    chest wall, view and settings unchanged, another clip leaves the chest wall unchanged. The frames of a
    clip differ by breathing, the drift of the hand and a part of the speckle.

    Args:
        finding: a name of ``CLASSES``.
        patient, clip, frame: numbers from 0; frames follow each other at 3 Hz.
        size: height and width in pixels, 16 to 1024.
    Raises:
        BenchmarkError: unknown finding, or a size that cannot be drawn.
    """
    _common.check_request([finding], CLASSES, size, SOURCE)
    person = us_chest.sample_patient(_stream(seed, 1, patient))
    place = us_chest.sample_placement(_stream(seed, 2, patient, clip))
    console = us_console.sample_console(_stream(seed, 3, patient, clip), person.site)
    lung = us_findings.sample_finding(finding, _stream(seed, 4, patient, clip))
    lines = us_chest.scan_lines(person, place, frame)
    echo = us_echo.assemble(person, place, lung, lines)
    speckle = us_probe.speckle(_scatterers(seed, patient, clip, frame, place, lines), place.probe)
    gray = us_console.compress(echo, speckle, console, place.probe)
    image = us_probe.scan_convert(gray, place.probe, place.window, size)
    return Phantom(
        image=np.round(us_console.write_marks(image, console) * 255).astype(np.uint8),
        mask=_mask(echo.mask, finding, place, size),
        site=person.site,
        sex=person.sex,
        age=person.age,
        prompt=PROMPTS[finding],
    )


def _stream(seed: int, purpose: int, *numbers: int) -> np.random.Generator:
    return np.random.default_rng([int(version), seed, purpose, *numbers])


def _scatterers(
    seed: int, patient: int, clip: int, frame: int, place: us_chest.Placement, lines: us_chest.ScanLines
) -> np.ndarray:
    """Scatterers of a frame: those of the lung slide with it, and a part is new in each frame."""
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
    """The cohort as ``train``, fresh patients as ``test`` and ``reserve``, drawn on demand.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: images per class of fresh patients for the control ``oracle``.
    Raises:
        BenchmarkError: unknown class, a class without counts, or inconsistent counts.
    """
    counts = {field: getattr(params, field) for field in _COUNTS}
    listed = [name for by_class in counts.values() for name in by_class]
    _common.check_request([*classes, *listed], CLASSES, image_size, SOURCE)
    for field, name in ((f, n) for f, by_class in counts.items() for n in classes if n not in by_class):
        raise DataError(f"{SOURCE}.{field}", f"lacks '{name}'", "Name every class of the task.")
    of_class = {name: Counts(**{field: counts[field][name] for field in _COUNTS}) for name in classes}
    parts = {
        "train": us_population.cohort(of_class, seed=seed),
        "test": us_population.fresh(classes, params.test_per_class, FRESH_TEST),
        "reserve": us_population.fresh(classes, reserve_per_class, FRESH_RESERVE),
    }
    return _image_set(parts, classes, image_size, seed)


def _image_set(
    parts: dict[str, list[FrameRecord]], classes: tuple[str, ...], size: int, seed: int
) -> ImageSet:
    """Image set whose metadata are known without drawing."""
    records = [record for part in parts.values() for record in part]
    people = {r.patient: us_chest.sample_patient(_stream(seed, 1, r.patient)) for r in records}
    clips = [f"us-{seed}-p{r.patient:07d}-c{r.clip:02d}" for r in records]
    return _common.image_set(
        parts,
        lambda r: draw(r.finding, seed=seed, patient=r.patient, clip=r.clip, frame=r.frame, size=size),
        size,
        classes=classes,
        prompts=PROMPTS,
        card=_common.data_card(SOURCE, version, seed),
        image_id=[f"{clip}-f{r.frame:03d}" for clip, r in zip(clips, records, strict=True)],
        patient_id=[f"us-{seed}-p{r.patient:07d}" for r in records],
        site=[people[r.patient].site for r in records],
        age=[people[r.patient].age for r in records],
        sex=[people[r.patient].sex for r in records],
        clip=["" if r.still else clip for clip, r in zip(clips, records, strict=True)],
    )
