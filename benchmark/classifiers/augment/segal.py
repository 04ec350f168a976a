"""The augmentation of Segal et al. 2021, section 3.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.classifiers.augment.draws import changed, coin, uniform
from benchmark.classifiers.augment.tone import brightness, contrast
from benchmark.classifiers.augment.warp import flip, rotate

if TYPE_CHECKING:
    from torch import Generator, Tensor


def segal(batch: Tensor, rng: Generator) -> Tensor:
    """Rotation up to 10 degrees, horizontal flip with probability 0.5, brightness and contrast by 0.1.

    Segal et al. 2021, section 3.3, with torchvision's meaning of the words and its defaults: a rotation
    takes the nearest pixel and leaves a black border, brightness scales the image, contrast scales the
    distance from its mean. torchvision draws the order of the last two, which matters only where gray is
    clipped; here brightness comes first. Saturation and hue, which the paper jitters too, gray images do
    not have.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    n = len(batch)
    batch = rotate(batch, uniform(n, -10, 10, rng), "black", "nearest")
    batch = changed(batch, coin(n, 0.5, rng), lambda images, rows: flip(images, "across"))
    gain, factor = uniform(n, 0.9, 1.1, rng), uniform(n, 0.9, 1.1, rng)
    return contrast(brightness(batch, gain), factor)
