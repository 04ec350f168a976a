"""Structure, contrast and edge sharpness of synthetic lesions beside those of real ones."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field
from scipy.stats import wasserstein_distance

from benchmark.metrics._lesions import CROP, Region, regions
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "1"

card = {
    "title": "Lesion SSIM",
    "description": "Structural similarity of the region of a synthetic lesion and of the most similar real "
    "one of its class; mean over the lesions.",
    "citation": "Papadopoulos and Georgiou 2024, Table 2; Wang et al. 2004",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters."""

    fewest: int = Field(4, ge=2, description="lesions of a class on each side; own choice")


class Metric:
    """Mean over lesions of the largest SSIM with a real lesion of the class, regions scaled to one size.

    ``details``: Wasserstein distance of contrast and of edge sharpness to the real lesions, in standard
    deviations of the real ones; mean over the classes. The paper names the properties and no equation.
    """

    needs: ClassVar[set[Need]] = {"images", "masks"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "matched"

    def __init__(self, params: Params, device: str) -> None:
        self.fewest = params.fewest

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the similarity of the synthetic lesions to the real ones."""
        per_class, contrast, sharpness, n = {}, [], [], 0
        for k, name in enumerate(real.classes):
            theirs, ours = (regions(side, side.masks, k) for side in (real, fake))
            if min(len(theirs), len(ours)) < self.fewest:
                continue
            per_class[name] = float(similarity(ours, theirs).max(1).mean())
            contrast.append(_distance([r.contrast for r in ours], [r.contrast for r in theirs]))
            sharpness.append(_distance([r.sharpness for r in ours], [r.sharpness for r in theirs]))
            n += len(ours)
        if not per_class:
            return Unmeasured(f"fewer than {self.fewest} lesions of every class")
        details = {
            "contrast_distance": float(np.mean(contrast)),
            "sharpness_distance": float(np.mean(sharpness)),
        }
        return Value(float(np.mean(list(per_class.values()))), per_class, n, details)


def similarity(a: list[Region], b: list[Region]) -> np.ndarray:
    """Return the (N, M) SSIM of the crops of two lists of regions, over the whole crop as one window.

    Source: Wang et al. 2004, equation 13, gray values 0 to 1.
    """
    x, y = (np.stack([r.crop.ravel() for r in each]).astype(np.float64) for each in (a, b))
    mean_x, mean_y = x.mean(1)[:, None], y.mean(1)[None]
    covariance = x @ y.T / CROP**2 - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    value: np.ndarray = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    spread = x.var(1)[:, None] + y.var(1)[None]
    return value / ((mean_x**2 + mean_y**2 + c1) * (spread + c2))


def _distance(ours: list[float], theirs: list[float]) -> float:
    return float(wasserstein_distance(ours, theirs) / max(np.std(theirs), 1e-6))
