"""Structural similarity of each synthetic image and the training image that it came from."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.errors import MetricError
from benchmark.metrics._pairs import mean_over_pairs
from benchmark.plugins.metric import Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "SSIM",
    "description": "Mean structural similarity of a synthetic image and the image that it came from.",
    "citation": "Wang et al. 2004, doi:10.1109/TIP.2003.819861",
}
WINDOW, SIGMA = 11, 1.5  # Wang et al. 2004, section III.C


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Mean ``ssim`` of the pairs.

    Zhang et al. 2023 (Table 2) read a high value as a similar structure. A copy has 1.
    """

    needs: ClassVar[set[Need]] = {"images", "sources"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        self.device = device

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the mean similarity; the real side does not count."""
        return mean_over_pairs(fake, lambda sources, images: ssim(sources, images, self.device))


def ssim(a: np.ndarray, b: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Return the structural similarity of pairs of images, by MONAI.

    Args:
        a, b: (N, H, W) uint8, both sides at least 11 pixels.
        device: torch device.
    Returns:
        (N,) float64, -1 to 1, the mean over all positions of the Gaussian window within the image.
    Raises:
        MetricError: the images are smaller than the window.
    Source: Wang et al. 2004, eq. 13, with a Gaussian window of 11 pixels and sigma 1.5, K1 0.01, K2 0.03.
    """
    import torch
    from monai.metrics.regression import compute_ssim_and_cs

    if min(a.shape[1:]) < WINDOW:
        size = f"images of {a.shape[2]} x {a.shape[1]} pixels"
        raise MetricError("ssim", f"{size}, expected at least {WINDOW} on each side")
    # float32 of gray values 0 to 1: the products of larger values would lose the digits of small variances
    first, second = (torch.from_numpy(np.array(x)).to(device).float()[:, None] / 255 for x in (a, b))
    full, _ = compute_ssim_and_cs(first, second, 2, (WINDOW, WINDOW), (SIGMA, SIGMA), data_range=1.0)
    similarity: np.ndarray = full.flatten(1).double().mean(1).cpu().numpy()
    return similarity
