"""Augmentation of training batches, on the device, a pure function of batch and seed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def _uniform(n: int, low: float, high: float, rng: Generator) -> Tensor:
    import torch

    return torch.rand(n, generator=rng) * (high - low) + low


def affine_intensity(batch: Tensor, rng: Generator) -> Tensor:
    """Shift, scale and rotate, then brightness, contrast and gamma, each image by its own draw.

    The limits are those of Schaudt et al. 2023, Table 4 (shift 0.1, scale 0.5, rotation 10 degrees,
    brightness and contrast 0.2, gamma 80 to 120 percent); its CLAHE, sharpening, blur and hue operations
    are not part of this pipeline. No flips: the heart is on the left.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n, device = len(batch), batch.device
    angle = _uniform(n, -math.radians(10), math.radians(10), rng)
    scale = _uniform(n, 0.5, 1.5, rng)
    shift = _uniform(2 * n, -0.2, 0.2, rng).view(n, 2)  # the grid spans [-1, 1], so 0.1 of a side is 0.2
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    ).to(device, batch.dtype)
    moved = grid_sample(batch, affine_grid(theta, list(batch.shape), align_corners=False), align_corners=False)

    def per_image(low: float, high: float) -> Tensor:
        return _uniform(n, low, high, rng).view(n, 1, 1, 1).to(device, batch.dtype)

    toned = (moved * per_image(0.8, 1.2) + per_image(-0.2, 0.2)).clamp(0, 1)
    return toned ** per_image(0.8, 1.2)


PIPELINES = {"none": lambda batch, rng: batch, "affine_intensity": affine_intensity}
