"""Phantom chest radiographs with the fourteen findings of ChestX-ray14, frontal and lateral.

``python -m benchmark.phantoms.radiograph.thorax OUT.png`` draws an example grid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.phantoms.pneumonia.acquisition import draw_devices
from benchmark.phantoms.radiograph import (
    airspace,
    effects,
    focal,
    frontal,
    imaging,
    language,
    lateral,
    pathology,
    pleura,
)
from benchmark.phantoms.radiograph.effects import Effect
from benchmark.phantoms.radiograph.hardware import draw_lateral
from benchmark.phantoms.radiograph.imaging import SITES, Exposure
from benchmark.phantoms.radiograph.pathology import FINDINGS, FindingSpec
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.torso import CM, NO_CHANGE, Patient, sample_patient

version = "1"
VIEWS = ("PA", "AP", "LATERAL")
_RENDERERS: dict[str, Callable[[FindingSpec, Chest], list[Effect]]] = {
    "atelectasis": airspace.atelectasis,
    "cardiomegaly": focal.cardiomegaly,
    "consolidation": airspace.consolidation,
    "edema": airspace.edema,
    "effusion": pleura.effusion,
    "emphysema": airspace.emphysema,
    "fibrosis": airspace.fibrosis,
    "hernia": focal.hernia,
    "infiltration": airspace.infiltration,
    "mass": focal.mass,
    "nodule": focal.nodules,
    "pleural_thickening": pleura.thickening,
    "pneumonia": airspace.pneumonia,
    "pneumothorax": pleura.pneumothorax,
}
SIZES = {
    "cardiomegaly": "cardiothoracic ratio as seen",
    "hernia": "width in cm",
    "mass": "diameter in cm",
    "nodule": "diameter of the largest in cm",
}  # of every other finding: share of the lungs, as projected, that its mask covers


@dataclass(frozen=True, eq=False)
class Lesion:
    """One finding of one study.

    Attributes:
        finding: a name of ``FINDINGS``.
        side: ``left`` or ``right`` of the patient, ``both``, or empty where a side means nothing.
        severity: 0 (barely visible) to 1 (extreme).
        size: what the finding is measured by, in its own unit; see ``SIZES``.
        mask: (S, S) uint8, 255 where it lies.
    """

    finding: str
    side: str
    severity: float
    size: float
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One radiograph with its truth.

    Attributes:
        image: (S, S) uint8.
        mask: (S, S) uint8, the union of the lesions' masks.
        lesions: in the order of ``FINDINGS``; empty when healthy.
        view: ``PA``, ``AP`` or ``LATERAL``; sex: ``male`` or ``female``; age in years.
        prompt: one sentence that says what is there.
    """

    image: np.ndarray
    mask: np.ndarray
    lesions: tuple[Lesion, ...]
    view: str
    sex: str
    age: int
    site: str
    prompt: str


def draw(
    findings: Sequence[str] | Mapping[str, float | None],
    *,
    seed: int,
    index: int,
    size: int,
    patient: int | None = None,
    sex: str | None = None,
    age: int | None = None,
    view: str | None = None,
    site: str | None = None,
    devices: bool | None = None,
) -> Radiograph:
    """Draw one radiograph, the same for the same arguments whatever was drawn before.

    Args:
        findings: names of ``FINDINGS``, or name to severity in 0..1 (None: drawn); empty when healthy.
        index: number of the image.
        size: height and width in pixels, 16 to 1024.
        patient: number of the patient; by default the index. Studies of one patient share the anatomy.
        sex, age: of the patient; drawn where not given.
        view: a name of ``VIEWS``; where not given PA or AP is drawn.
        site: a name of ``SITES``; drawn where not given.
        devices: with or without lines, tubes and leads; drawn where not given.
    Raises:
        DataError: an unknown name, a severity outside 0..1, or a size that cannot be drawn.
    """
    requested = dict(findings) if isinstance(findings, Mapping) else dict.fromkeys(findings)
    _check(requested, size, view=view, site=site, sex=sex)
    who = index if patient is None else patient
    scene = _scene(requested, seed, index, size, who, sex=sex, age=age, view=view, site=site, devices=devices)
    chest, exposure = scene.chest, scene.exposure
    found = [_RENDERERS[spec.finding](spec, chest) for spec in scene.specs]
    shadow = effects.shadow(chest, [effect for each in found for effect in each])
    wires = draw_lateral if chest.lateral_view else draw_devices
    metal = wires(exposure.devices, exposure.seed, chest.grid)
    if metal is not None:
        shadow = shadow + metal
    scale = imaging.gray_range(scene.patient, exposure.pose.view)
    lesions = tuple(
        _lesion(spec, effects.mask_of(each, size), chest)
        for spec, each in zip(scene.specs, found, strict=True)
    )
    return Radiograph(
        image=imaging.expose(shadow, scale, exposure, chest.grid),
        mask=_union([lesion.mask for lesion in lesions], size),
        lesions=lesions,
        view=exposure.pose.view,
        sex=scene.patient.sex,
        age=scene.patient.age,
        site=exposure.site,
        prompt=language.sentence(scene.specs, chest.supine),
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """A patient with findings before the detector."""

    patient: Patient
    exposure: Exposure
    specs: tuple[FindingSpec, ...]
    chest: Chest


def _scene(
    requested: Mapping[str, float | None],
    seed: int,
    index: int,
    size: int,
    patient: int,
    *,
    sex: str | None = None,
    age: int | None = None,
    view: str | None = None,
    site: str | None = None,
    devices: bool | None = None,
) -> Scene:
    """Patient, exposure and each finding, every one from streams of its own; arguments as of :func:`draw`."""
    of_patient = _stream(seed, 1, patient)
    own_sex, own_age = ("male" if of_patient.random() < 0.56 else "female"), _age(of_patient)
    person = sample_patient(of_patient, sex or own_sex, own_age if age is None else age)
    exposure = imaging.sample_exposure(_stream(seed, 2, index), view, site, devices)
    specs = tuple(
        pathology.sample_finding(name, requested[name], _stream(seed, 100 + number, patient),
                       _stream(seed, 200 + number, index), person, exposure.pose)
        for number, name in enumerate(FINDINGS) if name in requested
    )  # fmt: skip
    change = sum((spec.change for spec in specs), NO_CHANGE)
    project = lateral.project if exposure.pose.view == "LATERAL" else frontal.project
    chest = project(person, exposure.pose, change, imaging.grid_of(exposure, size))
    return Scene(person, exposure, specs, chest)


def _age(rng: np.random.Generator) -> int:
    """Years, about 50 with a spread of 17, as in ChestX-ray14 (Wang et al. 2017); 18 to 90."""
    return int(np.clip(rng.normal(50, 17), 18, 90))


def _stream(seed: int, what: int, number: int) -> np.random.Generator:
    return np.random.default_rng([int(version), 2, seed, what, number])


def _union(masks: Sequence[np.ndarray], size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    for one in masks:
        mask |= one
    return mask


def _lesion(spec: FindingSpec, mask: np.ndarray, chest: Chest) -> Lesion:
    return Lesion(spec.finding, language.side_of(spec), spec.grade, _size(spec, mask, chest), mask)


def _size(spec: FindingSpec, mask: np.ndarray, chest: Chest) -> float:
    """See ``SIZES``."""
    if spec.finding == "cardiomegaly":
        return chest.ratio
    if spec.finding == "nodule":
        return 2 * focal.nodule_radii(spec)[0] / CM
    if spec.finding == "mass":
        return 2 * focal.mass_radius(spec) / CM
    if spec.finding == "hernia":
        return 2 * focal.hernia_radius(spec) / CM
    return float((mask > 0).sum() / max(1.0, (chest.inside > 0.5).sum()))


def _check(requested: Mapping[str, float | None], size: int, **names: str | None) -> None:
    known = {"view": VIEWS, "site": SITES, "sex": ("male", "female")}
    wanted = [("finding", name, FINDINGS) for name in requested]
    wanted += [(word, name, known[word]) for word, name in names.items() if name is not None]
    for word, name, choice in wanted:
        if name not in choice:
            remedy = unknown_name(word, name, list(choice)).remedy
            raise DataError(f"phantom.thorax.{word}", f"no {word} '{name}'", remedy)
    for name, severity in requested.items():
        if severity is not None and not 0 <= severity <= 1:
            raise DataError(
                f"phantom.thorax.{name}", f"severity {severity}", "Give a severity from 0 to 1, or None."
            )
    if not 16 <= size <= 1024:
        raise DataError(
            "phantom.thorax", f"cannot draw {size} pixels", "Choose an image size from 16 to 1024."
        )


def example_grid(path: str, *, size: int = 112, columns: int = 6, seed: int = 0) -> None:
    """Write a PNG with one row without and one row for every finding; the last two columns are lateral."""
    from PIL import Image

    rows = []
    for number, names in enumerate([(), *((name,) for name in FINDINGS)]):
        views = ["PA" if k % 2 else "AP" for k in range(columns - 2)] + ["LATERAL"] * 2
        drawn = [
            draw(names, seed=seed, index=100 * number + k, size=size, view=v).image
            for k, v in enumerate(views)
        ]
        rows.append(np.concatenate(drawn, 1))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.phantoms.radiograph.thorax OUT.png")
    example_grid(sys.argv[1])
