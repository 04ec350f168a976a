"""Changes of gray, and noise: pure functions of a batch and its parameters, clipped to [0, 1].

A parameter is one number, or (N,), one for each image.
"""

from torch import Tensor

from benchmark.classifiers.augment.draws import per_image


def linear(batch: Tensor, gain: Tensor | float, added: Tensor | float) -> Tensor:
    """Multiply gray by ``gain`` and add ``added``, in shares of white.

    Albumentations' RandomBrightnessContrast with ``brightness_by_max``, and with a gain of 1 the shift of
    value in its HueSaturationValue.
    """
    return (batch * per_image(gain, batch) + per_image(added, batch)).clamp(0, 1)


def gamma(batch: Tensor, exponent: Tensor | float) -> Tensor:
    """Raise gray to a power above 0."""
    return batch ** per_image(exponent, batch)


def brightness(batch: Tensor, factor: Tensor | float) -> Tensor:
    """Multiply gray by a factor: torchvision's ``adjust_brightness`` with a factor per image."""
    return (batch * per_image(factor, batch)).clamp(0, 1)


def contrast(batch: Tensor, factor: Tensor | float) -> Tensor:
    """Scale the distance from the image's mean: torchvision's ``adjust_contrast``, a factor per image."""
    mean = batch.mean((1, 2, 3), keepdim=True)
    return ((batch - mean) * per_image(factor, batch) + mean).clamp(0, 1)


def add(batch: Tensor, noise: Tensor, amplitude: Tensor | float) -> Tensor:
    """Add noise of the batch's shape, times an amplitude in shares of white."""
    return (batch + per_image(amplitude, batch) * noise.to(batch.device, batch.dtype)).clamp(0, 1)


def blacken(batch: Tensor, pixels: Tensor) -> Tensor:
    """Blacken the pixels of a bool mask of the batch's shape."""
    return batch.masked_fill(pixels.to(batch.device), 0)
