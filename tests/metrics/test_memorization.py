"""The memorization gate: its arithmetic, and its separation of copies from fresh patients."""

from dataclasses import replace

import numpy as np
import pytest
from benchmark.metrics.memorization.copy_distance import CopyDistance, Embedded, pixel_distance

from benchmark.datasets.phantom.chest import draw
from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet
from benchmark.metrics.memorization import copy_distance as module
from benchmark.metrics.memorization.gate import (
    calibrate,
    class_weights,
    clopper_pearson,
    memorization,
    near_copies,
)

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")


def phantoms(
    n: int, first: int, origin: str = "real:phantom", classes: tuple[str, ...] = CLASSES
) -> ImageSet:
    """Return fresh patients at 32 pixels, classes in turn."""
    label = np.arange(n) % len(classes)
    images = [draw(classes[k], seed=99, index=first + i, size=32).image for i, k in enumerate(label)]
    ids = np.array([f"{origin}-{first + i}" for i in range(n)])
    return ImageSet(np.stack(images), label, classes, ids, ids, np.full(n, origin))


@pytest.fixture(scope="module")
def real() -> tuple[ImageSet, ImageSet]:
    """Return training and held-out images of different patients."""
    return phantoms(200, 0), phantoms(400, 10_000)


def gate(synthetic: ImageSet, real: tuple[ImageSet, ImageSet]) -> dict:
    return memorization(synthetic, *real, "phantom_cxr_v1", "cpu", 0)


def test_fresh_patients_are_not_gated(real):
    """Images of the true distribution stay near the expected rate, and planted copies are detected."""
    result = gate(phantoms(200, 20_000, "synthetic:oracle"), real)
    assert not result["gated"]
    assert not result["blind"]
    assert result["interval"][0] <= result["rate"] <= result["interval"][1]
    assert result["rate"] < result["tolerance"] == pytest.approx(5 * result["expected"])
    assert result["planted_recall"] > 0.8
    assert result["n"] == 200


def test_copies_are_gated(real):
    """Exact copies and near-copies of training images are gated, with a rate near 1."""
    train = real[0]
    exact = gate(train, real)
    assert exact["gated"]
    assert exact["rate"] == 1.0
    near = gate(replace(train, image=near_copies(train.image, seed=5)[np.argsort(order_of(train, 5))]), real)
    assert near["gated"]
    assert near["rate"] > 0.8


def order_of(images: ImageSet, seed: int) -> np.ndarray:
    """Return the order in which near_copies takes the images, so that each copy gets its class."""
    return np.random.default_rng([seed, 7]).permutation(len(images))


def test_a_few_copies_among_fresh_patients_are_gated(real):
    """A generator that copies one image in five is detected."""
    fresh = phantoms(200, 20_000, "synthetic:mixed")
    image = fresh.image.copy()
    image[::5] = real[0].image[::5]
    result = gate(replace(fresh, image=image), real)
    assert result["gated"]
    assert result["rate"] == pytest.approx(0.2, abs=0.03)


def test_noise_and_typical_images_are_not_gated(real):
    """Images without anatomy and averages of many held-out patients are not copies."""
    rng = np.random.default_rng(0)
    fresh = phantoms(100, 20_000, "synthetic:other")
    noise = replace(fresh, image=rng.integers(0, 256, fresh.image.shape, dtype=np.uint8))
    averages = np.stack([real[1].image[rng.permutation(400)[:8]].mean(0) for _ in range(100)])
    assert not gate(noise, real)["gated"]
    assert not gate(replace(fresh, image=averages.round().astype(np.uint8)), real)["gated"]


def test_an_uninformative_extractor_makes_the_gate_blind(real, monkeypatch):
    """With random features no planted copy is detected, and the gate reports that it is blind."""
    rng = np.random.default_rng(0)
    monkeypatch.setattr(module, "features", lambda images, *_: rng.normal(size=(len(images), 8)))
    result = gate(real[0], real)
    assert result["planted_recall"] < 0.5
    assert result["blind"]


def test_same_seed_same_result(real):
    """The result repeats with the seed, which affects only the planted copies."""
    synthetic = phantoms(40, 20_000, "synthetic:oracle")
    first, other = gate(synthetic, real), memorization(synthetic, *real, "phantom_cxr_v1", "cpu", 1)
    assert first == gate(synthetic, real)
    assert {k: v for k, v in other.items() if k not in ("planted_recall", "blind")} == {
        k: v for k, v in first.items() if k not in ("planted_recall", "blind")
    }


def test_classes_without_held_out_images_are_left_out_and_named(real):
    """Such classes cannot be calibrated: they do not count, and the result reports their number of images."""
    train, heldout = real
    synthetic = phantoms(50, 20_000, "synthetic:oracle")
    result = gate(synthetic, (train, heldout.select(heldout.label != 4)))
    assert result["left_out"] == {"viral": 10}
    assert result["n"] == 40


def test_uncomputable_inputs_are_refused(real):
    """No training images, one held-out patient, or no common class is an error with its reason."""
    train, heldout = real
    with pytest.raises(MetricError, match="no training images"):
        gate(train, (train.select([]), heldout))
    with pytest.raises(MetricError, match="1 held-out patients"):
        gate(train, (train, heldout.select([0])))
    with pytest.raises(MetricError, match="no synthetic image"):
        gate(train.of_class(4), (train, heldout.select(heldout.label != 4)))


def test_threshold_is_the_weighted_quantile():
    """With equal weights it is the 6th of 100 values at 5.5 %; with few values, the minimum and its rate."""
    values = np.random.default_rng(0).permutation(100).astype(float)
    assert calibrate(values, np.full(100, 0.01), 0.055) == (5.0, pytest.approx(0.06))
    assert calibrate(values[:10], np.full(10, 0.1), 0.01) == (values[:10].min(), pytest.approx(0.1))
    assert calibrate(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.1, 0.4]), 0.3) == (2.0, pytest.approx(0.5))


def test_class_weights_give_the_synthetic_shares():
    """Held-out 3 : 1 and synthetic 1 : 1 give each class a weight of one half."""
    weights = class_weights(np.array([0, 0, 0, 1]), np.array([1, 0]))
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_interval_matches_closed_form():
    """For none of n the upper limit is 1 - 0.025^(1/n); for all of n the lower limit is 0.025^(1/n)."""
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)


def test_pixel_distance_ignores_shift_and_contrast():
    """An image moved by a pixel, at half the contrast, has distance 0; an unrelated one does not."""
    a, b = np.random.default_rng(0).normal(size=(2, 1, 32, 32))
    moved = np.roll(a, 1, axis=1) * 0.5 + 40
    assert pixel_distance(a, moved[:, None])[0] == pytest.approx(0.0, abs=1e-9)
    assert pixel_distance(a, np.stack([b, moved], 1))[0] == pytest.approx(0.0, abs=1e-9)
    assert pixel_distance(a, b[:, None])[0] > 0.8


@pytest.mark.slow
def test_false_alarms_are_rare():
    """None of 20 sets of 250 fresh patients is gated against 735 training and 1000 held-out images."""
    real = phantoms(735, 0), phantoms(1000, 10_000)
    results = [gate(phantoms(250, 100_000 + 1000 * k, "synthetic:oracle"), real) for k in range(20)]
    assert sum(f["gated"] for f in results) <= 1
    rate, expected = np.mean([f["rate"] for f in results]), results[0]["expected"]
    assert expected / 3 < rate < 3 * expected


def test_a_named_source_is_compared_too() -> None:
    """Five training images are nearer in the features; the named sixth has the same pixels, so p is 0."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(7, 32, 32)).astype(np.float32)
    angle = np.array([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 1.0])
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    train, heldout = Embedded(unit, pixels), Embedded(unit[:, ::-1], pixels)
    copy = Embedded(unit[:1], pixels[6:])
    distance = CopyDistance(train, heldout, "x", "cpu")
    assert distance._distances(copy)[0] == 0  # the feature distance to the first image is 0
    copy = Embedded(np.array([[np.cos(0.3), -np.sin(0.3)]]), pixels[6:])
    assert distance._distances(copy)[0] > 0.01
    assert distance._distances(copy, np.array([6]))[0] == pytest.approx(0, abs=1e-3)
    assert distance._distances(copy, np.array([-1]))[0] == distance._distances(copy)[0]
