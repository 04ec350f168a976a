"""Phantom chest radiographs: healthy, and four pneumonias that differ for radiological reasons."""

from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets.phantom import _common
from benchmark.datasets.phantom._common import Phantom
from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.canvas.devices import draw_devices
from benchmark.phantoms.canvas.fields import make_grid
from benchmark.phantoms.pneumonia import acquisition, anatomy, findings, population, tissue
from benchmark.phantoms.pneumonia.population import ImageRecord

version = "1"
conditions = frozenset({"age", "mask", "prompt", "sex", "view"})
SOURCE = "phantom.chest"
CLASSES = findings.CLASSES
FRESH_TEST, FRESH_RESERVE = 1_000_000, 2_000_000  # first index of the fresh patients
# the prompts of Schaudt et al. 2023, section 3.3
_NAMES = {"fungal": "fungal", "covid19": "COVID-19", "bacterial": "bacterial", "viral": "viral"}
PROMPTS = {name: f"An X-ray image of the lung with {word} pneumonia" for name, word in _NAMES.items()}
PROMPTS["healthy"] = "An X-ray image of the lung, healthy patient, no signs of pneumonia"


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; the defaults are those of Schaudt et al. 2023."""

    train_counts: dict[str, int] = Field(
        default={"healthy": 543, "fungal": 96, "covid19": 87, "bacterial": 81, "viral": 58},
        description="images per class for train and val together (Table 2, training data)",
    )
    test_counts: dict[str, int] = Field(
        default={"healthy": 130, "fungal": 29, "covid19": 23, "bacterial": 19, "viral": 16},
        description="images per class in test_paper (Table 2, validation data)",
    )
    patients: int = Field(default=828, ge=2, description="of train, val and test_paper (section 3.1)")
    test_per_class: int = Field(default=400, ge=1, description="fresh patients per class in test")


class Given(TypedDict, total=False):
    """Properties that the caller fixes; None or a missing key: sampled from the population."""

    patient: int | None
    sex: str | None
    age: int | None
    view: str | None


def fingerprint(params: Params) -> str:
    """Hash of everything that decides the pixels."""
    return _common.fingerprint(SOURCE, version, params)


def draw(finding: str, *, seed: int, index: int, size: int, **given: Unpack[Given]) -> Phantom:
    """Draw one image; the result depends on the arguments alone.

    Patient, exposure and finding have separate random streams: another finding leaves patient and exposure
    unchanged, another index of the same patient leaves the anatomy unchanged.

    Args:
        finding: a name of ``CLASSES``.
        index: number of the image.
        size: height and width in pixels, 16 to 1024.
        given: ``patient`` (number, by default the index), ``sex``, ``age`` in years, ``view``.
    Raises:
        BenchmarkError: unknown finding, or a size that cannot be drawn.
    """
    _common.check_request([finding], CLASSES, size, SOURCE)
    scene = _scene(seed, index, size, **given)
    lungs, exposure = scene.lungs, scene.exposure
    layers = tissue.project(scene.body, exposure.pose, lungs)
    lesion = findings.draw_finding(finding, _stream(seed, 3, index), lungs)
    # vessels are visible against air alone: consolidation hides them
    shadow = layers.solid - layers.air * (1 - lesion.opacity) * (1 - layers.vessels)
    devices = draw_devices(exposure.devices, exposure.seed, lungs.grid)
    if devices is not None:
        shadow = shadow + devices
    return Phantom(
        image=acquisition.expose(shadow, exposure, lungs.grid),
        mask=(((lesion.extent > 0.25) & (lungs.inside > 0.5)) * 255).astype(np.uint8),
        view=exposure.pose.view,
        sex=scene.body.sex,
        age=scene.body.age,
        site=exposure.site,
        prompt=PROMPTS[finding],
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """A patient in front of the detector, independent of the finding."""

    body: anatomy.Body
    exposure: acquisition.Exposure
    lungs: anatomy.Lungs


def _stream(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([int(version), seed, purpose, number])


def _scene(seed: int, index: int, size: int, **given: Unpack[Given]) -> Scene:
    """Patient and exposure of one image; arguments as of :func:`draw`."""
    patient, age = given.get("patient"), given.get("age")
    of_patient = _stream(seed, 1, index if patient is None else patient)
    of_exposure = _stream(seed, 2, index)
    own_sex, own_age = population.sample_demographics(of_patient)
    body = anatomy.sample_body(of_patient, given.get("sex") or own_sex, own_age if age is None else age)
    own_view = "AP" if of_exposure.random() < population.TRAIN_AP else "PA"
    exposure = acquisition.sample_exposure(of_exposure, given.get("view") or own_view)
    grid = make_grid(size, zoom=exposure.zoom, angle=exposure.angle, shift=exposure.shift)
    return Scene(body, exposure, anatomy.project_lungs(body, exposure.pose, grid))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The cohort as ``train`` and ``test_paper``; fresh patients as ``test`` and ``reserve``, all lazy.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: images per class of fresh patients for the control ``oracle``.
    Raises:
        BenchmarkError: unknown class, or a class without count.
    """
    _common.check_request([*classes, *params.train_counts, *params.test_counts], CLASSES, image_size, SOURCE)
    train = _counts(params.train_counts, classes, "train_counts")
    paper = _counts(params.test_counts, classes, "test_counts")
    n_train, n_paper = sum(train.values()), sum(paper.values())
    n_all = sum(params.train_counts.values()) + sum(params.test_counts.values())
    patients = round(params.patients * n_train / n_all)
    paper_patients = round(params.patients * (n_train + n_paper) / n_all) - patients
    train_records = population.cohort(train, patients, first_index=0, first_patient=0, test=False, seed=seed)
    paper_records = population.cohort(
        paper, paper_patients, first_index=len(train_records), first_patient=patients, test=True, seed=seed
    )
    parts = {
        "train": train_records,
        "test": _fresh(classes, params.test_per_class, FRESH_TEST),
        "reserve": _fresh(classes, reserve_per_class, FRESH_RESERVE),
        "test_paper": paper_records,
    }
    return _image_set(parts, classes, image_size, seed)


def _counts(counts: dict[str, int], classes: tuple[str, ...], field: str) -> dict[str, int]:
    """The counts of the task's classes, each at least one."""
    for name in classes:
        if counts.get(name, 0) < 1:
            where, problem = f"{SOURCE}.{field}", f"has no images of '{name}'"
            raise DataError(where, problem, "Give every class a count of 1 or more.")
    return {name: counts[name] for name in classes}


def _fresh(classes: tuple[str, ...], per_class: int, first: int) -> list[ImageRecord]:
    """Fresh patients, one image each, classes in turn; the population decides sex, age and view."""
    return [ImageRecord(first + i, first + i, name) for i, name in enumerate(classes * per_class)]


def _image_set(
    parts: dict[str, list[ImageRecord]], classes: tuple[str, ...], size: int, seed: int
) -> ImageSet:
    """Image set whose metadata are known without drawing."""
    records = [record for part in parts.values() for record in part]
    scenes = [_scene(seed, r.index, 16, **_given(r)) for r in records]
    return _common.image_set(
        parts,
        lambda r: draw(r.finding, seed=seed, index=r.index, size=size, **_given(r)),
        size,
        classes=classes,
        prompts=PROMPTS,
        card=_common.data_card(SOURCE, version, seed),
        image_id=[f"phantom-{seed}-{r.index:07d}" for r in records],
        patient_id=[f"phantom-{seed}-p{r.patient:07d}" for r in records],
        site=[scene.exposure.site for scene in scenes],
        view=[scene.exposure.pose.view for scene in scenes],
        age=[scene.body.age for scene in scenes],
        sex=[scene.body.sex for scene in scenes],
    )


def _given(record: ImageRecord) -> Given:
    return {"patient": record.patient, "sex": record.sex, "age": record.age, "view": record.view}
