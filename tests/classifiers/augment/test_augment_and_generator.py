"""Batched operations of Lan against the generator ``lan_augmentation``, at the same draws."""

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
    """A random generator that returns given draws."""

    def __init__(self, *values: Any) -> None:
        self.values = iter(values)

    def _next(self, *args: Any) -> Any:
        return next(self.values)

    uniform = integers = random = normal = _next


def apply_generator_operation(operation: str, image: np.ndarray, *draws: Any) -> np.ndarray:
    """Apply the generator's operation: (H, W) gray levels, clipped as the generator clips."""
    change = getattr(LanAugmentation(Params()), f"_{operation}")
    return np.clip(change(image.astype(np.float32) / 255, Draws(*draws)), 0, 1) * 255


def test_names_and_order_match_the_generator() -> None:
    """Both have the same eight operations in the same order."""
    assert tuple(step.__name__ for step in lan.OPERATIONS) == OPERATIONS


@pytest.mark.parametrize("angle", [-77.0, 12.5])
def test_rotation(angle: float) -> None:
    """The same angle with the opposite sign gives the same image; both draw evenly from both directions."""
    image = picture(48)
    actual = levels(warp.rotate(batch_of(image), torch.tensor([-angle]), "edge"))
    assert farthest(actual, apply_generator_operation("rotation", image, angle)) < 0.05


def test_translation() -> None:
    """Shifts by rows and columns agree, except at the border, where scipy does not blend with black."""
    image, down, across = picture(48), 0.13, -0.06
    actual = levels(warp.translate(batch_of(image), torch.tensor([[across, down]]), "black"))
    expected = apply_generator_operation("translation", image, np.array([down, across]))
    assert farthest(actual[8:, :44], expected[8:, :44]) < 0.05


def test_shearing() -> None:
    """Twenty half degrees shift the rows alike."""
    image = picture(48)
    actual = levels(warp.shear(batch_of(image), torch.tensor([10.0]), "edge"))
    assert farthest(actual, apply_generator_operation("shearing", image, 20)) < 0.05


def test_cropping() -> None:
    """The same window gives the same image."""
    image, start = picture(48), np.array([0.3, 0.8])
    share = np.array(Params().crop)
    actual = levels(warp.crop(batch_of(image), (share[1], share[0]), torch.tensor([[0.8, 0.3]])))
    assert farthest(actual, apply_generator_operation("cropping", image, start * (1 - share) * 47)) < 0.05


def test_coloring_and_noise() -> None:
    """Brightness precedes contrast; noise is scaled by its amplitude."""
    image, field = picture(48), np.random.default_rng(0).normal(size=(48, 48))
    batch = batch_of(image)
    colored = levels(tone.contrast(tone.brightness(batch, 1.3), 1.6))
    assert farthest(colored, apply_generator_operation("coloring", image, 1.3, 1.6)) < 0.05
    noisy = levels(tone.add(batch, torch.from_numpy(field)[None, None], 20 / 255))
    assert farthest(noisy, apply_generator_operation("noise", image, 0.2, 20.0, field)) < 0.05


@pytest.mark.parametrize("side", [64, 224])
def test_blurring(side: int) -> None:
    """The results are close: the generator uses a Gaussian with the truncated kernel's deviation."""
    image = picture(side)
    actual = levels(convolve(batch_of(image), gaussian(11, 10.0)[None], side / 320))
    expected = apply_generator_operation("blurring", image)
    assert float(np.abs(actual - expected).mean()) < 0.2 * float(np.abs(expected - image).mean())
