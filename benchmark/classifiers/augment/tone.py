"""How gray changes, and noise. Pure functions of a batch and its parameters, clipped to [0, 1].

A parameter is one number, or (N,), one for each image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.classifiers.augment.draws import per_image

if TYPE_CHECKING:
    from torch import Tensor


def linear(batch: Tensor, gain: Tensor | float, added: Tensor | float) -> Tensor:
    """Gray times ``gain`` plus ``added``, in shares of white.

    Albumentations' RandomBrightnessContrast with ``brightness_by_max``, and with a gain of 1 the shift of
    value in its HueSaturationValue.
    """
    return (batch * per_image(gain, batch) + per_image(added, batch)).clamp(0, 1)


def gamma(batch: Tensor, exponent: Tensor | float) -> Tensor:
    """Gray to a power above 0."""
    return batch ** per_image(exponent, batch)


def brightness(batch: Tensor, factor: Tensor | float) -> Tensor:
    """Gray times a factor: torchvision's ``adjust_brightness``."""
    return (batch * per_image(factor, batch)).clamp(0, 1)


def contrast(batch: Tensor, factor: Tensor | float) -> Tensor:
    """Distance from the image's mean times a factor: torchvision's ``adjust_contrast``."""
    mean = batch.mean((1, 2, 3), keepdim=True)
    return ((batch - mean) * per_image(factor, batch) + mean).clamp(0, 1)


def add(batch: Tensor, noise: Tensor, amplitude: Tensor | float) -> Tensor:
    """Noise of the batch's shape, times an amplitude in shares of white, added."""
    return (batch + per_image(amplitude, batch) * noise.to(batch.device, batch.dtype)).clamp(0, 1)


def blacken(batch: Tensor, pixels: Tensor) -> Tensor:
    """Black where the bool mask of the batch's shape says so."""
    return batch.masked_fill(pixels.to(batch.device), 0)
