"""The memorization gate: its arithmetic, and its separation of copies from fresh patients."""

from dataclasses import replace

import numpy as np
import pytest

from benchmark.datasets.phantom.chest import draw
from benchmark.errors import MetricError
from benchmark.images.copies.alterations import KINDS, altered
from benchmark.images.copies.rates import class_weights, clopper_pearson, threshold
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.memorization.gate import blindness, memorization
from benchmark.metrics.memorization.real_copies import RealCopies

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")


def phantoms(
    n: int, first: int, origin: str = "real:phantom", classes: tuple[str, ...] = CLASSES
) -> ImageSet:
    """Return fresh patients at 32 pixels, classes in turn."""
    label = np.arange(n) % len(classes)
    images = [draw(classes[k], seed=99, index=first + i, size=32).image for i, k in enumerate(label)]
    ids = np.array([f"{origin}-{first + i}" for i in range(n)])
    return ImageSet(np.stack(images), label, classes, ids, ids, np.full(n, origin))


def real_copies(train: ImageSet, heldout: ImageSet, reserve: ImageSet, seed: int = 0) -> RealCopies:
    """Return the detectors of a fold."""
    return RealCopies.of(Splits(train, heldout.select([0]), heldout, reserve), seed)


@pytest.fixture(scope="module")
def real() -> tuple[ImageSet, ImageSet, RealCopies]:
    """Return training and held-out images of different patients, and the detectors over them."""
    train, heldout = phantoms(200, 0), phantoms(300, 10_000)
    return train, heldout, real_copies(train, heldout, phantoms(100, 15_000))


def gate(synthetic: ImageSet, real: tuple[ImageSet, ImageSet, RealCopies]) -> dict:
    return memorization(synthetic, real[1], real[2])


def test_fresh_patients_are_not_gated(real):
    """Images of the true distribution stay near the expected rate, and planted copies are detected."""
    result = gate(phantoms(200, 20_000, "synthetic:oracle"), real)
    assert not result["gated"]
    assert not result["blind"]
    assert result["interval"][0] <= result["rate"] <= result["interval"][1]
    assert result["rate"] < result["tolerance"] == pytest.approx(5 * result["expected"])
    assert result["planted_recall"] > 0.8
    assert result["n"] == 200


@pytest.mark.parametrize("kind", KINDS)
def test_altered_copies_are_gated(real, kind):
    """Every kind of planted copy is detected: nine in ten, and parts of training images in eight of ten."""
    some = real[0].select(range(60))
    images = altered(kind, some.image, np.roll(some.image, 1, 0), np.random.default_rng(3))
    result = gate(replace(some, image=images), real)
    assert result["gated"]
    assert result["rate"] >= (0.8 if kind in ("blend", "half", "patch") else 0.9)


def test_exact_copies_are_gated(real):
    """Training images are gated, all of them; they are no copies of one another, of test or of reserve."""
    result = gate(real[0], real)
    assert result["gated"]
    assert result["rate"] == 1.0
    assert not any(share["excess"] for share in result["copies"].values())


@pytest.mark.parametrize("kind", ["mirrored", "rotated", "cropped", "inverted"])
def test_copies_of_test_reserve_and_of_one_another_are_told(real, kind):
    """They gate no row, and stand beside its gate."""
    rng, heldout = np.random.default_rng(4), real[1]
    hidden = altered(kind, heldout.image[:60], heldout.image[:60], rng)
    result = gate(replace(heldout.select(range(60)), image=hidden), real)
    assert result["copies"]["test"]["excess"]
    assert not result["copies"]["reserve"]["excess"]
    fresh = phantoms(50, 30_000, "synthetic:collapsed")
    twice = np.concatenate([fresh.image, altered(kind, fresh.image, fresh.image, rng)])
    result = gate(replace(phantoms(100, 30_000, "synthetic:collapsed"), image=twice), real)
    assert result["copies"]["itself"]["excess"]
    assert not result["copies"]["test"]["excess"]


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
    averages = np.stack([real[1].image[rng.permutation(300)[:8]].mean(0) for _ in range(100)])
    assert not gate(noise, real)["gated"]
    assert not gate(replace(fresh, image=averages.round().astype(np.uint8)), real)["gated"]


def test_a_gate_is_blind_to_the_kinds_that_it_misses():
    """Half of the planted copies of a kind, or the tolerated rate, must be detected."""
    recall = {"near copy": 0.9, "mirrored": 0.4, "patch": 0.55}
    assert blindness(recall, 0.05) == {"blind_to": ["mirrored"], "blind": False}
    assert blindness(recall, 0.6) == {"blind_to": ["mirrored", "patch"], "blind": False}
    assert blindness({"near copy": 0.1}, 0.05) == {"blind_to": ["near copy"], "blind": True}


def test_same_seed_same_result(real, tmp_path):
    """The result repeats with the seed, which affects only the planted copies, and after a reload."""
    train, heldout, copies = real
    synthetic = phantoms(40, 20_000, "synthetic:oracle")
    first = gate(synthetic, real)
    splits = Splits(train, heldout.select([0]), heldout, phantoms(100, 15_000))
    copies.save(tmp_path / "copies.npz")
    assert memorization(synthetic, heldout, RealCopies.load(tmp_path / "copies.npz", splits)) == first
    other = memorization(synthetic, heldout, RealCopies.of(splits, 1))
    planted = ("recall", "planted_recall", "blind", "blind_to")
    assert {k: v for k, v in other.items() if k not in planted} == {
        k: v for k, v in first.items() if k not in planted
    }


def test_classes_without_held_out_images_are_left_out_and_named(real):
    """Such classes cannot be calibrated: they do not count, and the result reports their number of images."""
    train, heldout, _ = real
    some = heldout.select(heldout.label != 4)
    synthetic = phantoms(50, 20_000, "synthetic:oracle")
    result = memorization(synthetic, some, real_copies(train, some, some))
    assert result["left_out"] == {"viral": 10}
    assert result["n"] == 40


def test_uncomputable_inputs_are_refused(real):
    """Too few training images, one held-out patient, or no common class is an error with its reason."""
    train, heldout, copies = real
    with pytest.raises(MetricError, match="1 training images"):
        real_copies(train.select([0]), heldout, heldout)
    with pytest.raises(MetricError, match="1 held-out patients"):
        real_copies(train, heldout.select([0]), heldout)
    with pytest.raises(MetricError, match="no synthetic image"):
        memorization(train.of_class(4), heldout.select(heldout.label != 4), copies)


def test_threshold_is_the_weighted_quantile():
    """With equal weights it is the 6th largest of 100 values at 5.5 %; with few, the maximum and its rate."""
    values = np.random.default_rng(0).permutation(100).astype(float)
    assert threshold(values, np.full(100, 0.01), 0.055) == (94.0, pytest.approx(0.06))
    assert threshold(values[:10], np.full(10, 0.1), 0.01) == (values[:10].max(), pytest.approx(0.1))
    assert threshold(np.array([1.0, 3.0, 2.0]), np.array([0.5, 0.1, 0.4]), 0.3) == (2.0, pytest.approx(0.5))


def test_class_weights_give_the_synthetic_shares():
    """Held-out 3 : 1 and synthetic 1 : 1 give each class a weight of one half."""
    weights = class_weights(np.array([0, 0, 0, 1]), np.array([1, 0]))
    np.testing.assert_allclose(weights, [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_interval_matches_closed_form():
    """For none of n the upper limit is 1 - 0.025^(1/n); for all of n the lower limit is 0.025^(1/n)."""
    assert clopper_pearson(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert clopper_pearson(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)


@pytest.mark.slow
def test_false_alarms_are_rare():
    """At most one of 20 sets of 250 fresh patients is gated against 735 training and 1000 held-out images."""
    train, heldout = phantoms(735, 0), phantoms(1000, 10_000)
    real = train, heldout, real_copies(train, heldout, phantoms(50, 15_000))
    results = [gate(phantoms(250, 100_000 + 1000 * k, "synthetic:oracle"), real) for k in range(20)]
    assert sum(f["gated"] for f in results) <= 1
    rate, expected = np.mean([f["rate"] for f in results]), results[0]["expected"]
    assert expected / 3 < rate < 3 * expected
