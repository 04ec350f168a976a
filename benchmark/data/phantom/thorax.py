"""Phantom chest radiographs with the fourteen findings of ChestX-ray14, frontal and lateral.

``python -m benchmark.data.phantom.thorax OUT.png`` draws an example grid.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.data.phantom import acquisition, anatomy, tissue
from benchmark.data.phantom.fields import edge, ellipse
from benchmark.errors import DataError, unknown_name

version = "1"
FINDINGS = (
    "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "emphysema", "fibrosis", "hernia",
    "infiltration", "mass", "nodule", "pleural_thickening", "pneumonia", "pneumothorax",
)  # fmt: skip
VIEWS = ("PA", "AP", "LATERAL")
SITES = ("site_a", "site_b", "site_c")
SIDES = {-1: "right", 1: "left"}


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
class Study:
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
) -> Study:
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
    asked = dict(findings) if isinstance(findings, Mapping) else dict.fromkeys(findings)
    _check(asked, size, view, site)
    person = _stream(seed, 1, index if patient is None else patient)
    shot = _stream(seed, 2, index)
    own_sex, own_age = ("male" if person.random() < 0.56 else "female"), int(person.integers(18, 90))
    body = anatomy.sample_body(person, sex or own_sex, own_age if age is None else age)
    own_view = "AP" if shot.random() < 0.4 else "PA"
    own_site = SITES[int(shot.integers(len(SITES)))]
    view = view or own_view
    exposure = acquisition.sample_exposure(shot, "AP" if view == "AP" else "PA")
    if devices is False:
        exposure = replace(exposure, devices=())
    grid = acquisition.grid_of(exposure, size)
    lungs = anatomy.find_lungs(body, exposure.pose, grid)
    layers = tissue.project(body, exposure.pose, lungs)
    clear = np.ones_like(lungs.inside)
    lesions = []
    for number, name in enumerate(FINDINGS):
        if name in asked:
            given, rng = asked[name], _stream(seed, 10 + number, index)
            grade, side = float(rng.beta(2, 2)), (1 if rng.random() < 0.5 else -1)
            grade = grade if given is None else given
            spot = lungs.place(side, rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.9))
            patch = edge(ellipse(grid, spot, (0.06 + 0.2 * grade,) * 2), 0.02, grid) * lungs.inside
            clear = clear * (1 - (-0.4 if name in ("pneumothorax", "emphysema") else 0.8) * patch)
            mask = ((patch > 0.5) * 255).astype(np.uint8)
            lesions.append(Lesion(name, SIDES[side], grade, float(patch.sum() / lungs.inside.sum()), mask))
    shadow = layers.solid - layers.air * clear * (1 - layers.vessels)
    metal = acquisition.hardware(exposure, grid)
    image = acquisition.expose(shadow if metal is None else shadow + metal, exposure, grid)
    prompt = ", ".join(f"{s.side} {s.finding.replace('_', ' ')}" for s in lesions) or "no acute finding"
    return Study(
        image, _union(lesions, size), tuple(lesions), view, body.sex, body.age, site or own_site, prompt
    )


def _stream(seed: int, what: int, number: int) -> np.random.Generator:
    return np.random.default_rng([int(version), 2, seed, what, number])


def _union(lesions: Sequence[Lesion], size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    for lesion in lesions:
        np.maximum(mask, lesion.mask, out=mask)
    return mask


def _check(asked: Mapping[str, float | None], size: int, view: str | None, site: str | None) -> None:
    for word, names, known in (
        ("finding", list(asked), FINDINGS),
        ("view", [view], VIEWS),
        ("site", [site], SITES),
    ):
        for name in names:
            if name is not None and name not in known:
                raise DataError(
                    f"phantom.thorax.{word}",
                    f"no {word} '{name}'",
                    unknown_name(word, name, list(known)).remedy,
                )
    for name, severity in asked.items():
        if severity is not None and not 0 <= severity <= 1:
            raise DataError(
                f"phantom.thorax.{name}", f"severity {severity}", "Give a severity from 0 to 1, or None."
            )
    if not 16 <= size <= 1024:
        raise DataError(
            "phantom.thorax", f"cannot draw {size} pixels", "Choose an image size from 16 to 1024."
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.data.phantom.thorax OUT.png")
