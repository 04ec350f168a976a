"""Phantom chest radiographs with the fourteen findings of ChestX-ray14, frontal and lateral."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, Unpack

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.phantoms.canvas.devices import draw_devices
from benchmark.phantoms.canvas.fields import check_size, make_grid
from benchmark.phantoms.radiograph import (
    airspace,
    focal,
    frontal,
    imaging,
    language,
    lateral,
    pathology,
    pleura,
)
from benchmark.phantoms.radiograph.imaging import SITES, Exposure
from benchmark.phantoms.radiograph.pathology import FINDINGS, FindingSpec
from benchmark.phantoms.radiograph.projection import Chest, Effect, mask_of, shadow_of
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
    "cardiomegaly": "cardiothoracic ratio in the image",
    "hernia": "width in cm",
    "mass": "diameter in cm",
    "nodule": "diameter of the largest in cm",
}  # of all other findings: share of the projected lungs that the mask covers


@dataclass(frozen=True, eq=False)
class Lesion:
    """One finding of one radiograph.

    Attributes:
        finding: a name of ``FINDINGS``.
        side: ``left`` or ``right`` of the patient, ``both``, or empty for midline findings.
        severity: 0 (barely visible) to 1 (extreme).
        size: see ``SIZES`` for the unit.
        mask: (S, S) uint8, 255 inside the finding.
    """

    finding: str
    side: str
    severity: float
    size: float
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Radiograph:
    """One radiograph with its ground truth.

    Attributes:
        image: (S, S) uint8.
        mask: (S, S) uint8, the union of the lesions' masks.
        lesions: in the order of ``FINDINGS``; empty when healthy.
        view: ``PA``, ``AP`` or ``LATERAL``; sex: ``male`` or ``female``; age in years.
        prompt: the findings in one sentence.
    """

    image: np.ndarray
    mask: np.ndarray
    lesions: tuple[Lesion, ...]
    view: str
    sex: str
    age: int
    site: str
    prompt: str


class Given(TypedDict, total=False):
    """Properties that the caller fixes; None or a missing key: sampled."""

    patient: int | None
    sex: str | None
    age: int | None
    view: str | None
    site: str | None
    devices: bool | None


def draw(
    findings: Sequence[str] | Mapping[str, float | None], *, seed: int, index: int, size: int,
    **given: Unpack[Given],
) -> Radiograph:  # fmt: skip
    """Draw one radiograph; the result depends on the arguments alone.

    Args:
        findings: names of ``FINDINGS``, or name to severity in 0..1 (None: sampled); empty when healthy.
        index: number of the image.
        size: height and width in pixels, 16 to 1024.
        given: ``patient`` (number, by default the index; the images of a patient share the anatomy), ``sex``,
            ``age`` in years, ``view`` of ``VIEWS`` (PA or AP if sampled), ``site`` of ``SITES``, ``devices``
            (with or without lines, tubes and leads).
    Raises:
        DataError: an unknown name, a severity outside 0..1, or a size that cannot be drawn.
    """
    requested = dict(findings) if isinstance(findings, Mapping) else dict.fromkeys(findings)
    check_size(size, "phantom.thorax")
    _check_names(requested, view=given.get("view"), site=given.get("site"), sex=given.get("sex"))
    _check_severities(requested)
    scene = _scene(requested, seed, index, size, **given)
    chest, exposure = scene.chest, scene.exposure
    effects_of = [_RENDERERS[spec.finding](spec, chest) for spec in scene.specs]
    shadow = shadow_of(chest, [effect for each in effects_of for effect in each])
    devices = draw_devices(exposure.devices, exposure.seed, chest.grid, lateral=chest.lateral_view)
    if devices is not None:
        shadow = shadow + devices
    scale = imaging.gray_range(scene.patient, exposure.pose.view)
    masks = [mask_of(each, size) for each in effects_of]
    lesions = tuple(
        Lesion(spec.finding, language.side_of(spec), spec.grade, _size(spec, mask, chest), mask)
        for spec, mask in zip(scene.specs, masks, strict=True)
    )
    empty = np.zeros((size, size), np.uint8)
    return Radiograph(
        image=imaging.expose(shadow, scale, exposure, chest.grid),
        mask=np.bitwise_or.reduce([empty, *masks]),
        lesions=lesions,
        view=exposure.pose.view,
        sex=scene.patient.sex,
        age=scene.patient.age,
        site=exposure.site,
        prompt=language.sentence(scene.specs, chest.supine),
    )


@dataclass(frozen=True, eq=False)
class Scene:
    """A patient with findings in front of the detector."""

    patient: Patient
    exposure: Exposure
    specs: tuple[FindingSpec, ...]
    chest: Chest


def _scene(
    requested: Mapping[str, float | None], seed: int, index: int, size: int, **given: Unpack[Given]
) -> Scene:
    """Patient, exposure and findings, each from separate random streams; arguments as of :func:`draw`."""
    patient, age = given.get("patient"), given.get("age")
    patient = index if patient is None else patient
    of_patient = _stream(seed, 1, patient)
    own_sex = "male" if of_patient.random() < 0.56 else "female"
    own_age = int(np.clip(of_patient.normal(50, 17), 18, 90))  # as in ChestX-ray14 (Wang et al. 2017)
    person = sample_patient(of_patient, given.get("sex") or own_sex, own_age if age is None else age)
    exposure = imaging.sample_exposure(
        _stream(seed, 2, index), given.get("view"), given.get("site"), given.get("devices")
    )
    specs = tuple(
        pathology.sample_finding(name, requested[name], _stream(seed, 100 + number, patient),
                                 _stream(seed, 200 + number, index), person, exposure.pose)
        for number, name in enumerate(FINDINGS) if name in requested
    )  # fmt: skip
    change = sum((spec.change for spec in specs), NO_CHANGE)
    project = lateral.project if exposure.pose.view == "LATERAL" else frontal.project
    chest = project(
        person,
        exposure.pose,
        change,
        make_grid(size, zoom=exposure.zoom, angle=exposure.angle, shift=exposure.shift),
    )
    return Scene(person, exposure, specs, chest)


def _stream(seed: int, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([int(version), 2, seed, purpose, number])


def _size(spec: FindingSpec, mask: np.ndarray, chest: Chest) -> float:
    """Size of a finding in the unit of ``SIZES``."""
    if spec.finding == "cardiomegaly":
        return chest.ratio
    if spec.finding == "nodule":
        return 2 * focal.nodule_radii(spec)[0] / CM
    if spec.finding == "mass":
        return 2 * focal.mass_radius(spec) / CM
    if spec.finding == "hernia":
        return 2 * focal.hernia_radius(spec) / CM
    return float((mask > 0).sum() / max(1.0, (chest.inside > 0.5).sum()))


def _check_names(requested: Mapping[str, float | None], **names: str | None) -> None:
    known = {"view": VIEWS, "site": SITES, "sex": ("male", "female")}
    to_check = [("finding", name, FINDINGS) for name in requested]
    to_check += [(kind, name, known[kind]) for kind, name in names.items() if name is not None]
    for kind, name, choice in to_check:
        if name not in choice:
            raise unknown_name(kind, name, list(choice), f"phantom.thorax.{kind}")


def _check_severities(requested: Mapping[str, float | None]) -> None:
    for name, severity in requested.items():
        if severity is not None and not 0 <= severity <= 1:
            remedy = "Give a severity from 0 to 1, or None."
            raise DataError(f"phantom.thorax.{name}", f"severity {severity}", remedy)
