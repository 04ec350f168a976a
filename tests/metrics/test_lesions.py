"""Measures of lesions against hand arithmetic, on drawn discs and on phantoms with a known truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.metrics import (
    laterality_adherence,
    lesion_appearance,
    lesion_coverage,
    lesion_overlap,
    severity_adherence,
)
from benchmark.metrics._lesions import by_difference, overlap, region, side_in_words, side_of
from benchmark.phantoms.radiograph import thorax
from benchmark.plugins.metric import Side, Unmeasured, Value

SIZE, CLASSES = 48, ("normal", "nodule")


def disc(across: float, down: float, radius: float) -> np.ndarray:
    """Return (S, S) uint8, 255 inside a disc."""
    rows, columns = np.indices((SIZE, SIZE))
    return np.where((rows - down) ** 2 + (columns - across) ** 2 <= radius**2, 255, 0).astype(np.uint8)


def discs(n: int, seed: int, contrast: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, S, S) images of bright discs on noise, and their masks."""
    rng = np.random.default_rng(seed)
    masks = np.stack([disc(*rng.uniform(12, 36, 2), rng.uniform(3, 8)) for _ in range(n)])
    images = rng.normal(90, 6, masks.shape) + contrast * (masks > 0)
    return images.clip(0, 255).astype(np.uint8), masks


def side(label: int = 1, **given: Any) -> Side:
    """Return a side whose images all have one class."""
    n = len(next(iter(given.values())))
    given = {"segmented_classes": np.array([True, True]), **given}
    return Side(np.full(n, label), CLASSES, given)  # type: ignore[arg-type]


def measure(module: Any, real: Side, fake: Side, **params: Any) -> Value:
    """Measure with a metric."""
    value = module.Metric(module.Params(**params), "cpu").measure(real, fake)
    assert isinstance(value, Value)
    return value


def test_overlap_by_hand() -> None:
    """Squares of 16 pixels that share 8: Dice 1/2, IoU 1/3; equal ones 1, disjoint ones 0, empty ones 1."""
    a, b = np.zeros((2, 4, 8, 8), np.uint8)
    a[:3, :4, :4], b[0, 2:6, :4], b[1, :4, :4], b[2, 4:, 4:] = 255, 255, 255, 255
    dice, iou = overlap(a, b)
    assert dice.tolist() == [0.5, 1.0, 0.0, 1.0]
    assert iou == pytest.approx([1 / 3, 1.0, 0.0, 1.0])


def test_lesion_overlap_leaves_out_empty_masks_and_counts_missed_lesions() -> None:
    """The mean is over images with a mask; one without a found lesion counts 0."""
    masks = np.stack([disc(20, 20, 5), disc(20, 20, 5), np.zeros((SIZE, SIZE), np.uint8)])
    found = masks.copy()
    found[1] = 0
    value = measure(lesion_overlap, *[side(masks=masks, found_masks=found)] * 2)
    assert (value.value, value.n, value.details) == (0.5, 2, {"iou": 0.5, "missed": 0.5})
    empty = side(masks=masks * 0, found_masks=found)
    assert isinstance(lesion_overlap.Metric(lesion_overlap.Params(), "cpu").measure(empty, empty), Unmeasured)


def test_a_class_that_the_segmenter_cannot_find_is_left_out() -> None:
    """Of two classes the blind one does not count; with none left the figure is not measured."""
    masks = np.stack([disc(20, 20, 5)] * 20)
    lesions, images = masks.copy(), np.random.default_rng(0).integers(0, 255, masks.shape, dtype=np.uint8)
    lesions[:10] = 0
    label = np.repeat([0, 1], 10)
    given = {"masks": masks, "found_masks": lesions, "images": images, "laterality": np.array(["left"] * 20)}
    given["severity"] = np.array(["mild", "severe"] * 10)
    optional = {"prompts": None}
    half, none = (
        Side(label, CLASSES, {**given, **optional, "segmented_classes": np.array([False, able])})
        for able in (True, False)
    )
    value = measure(lesion_overlap, half, half)
    assert (value.value, value.n, {*value.per_class}) == (1.0, 10, {"nodule"})
    assert measure(laterality_adherence, half, half).n == 10
    for module in (lesion_overlap, lesion_coverage, laterality_adherence, severity_adherence):
        nothing = module.Metric(module.Params(), "cpu").measure(none, none)
        assert isinstance(nothing, Unmeasured)
        assert "segmenter finds the lesions of none" in nothing.reason


def test_difference_from_the_twin_finds_a_drawn_lesion() -> None:
    """A disc on the same noise is found by the difference; without it nothing is."""
    images, masks = discs(8, 0)
    twins = images - (60 * (masks > 0)).astype(np.uint8)
    assert overlap(by_difference(images, twins), masks)[0].min() > 0.85
    assert not by_difference(images, images).any()


def test_difference_finds_the_lesion_of_a_phantom() -> None:
    """An effusion drawn into a phantom is where the difference from the same phantom without it is."""
    given: Any = {"seed": 3, "index": 5, "size": 64, "devices": False}
    drawn, twin = thorax.draw({"effusion": 0.9}, **given), thorax.draw({}, **given)
    dice, _ = overlap(by_difference(drawn.image[None], twin.image[None]), drawn.mask[None])
    assert dice[0] > 0.5


@pytest.mark.parametrize("seed", range(3))
def test_side_is_that_of_the_patient(seed: int) -> None:
    """The mask of a phantom's pneumothorax lies on the side that its report names."""
    drawn = thorax.draw({"pneumothorax": 0.8}, seed=seed, index=7, size=64, view="PA")
    assert side_of(drawn.mask) == drawn.lesions[0].side
    assert side_of(drawn.mask[:, ::-1]) == {"left": "right", "right": "left"}.get(
        drawn.lesions[0].side, "both"
    )
    assert side_of(np.zeros((8, 8), np.uint8)) == ""
    assert side_of(np.full((8, 8), 255, np.uint8)) == "both"


def test_region_by_hand() -> None:
    """A disc 51 gray values brighter has contrast 0.2, its center, its area, and a crop; no mask has none."""
    mask = disc(30, 12, 6)
    lesion = region(np.where(mask > 0, 151, 100).astype(np.uint8), mask)
    assert lesion is not None
    assert (lesion.across, lesion.down) == pytest.approx((30 / SIZE, 12 / SIZE))
    assert lesion.contrast == pytest.approx(0.2)
    assert lesion.area == pytest.approx((mask > 0).mean())
    assert lesion.burden == pytest.approx(0.2 * (mask > 0).mean())
    assert region(mask, mask * 0) is None


def test_a_blurred_edge_is_less_sharp() -> None:
    """Sharpness does not depend on the contrast, and falls when the edge is blurred."""
    from scipy import ndimage

    mask = disc(24, 24, 8)
    step = np.where(mask > 0, 160.0, 80.0)
    images = [step, 80 + (step - 80) / 2, ndimage.gaussian_filter(step, 2)]
    sharp, faint, blurred = (region(i.astype(np.uint8), mask).sharpness for i in images)  # type: ignore[union-attr]
    assert sharp == pytest.approx(faint, rel=0.02)
    assert blurred < 0.7 * sharp


def test_appearance_prefers_equal_lesions() -> None:
    """Lesions from the same law are close to the real ones; dark instead of bright ones are not."""
    real, same, dark = (side(images=i, masks=m) for i, m in (discs(30, 1), discs(30, 2), discs(30, 3, -60)))
    near, far = (measure(lesion_appearance, real, other) for other in (same, dark))
    assert measure(lesion_appearance, real, real).value == pytest.approx(1)
    assert near.value > 0.6 > far.value
    assert near.details["contrast_distance"] < 1 < far.details["contrast_distance"]


def test_coverage_falls_when_lesions_repeat() -> None:
    """New lesions of the same law cover most real ones, twelve copies of one lesion cover few."""

    def given(images: np.ndarray, masks: np.ndarray) -> Side:
        return side(images=images, found_masks=masks)

    images, masks = discs(1, 6)
    real, same, one = (
        given(*discs(60, 4)),
        given(*discs(60, 5)),
        given(images.repeat(60, 0), masks.repeat(60, 0)),
    )
    assert measure(lesion_coverage, real, same).value > 0.8
    repeated = measure(lesion_coverage, real, one)
    assert repeated.value < 0.3
    assert repeated.details.keys() == {"location", "size", "contrast"}


def test_laterality_counts_requested_sides_alone() -> None:
    """Right, wrong, missed and not requested: one of three."""
    found = np.stack([disc(10, 20, 4), disc(10, 20, 4), disc(-9, -9, 1), disc(30, 20, 4)])
    asked = np.array(["right", "left", "both", ""])
    prompts = np.array(
        ["Small right effusion.", "left-sided effusion", "Bilateral effusion", "Cardiomegaly."]
    )
    masks = np.stack([disc(10, 20, 4), disc(38, 20, 4), disc(24, 20, 4), disc(-9, -9, 1)])
    unknown = {"laterality": None, "masks": None, "prompts": None}
    for given in ({"laterality": asked}, {"prompts": prompts}, {"masks": masks}):
        fake = side(found_masks=found, **{**unknown, **given})
        value = measure(laterality_adherence, fake, fake)
        assert (value.value, value.n) == (pytest.approx(1 / 3), 3)
    assert side_in_words("Two left and right nodules.") == "both"


def test_severity_is_a_rank_correlation() -> None:
    """Lesions that grow with the grade correlate perfectly, those of one size not at all."""
    sentences = np.array(["Small left effusion.", "Moderate edema.", "Large right effusion."] * 4)
    radius = np.array([3.0, 6.0, 9.0] * 4)
    grown, equal = (np.stack([disc(24, 24, r) for r in radii]) for radii in (radius, radius * 0 + 5))

    def of(masks: np.ndarray) -> float:
        images = np.where(masks > 0, 150, 100).astype(np.uint8)
        given = side(images=images, found_masks=masks, severity=None, prompts=sentences)
        return measure(severity_adherence, given, given).value

    assert of(grown) == pytest.approx(1)
    assert of(equal) == 0
