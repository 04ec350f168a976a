"""The operations of Lan on batches beside those of the generator ``lan_augmentation``, at the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.classifiers.augment import lan, tone, warp
from benchmark.classifiers.augment.kernels import convolve, gaussian
from benchmark.generators.lan_augmentation import OPERATIONS, LanAugmentation, Params
from support.grays import batch_of, farthest, levels, picture


class Draws:
    """A random generator whose draws are given."""

    def __init__(self, *values: Any) -> None:
        self.values = iter(values)

    def _next(self, *args: Any) -> Any:
        return next(self.values)

    uniform = integers = random = normal = _next


def generator_result(operation: str, image: np.ndarray, *draws: Any) -> np.ndarray:
    """The generator's own operation, (H, W) in gray levels, clipped as the generator clips."""
    change = getattr(LanAugmentation(Params()), f"_{operation}")
    return np.clip(change(image.astype(np.float32) / 255, Draws(*draws)), 0, 1) * 255


def test_names_and_order_are_the_generators() -> None:
    """The same eight operations in the same order."""
    assert tuple(step.__name__ for step in lan.OPERATIONS) == OPERATIONS


@pytest.mark.parametrize("angle", [-77.0, 12.5])
def test_rotation(angle: float) -> None:
    """By the same angle, to the other side: both draw evenly from both."""
    image = picture(48)
    actual = levels(warp.rotate(batch_of(image), torch.tensor([-angle]), "edge"))
    assert farthest(actual, generator_result("rotation", image, angle)) < 0.05


def test_translation() -> None:
    """By rows and columns; at the very border of the picture scipy does not blend with black."""
    image, down, across = picture(48), 0.13, -0.06
    actual = levels(warp.translate(batch_of(image), torch.tensor([[across, down]]), "black"))
    expected = generator_result("translation", image, np.array([down, across]))
    assert farthest(actual[8:, :44], expected[8:, :44]) < 0.05


def test_shearing() -> None:
    """Twenty half degrees; rows slide along themselves."""
    image = picture(48)
    actual = levels(warp.shear(batch_of(image), torch.tensor([10.0]), "edge"))
    assert farthest(actual, generator_result("shearing", image, 20)) < 0.05


def test_cropping() -> None:
    """The same window."""
    image, start = picture(48), np.array([0.3, 0.8])
    share = np.array(Params().crop)
    actual = levels(warp.crop(batch_of(image), (share[1], share[0]), torch.tensor([[0.8, 0.3]])))
    assert farthest(actual, generator_result("cropping", image, start * (1 - share) * 47)) < 0.05


def test_coloring_and_noise() -> None:
    """Brightness, then contrast; noise times its amplitude."""
    image, field = picture(48), np.random.default_rng(0).normal(size=(48, 48))
    batch = batch_of(image)
    colored = levels(tone.contrast(tone.brightness(batch, 1.3), 1.6))
    assert farthest(colored, generator_result("coloring", image, 1.3, 1.6)) < 0.05
    noisy = levels(tone.add(batch, torch.from_numpy(field)[None, None], 20 / 255))
    assert farthest(noisy, generator_result("noise", image, 0.2, 20.0, field)) < 0.05


@pytest.mark.parametrize("side", [64, 224])
def test_blurring(side: int) -> None:
    """The generator takes a Gaussian of the truncated kernel's deviation: alike but for the shape."""
    image = picture(side)
    actual = levels(convolve(batch_of(image), gaussian(11, 10.0)[None], side / 320))
    expected = generator_result("blurring", image)
    assert float(np.abs(actual - expected).mean()) < 0.2 * float(np.abs(expected - image).mean())
