"""Peak signal-to-noise ratio of each synthetic image and the training image that it came from."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics._pairs import mean_over_pairs
from benchmark.plugins.metric import Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "PSNR, dB",
    "description": "Mean peak signal-to-noise ratio of a synthetic image and the training image that it came "
    "from; equal images have 58.9 dB, that of rounding to 8 bits.",
    "citation": "Lan 2023, section 3.3",
}
ROUNDING = 1 / 12  # mean squared error of rounding to whole gray levels


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Mean ``psnr`` of the pairs."""

    needs: ClassVar[set[Need]] = {"images", "sources"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the mean ratio; the real side does not count."""
        return mean_over_pairs(fake, psnr)


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``10 log10(255^2 / MSE)`` of pairs of images, in dB.

    An error below that of rounding counts as that of rounding, so that equal images have a finite value.

    Args:
        a, b: (N, H, W) uint8.
    Returns:
        (N,) float64, 0 to 58.9.
    """
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean((1, 2))
    ratio: np.ndarray = 10 * np.log10(255**2 / np.maximum(error, ROUNDING))
    return ratio
