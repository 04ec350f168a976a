"""Phantom chest radiographs: healthy, and four pneumonias that differ for radiological reasons.

``python -m benchmark.datasets.phantom.chest OUT.png`` draws an example grid.
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
from benchmark.phantoms.pneumonia import acquisition, anatomy, findings, population, tissue
from benchmark.phantoms.pneumonia.population import ImageRecord
from benchmark.utils.hashing import canonical_json

version = "1"
CLASSES = findings.CLASSES
LICENSE = "Apache-2.0"
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


@dataclass(frozen=True, eq=False)
class Phantom:
    """One image with its truth.

    Attributes:
        image: (S, S) uint8.
        mask: (S, S) uint8, 255 inside the finding, all 0 when healthy.
        view: ``AP`` or ``PA``; sex: ``male`` or ``female``; age in years.
    """

    image: np.ndarray
    mask: np.ndarray
    view: str
    sex: str
    age: int
    site: str
    prompt: str


def fingerprint(params: Params) -> str:
    """Hash of what decides the pictures: the version of the phantoms and the parameters."""
    text = canonical_json({"source": "phantom.chest", "version": version, "params": params.model_dump()})
    return hashlib.sha256(text.encode()).hexdigest()


def draw(
    finding: str,
    *,
    seed: int,
    index: int,
    size: int,
    patient: int | None = None,
    sex: str | None = None,
    age: int | None = None,
    view: str | None = None,
) -> Phantom:
    """Draw one image, the same for the same arguments whatever was drawn before.

    Patient, exposure and finding come from three streams of random numbers: another finding leaves the
    patient and the exposure as they are, another index of one patient leaves the anatomy.

    Args:
        finding: a name of ``CLASSES``.
        index: number of the image.
        size: height and width in pixels, 16 to 1024.
        patient: number of the patient; by default the index.
        sex, age, view: as in the population where not given.
    Raises:
        DataError: unknown finding, or a size that cannot be drawn.
    """
    _check([finding], size)
    scene = _scene(seed, index, size, patient=patient, sex=sex, age=age, view=view)
    lungs, exposure = scene.lungs, scene.exposure
    layers = tissue.project(scene.body, exposure.pose, lungs)
    found = findings.draw_finding(finding, _stream(seed, 3, index), lungs)
    # vessels are seen against air alone: consolidation hides them
    shadow = layers.solid - layers.air * (1 - found.opacity) * (1 - layers.vessels)
    metal = acquisition.hardware(exposure, lungs.grid)
    if metal is not None:
        shadow = shadow + metal
    return Phantom(
        image=acquisition.expose(shadow, exposure, lungs.grid),
        mask=(((found.extent > 0.25) & (lungs.inside > 0.5)) * 255).astype(np.uint8),
        view=exposure.pose.view,
        sex=scene.body.sex,
        age=scene.body.age,
        site=exposure.site,
        prompt=PROMPTS[finding],
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """A patient before the detector, whatever the finding."""

    body: anatomy.Body
    exposure: acquisition.Exposure
    lungs: anatomy.Lungs


def _stream(seed: int, what: int, number: int) -> np.random.Generator:
    return np.random.default_rng([int(version), seed, what, number])


def _scene(
    seed: int,
    index: int,
    size: int,
    *,
    patient: int | None = None,
    sex: str | None = None,
    age: int | None = None,
    view: str | None = None,
) -> Scene:
    """Patient and exposure of one image; arguments as of :func:`draw`."""
    of_patient = _stream(seed, 1, index if patient is None else patient)
    of_exposure = _stream(seed, 2, index)
    own_sex, own_age = population.sample_demographics(of_patient)
    body = anatomy.sample_body(of_patient, sex or own_sex, own_age if age is None else age)
    own_view = "AP" if of_exposure.random() < population.TRAIN_AP else "PA"
    exposure = acquisition.sample_exposure(of_exposure, view or own_view)
    grid = acquisition.grid_of(exposure, size)
    return Scene(body, exposure, anatomy.project_lungs(body, exposure.pose, grid))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """The cohort as train and test_paper; fresh patients as test and reserve. Drawn when looked at.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: images per class of fresh patients for the control ``oracle``.
    Raises:
        DataError: unknown class, or a class without count.
    """
    _check(classes, image_size)
    train, test = (_counts(c, classes, field) for c, field in
                   ((params.train_counts, "train_counts"), (params.test_counts, "test_counts")))  # fmt: skip
    images = {k: sum(c.values()) for k, c in (("train", train), ("test", test))}
    all_images = sum(params.train_counts.values()) + sum(params.test_counts.values())
    people = round(params.patients * images["train"] / all_images)
    people_test = round(params.patients * (images["train"] + images["test"]) / all_images) - people
    learn = population.cohort(train, people, first_index=0, first_patient=0, test=False, seed=seed)
    held = population.cohort(
        test, people_test, first_index=len(learn), first_patient=people, test=True, seed=seed
    )
    parts = {
        "train": learn,
        "test": _fresh(classes, params.test_per_class, FRESH_TEST),
        "reserve": _fresh(classes, reserve_per_class, FRESH_RESERVE),
        "test_paper": held,
    }
    return _image_set(parts, classes, image_size, seed)


def _check(names: Sequence[str], size: int) -> None:
    unknown = [name for name in names if name not in CLASSES]
    if unknown:
        raise DataError(
            "phantom.chest", f"has no class '{unknown[0]}'", f"Its classes are {', '.join(CLASSES)}."
        )
    if not 16 <= size <= 1024:
        raise DataError(
            "phantom.chest", f"cannot draw {size} pixels", "Choose an image size from 16 to 1024."
        )


def _counts(counts: dict[str, int], classes: tuple[str, ...], field: str) -> dict[str, int]:
    """The counts of the task's classes, each at least one."""
    _check(list(counts), 16)
    for name in classes:
        if counts.get(name, 0) < 1:
            raise DataError(
                f"phantom.chest.{field}",
                f"has no images of '{name}'",
                "Give every class a count of 1 or more.",
            )
    return {name: counts[name] for name in classes}


def _fresh(classes: tuple[str, ...], per_class: int, first: int) -> list[ImageRecord]:
    """Patients of their own, one image each, classes in turn so that every prefix is balanced."""
    n = per_class * len(classes)
    return [ImageRecord(first + i, first + i, classes[i % len(classes)], "", -1, "") for i in range(n)]


def _image_set(
    parts: dict[str, list[ImageRecord]], classes: tuple[str, ...], size: int, seed: int
) -> ImageSet:
    """The studies of all splits, drawn when looked at; what the table says is known without drawing."""
    studies = [s for rows in parts.values() for s in rows]

    def read(row: int) -> tuple[np.ndarray, np.ndarray]:
        s = studies[row]
        drawn = draw(s.finding, seed=seed, index=s.index, size=size, patient=s.patient, sex=s.sex or None,
                     age=s.age if s.age >= 0 else None, view=s.view or None)  # fmt: skip
        return drawn.image, drawn.mask

    image, mask = LazyImages.pair(read, len(studies), size)
    people = [_person(s, seed) for s in studies]
    return ImageSet(
        image=image,
        label=np.array([classes.index(s.finding) for s in studies], dtype=np.int64),
        classes=classes,
        image_id=np.array([f"phantom-{seed}-{s.index:07d}" for s in studies], dtype=str),
        patient_id=np.array([f"phantom-{seed}-p{s.patient:07d}" for s in studies], dtype=str),
        origin=np.full(len(studies), "real:phantom.chest"),
        site=np.array([p[3] for p in people], dtype=str),
        view=np.array([p[2] for p in people], dtype=str),
        age=np.array([p[1] for p in people], dtype=np.int64),
        sex=np.array([p[0] for p in people], dtype=str),
        prompt=np.array([PROMPTS[s.finding] for s in studies], dtype=str),
        license=np.full(len(studies), LICENSE),
        split=np.array([name for name, rows in parts.items() for _ in rows], dtype=str),
        mask=mask,
        card={"source": "phantom.chest", "version": version, "seed": seed,
              "license": LICENSE, "see": "docs/data_cards/phantom_chest.md"},
    )  # fmt: skip


def _person(study: ImageRecord, seed: int) -> tuple[str, int, str, str]:
    """Sex, age, view and site of a study, as ``draw`` will have them."""
    scene = _scene(seed, study.index, 16, patient=study.patient, sex=study.sex or None,
                   age=study.age if study.age >= 0 else None, view=study.view or None)  # fmt: skip
    return scene.body.sex, scene.body.age, scene.exposure.pose.view, scene.exposure.site


def example_grid(path: str, *, size: int = 128, columns: int = 6, seed: int = 0) -> None:
    """Write a PNG with one row per class."""
    from PIL import Image

    rows = [
        np.concatenate(
            [draw(c, seed=seed, index=5000 + 100 * r + k, size=size).image for k in range(columns)], 1
        )
        for r, c in enumerate(CLASSES)
    ]
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.datasets.phantom.chest OUT.png")
    example_grid(sys.argv[1])
