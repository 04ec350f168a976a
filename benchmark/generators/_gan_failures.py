"""Failures of a GAN that end its training early."""

import math
from collections.abc import Mapping

from torch import Tensor

from benchmark.generators._network_training import to_pixels
from benchmark.metrics.ms_ssim import KERNEL, pairwise, scales_that_fit

COMPARED = 8  # images
LEAST_VARIETY = 0.05  # of the real images'; variety is 1 - MS-SSIM
IDENTICAL = 1e-3  # variety below which images are one image, whatever the real ones are
PATIENCE = 3  # checks in a row
DIVERGED = 1e5  # of the critic's loss, which is of order 1 to 100 in a stable training


class Failures:
    """Checks a fit at every logged step for losses that diverge, and for images that are all alike."""

    def __init__(self, patience: int = PATIENCE) -> None:
        self.patience, self.alike = patience, 0

    def state_dict(self) -> dict[str, int]:
        """Return the number of checks in a row that found images all alike."""
        return {"alike": self.alike}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore it."""
        self.alike = state["alike"]

    def check(self, step: int, scalars: dict[str, float], real: Tensor, synthetic: Tensor) -> str:
        """Return why the fit must end, or nothing; add the MS-SSIM of the synthetic images to the scalars.

        Args:
            real, synthetic: (N, 1, S, S) images of equal classes.
        """
        failure = divergence(step, scalars)
        if failure or len(real) < 2 or real.shape[-1] < KERNEL:
            return failure
        similarity, of_real = mean_similarity(synthetic), mean_similarity(real)
        scalars["ms_ssim"], scalars["ms_ssim_real"] = similarity, of_real
        collapsed = 1 - similarity < max(IDENTICAL, LEAST_VARIETY * (1 - of_real))
        self.alike = self.alike + 1 if collapsed else 0
        if self.alike < self.patience:
            return ""
        return f"collapsed at step {step}: MS-SSIM of its images {similarity:.3f}, of real ones {of_real:.3f}"


def divergence(step: int, scalars: Mapping[str, float]) -> str:
    """Return which loss is not finite, or that the critic's has diverged."""
    for name, value in scalars.items():
        if not math.isfinite(value):
            return f"{name} is {value} at step {step}"
    if abs(scalars["critic_loss"]) > DIVERGED:
        return f"the critic diverged: its loss is {scalars['critic_loss']:.3g} at step {step}"
    return ""


def mean_similarity(images: Tensor) -> float:
    """Return the mean MS-SSIM of the pairs of the first (N, 1, S, S) images."""
    pixels = to_pixels(images[:COMPARED])
    return float(pairwise(pixels, scales_that_fit(pixels.shape[-1])).mean())
