"""The operations of Lan: each follows the thesis, within its limits and independently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from pydantic import ValidationError

from benchmark.generators.lan_augmentation import (
    OPERATIONS,
    LanAugmentation,
    Params,
    kernel_deviation,
    search_space,
)
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.stages.samples import check_samples
from support.fit_context import FakeContext
from support.samples import blobs

SIZE = 64


def changed(image: np.ndarray, count: int, seed: int = 3, **params: Any) -> np.ndarray:
    """Return ``count`` changed copies of one (S, S) uint8 image; float32 in [0, 1]."""
    generator = LanAugmentation(Params(**params))
    return generator.change(np.repeat(image[None], count, 0), np.random.default_rng(seed))


def only(operation: str, image: np.ndarray, count: int = 200, **params: Any) -> np.ndarray:
    """Apply one operation to every copy."""
    return changed(image, count, operations=(operation,), probability=1, **params)


def dot(row: float = 31.5, column: float = 31.5, width: float = 4, level: int = 200) -> np.ndarray:
    """Return a round bump on black."""
    place = np.arange(SIZE)
    bump = np.exp(-((place[:, None] - row) ** 2 + (place - column) ** 2) / (2 * width**2))
    return np.round(level * bump).astype(np.uint8)


def centers(images: np.ndarray) -> np.ndarray:
    """Return (N, 2) centers of mass in pixels from the middle."""
    place, total = np.arange(SIZE) - 31.5, images.sum((1, 2))
    return np.stack([images.sum(2) @ place, images.sum(1) @ place], 1) / total[:, None]


def test_defaults_are_those_of_the_thesis() -> None:
    """Five of the eight operations of section 4.4 (5.4), geometry first, each with probability 0.5."""
    p = Params()
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 8
    assert p.operations == ("rotation", "flipping", "shearing", "noise", "blurring")
    assert (p.probability, p.rotate, p.shift, p.shear, p.flip) == (0.5, 90, 0.2, 30, 0.5)
    assert (p.noise_variance, p.noise_amplitude, p.blur) == (0.5, 30, (11, 10))
    assert p.brighten == p.contrast == (1, 2)
    assert (p.crop[0] * 320, p.crop[1] * 389) == pytest.approx((256, 256))


@pytest.mark.parametrize(
    "params",
    [
        {"operations": ()},
        {"operations": ("rotation", "rotation")},
        {"operations": ("hue",)},
        {"crop": (0, 1)},
    ],
)
def test_invalid_operations_are_refused(params: dict[str, Any]) -> None:
    """An empty list, a repeated or unknown operation and an empty window are refused."""
    with pytest.raises(ValidationError):
        Params(**params)


def test_search_space_gives_valid_parameters() -> None:
    """Suggested parameters are valid and vary."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggestions = [Params(**search_space(study.ask())) for _ in range(5)]
    assert len({p.model_dump_json() for p in suggestions}) == 5


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_changes_the_image(operation: str) -> None:
    """A structured image comes back changed, in range and at its size."""
    image = dot(20, 26, 6)
    drawn = only(operation, image, 40)
    assert drawn.shape == (40, SIZE, SIZE)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    different = [not np.allclose(d, image / 255, atol=1e-3) for d in drawn]
    assert np.mean(different) > 0.9


def test_probability_applies_to_each_operation() -> None:
    """With two operations at 0.5 a quarter of the images is unchanged; at 0 all are."""
    image = dot(20, 26)
    drawn = changed(image, 800, operations=("translation", "blurring"))
    same = [np.allclose(d, image / 255, atol=1e-6) for d in drawn]
    assert np.mean(same) == pytest.approx(0.25, abs=0.05)
    assert np.allclose(changed(image, 5, probability=0), image / 255)


def test_rotation_reaches_ninety_degrees_both_ways() -> None:
    """A bump right of the middle covers exactly the right half circle."""
    at = centers(only("rotation", dot(31.5, 48)))
    angle = np.rad2deg(np.arctan2(-at[:, 0], at[:, 1]))
    assert angle.max() == pytest.approx(90, abs=4)
    assert angle.min() == pytest.approx(-90, abs=4)
    assert np.hypot(*at.T) == pytest.approx(16.5, abs=0.3)


def test_flipping_is_on_one_axis() -> None:
    """Every image is flipped vertically or horizontally, each half the time, never both."""
    image = dot(16, 20)
    drawn = only("flipping", image, 400)
    vertical = [np.allclose(d, image[::-1] / 255) for d in drawn]
    horizontal = [np.allclose(d, image[:, ::-1] / 255) for d in drawn]
    assert np.logical_xor(vertical, horizontal).all()
    assert np.mean(vertical) == pytest.approx(0.5, abs=0.08)


def test_translation_reaches_a_fifth_and_fills_with_black() -> None:
    """Shifts cover a fifth of the side in both directions, and the border is black."""
    moved = np.abs(centers(only("translation", dot(width=3))))
    assert 12 < moved.max() < 0.2 * SIZE + 0.1
    white = only("translation", np.full((SIZE, SIZE), 255, np.uint8), 20)
    assert (white.min((1, 2)) == 0).all()


def test_shearing_is_up_to_fifteen_degrees() -> None:
    """A bump above the middle shifts by up to tan(15 degrees) of its height; the middle stays."""
    slid = centers(only("shearing", dot(13.5, 31.5, 3)))[:, 1]
    farthest = 18 * np.tan(np.deg2rad(15))
    assert np.abs(slid).max() == pytest.approx(farthest, abs=0.2)
    assert np.all(slid > -0.1) or np.all(slid < 0.1)
    assert np.abs(centers(only("shearing", dot(width=3)))).max() < 0.1
    gray = np.full((SIZE, SIZE), 130, np.uint8)
    assert np.allclose(only("shearing", gray, 20), gray / 255)  # the border repeats the edge


def test_cropping_shows_the_window_of_the_thesis() -> None:
    """A ramp covers 256 / 320 of its height and 256 / 389 of its width, at any position."""
    down = np.repeat(np.arange(SIZE, dtype=np.uint8)[:, None] * 4, SIZE, 1)
    for image, share in ((down, 256 / 320), (down.T.copy(), 256 / 389)):
        drawn = only("cropping", image)
        span = (drawn.max((1, 2)) - drawn.min((1, 2))) / (image.max() / 255)
        assert span == pytest.approx(share, abs=1e-5)
        start = drawn.min((1, 2)) / (image.max() / 255)
        assert start.min() < 0.02
        assert start.max() == pytest.approx(1 - share, abs=0.02)


def test_noise_is_gaussian_or_pepper() -> None:
    """Half the images get 5 percent black pixels; half, Gaussian noise of up to 30 times sqrt(0.5)."""
    gray = np.full((SIZE, SIZE), 128, np.uint8)
    residue = only("noise", gray, 300) - 128 / 255
    pepper = np.array([set(np.unique(r.round(4))) <= {0.0, np.float32(-0.502)} for r in residue])
    assert pepper.mean() == pytest.approx(0.5, abs=0.08)
    assert (residue[pepper] < -0.1).mean() == pytest.approx(0.05, abs=0.005)
    deviation = residue[~pepper].std((1, 2)) * 255
    assert deviation.max() == pytest.approx(30 * np.sqrt(0.5), abs=0.8)
    assert deviation.min() < 1
    assert abs(float(residue[~pepper].mean())) < 0.002


def test_blur_scales_with_the_image() -> None:
    """At 320 pixels the bump's variance grows by the kernel's, at 64 by a twenty-fifth of it."""
    generator, rng = LanAugmentation(Params()), np.random.default_rng(0)
    place = np.arange(320) - 159.5
    wide = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 20**2)).astype(np.float32)

    def variance(image: np.ndarray) -> float:
        along = np.arange(len(image)) - (len(image) - 1) / 2
        return float((image.sum(0) * along**2).sum() / image.sum())

    added = variance(generator._blurring(wide, rng)) - variance(wide)
    assert added == pytest.approx(kernel_deviation(11, 10) ** 2, rel=0.03)
    small = dot(width=5) / np.float32(255)
    assert variance(generator._blurring(small, rng)) - variance(small) == pytest.approx(added / 25, rel=0.1)


def test_deviation_of_a_truncated_kernel() -> None:
    """A wide kernel is a box of 11 pixels, a narrow one is not truncated; 3 pixels are computed by hand."""
    assert kernel_deviation(11, 1e6) == pytest.approx(np.sqrt((11**2 - 1) / 12))
    assert kernel_deviation(11, 0.9) == pytest.approx(0.9, rel=1e-4)
    side = np.exp(-0.5)  # of the middle, at one deviation
    assert kernel_deviation(3, 1) == pytest.approx(np.sqrt(2 * side / (1 + 2 * side)))


def test_coloring_brightens_and_never_darkens_the_mean() -> None:
    """With factors 1 to 2 the mean grows up to twofold and the spread up to fourfold; neither shrinks."""
    image = np.full((SIZE, SIZE), 50, np.uint8)
    image[20:40] = 60
    drawn = only("coloring", image, 300)
    mean, spread = drawn.mean((1, 2)) / image.mean() * 255, drawn.std((1, 2)) / image.std() * 255
    assert mean.min() > 0.99
    assert mean.max() == pytest.approx(2, abs=0.05)
    assert spread.min() > 0.99
    assert 3.2 < spread.max() < 4.01


def test_samples_are_of_the_requested_class(tmp_path: Path) -> None:
    """Each image correlates best with a training image of its class, and sources are used evenly."""
    train = blobs({"a": 6, "b": 6}, size=32)
    generator = LanAugmentation(Params(operations=("noise", "blurring")))
    generator.fit(train, FakeContext(tmp_path, classes=train.classes, image_size=32, labels=(0, 1)))
    label = np.array([0, 1] * 12)
    request = SampleRequest(label, train.classes, 32)
    drawn = check_samples(generator.sample(request, SampleContext(seed=1)), request, "g")
    a, b = (x.reshape(len(x), -1).astype(float) for x in (drawn.image, train.image))
    nearest = np.corrcoef(np.vstack([a, b]))[: len(a), len(a) :].argmax(1)
    assert train.label[nearest].tolist() == label.tolist()
    assert np.bincount(nearest).tolist() == [2] * 12
    assert drawn.source_id.tolist() == train.image_id[nearest].tolist()
