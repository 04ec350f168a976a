"""Diversity of synthetic images: mean similarity of the pairs within a class."""

from itertools import combinations
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import MetricError
from benchmark.plugins.metric import Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "MS-SSIM",
    "description": "Mean multi-scale structural similarity of pairs of images of one class.",
    "citation": "Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216",
}
KERNEL, SIGMA = 11, 1.5  # Schaudt et al. 2023, section 4.1
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, section 3.2
CHUNK = 256 * 64 * 64  # pixels compared at once


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters; every default cites its source."""

    images: int = Field(50, ge=2, description="first images of each class; Schaudt et al. 2023, section 4.1")


class Metric:
    """``ms_ssim_within_classes`` of the synthetic images."""

    needs: ClassVar[set[Need]] = {"images"}
    direction: ClassVar[Direction] = "minimize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        self.images, self.device = params.images, device

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the mean similarity; the real images do not count."""
        return ms_ssim_within_classes(fake.images, fake.label, fake.classes, self.images, self.device)


def scales_that_fit(side: int) -> int:
    """Return how many of the five scales fit an image: each halves it, the kernel needs 11 pixels.

    MONAI requires ``side // (scales - 1)^2 > 10`` as well.

    Raises:
        MetricError: the side is below 11 pixels.
    """
    for scales in range(len(WEIGHTS), 0, -1):
        if side // max(2 ** (scales - 1), (scales - 1) ** 2) >= KERNEL:
            return scales
    raise MetricError("ms_ssim", f"images of {side} pixels, expected at least {KERNEL}")


def ms_ssim_within_classes(
    images: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    per_class: int,
    device: str = "cpu",
) -> Value:
    """Return the mean MS-SSIM over all pairs of the first images of each class; lower is more diverse.

    Below 176 pixels fewer than five scales fit; then the first ``scales`` are used, with their weights scaled
    to the sum of all five. Values of different ``scales`` or image sizes are not comparable.

    Args:
        images: (N, H, W) uint8.
        labels: (N,) index into ``classes``; a class with a single image has no pair and is left out.
        classes: names of the classes.
        per_class: largest number of images of a class.
        device: torch device.
    Returns:
        The mean over classes (0 to 1; 1 if all images are alike), the classes, the number of images compared
        in all, and ``scales``.
    Raises:
        MetricError: no class has two images, or the images are smaller than the kernel.
    Source: Wang et al. 2003, eq. 7, with MONAI's implementation; Schaudt et al. 2023, section 4.1.
    """
    scales = scales_that_fit(min(images.shape[1:]))
    groups = {name: images[labels == k][:per_class] for k, name in enumerate(classes)}
    groups = {name: group for name, group in groups.items() if len(group) > 1}
    if not groups:
        raise MetricError("ms_ssim", "no class has two images", "Draw at least two images of a class.")
    values = {name: float(pairwise(group, scales, device).mean()) for name, group in groups.items()}
    return Value(
        value=float(np.mean(list(values.values()))),
        per_class=values,
        n=sum(map(len, groups.values())),
        details={"scales": scales},
    )


def pairwise(images: np.ndarray, scales: int, device: str = "cpu") -> np.ndarray:
    """Return the MS-SSIM of every pair of images.

    Args:
        images: (N, H, W) uint8.
        scales: 1 to 5, as many as fit.
    Returns:
        (N (N - 1) / 2,) float64, pairs in the order of ``itertools.combinations``.
    """
    import torch
    from monai.metrics.regression import compute_ms_ssim

    weights = np.array(WEIGHTS[:scales]) * sum(WEIGHTS) / sum(WEIGHTS[:scales])
    stack = torch.from_numpy(images).to(device).float().unsqueeze(1)
    pairs = torch.tensor(list(combinations(range(len(images)), 2)), device=device)
    step = max(1, CHUNK // (images.shape[1] * images.shape[2]))
    parts = [
        compute_ms_ssim(
            stack[chunk[:, 0]],
            stack[chunk[:, 1]],
            spatial_dims=2,
            data_range=255.0,
            kernel_size=KERNEL,
            kernel_sigma=SIGMA,
            weights=weights.tolist(),
        )
        for chunk in pairs.split(step)
    ]
    return torch.cat(parts)[:, 0].double().cpu().numpy()
