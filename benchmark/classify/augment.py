"""Augmentation of training batches, on the device, a pure function of batch and seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def _uniform(n: int, low: float, high: float, rng: Generator) -> Tensor:
    import torch

    return torch.rand(n, generator=rng) * (high - low) + low


@dataclass(frozen=True)
class Limits:
    """How far an image is moved and toned.

    Attributes:
        shift: of the side. scale: relative. rotate: degrees. brightness, contrast, gamma: relative.
    """

    shift: float
    scale: float
    rotate: float
    brightness: float
    contrast: float
    gamma: float


# The limits of Schaudt et al. 2023, Table 4, without its CLAHE, sharpening, blur and hue operations.
SCHAUDT = Limits(shift=0.1, scale=0.5, rotate=10, brightness=0.2, contrast=0.2, gamma=0.2)
# For small networks that learn from scratch in some hundred steps.
MILD = Limits(shift=0.05, scale=0.08, rotate=5, brightness=0.1, contrast=0.1, gamma=0.1)


def affine_intensity(batch: Tensor, rng: Generator, limits: Limits) -> Tensor:
    """Shift, scale and rotate, then brightness, contrast and gamma, each image by its own draw.

    No flips: the heart is on the left.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
        limits: of every draw, symmetric around no change.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    n, device = len(batch), batch.device
    turn = math.radians(limits.rotate)
    angle = _uniform(n, -turn, turn, rng)
    scale = _uniform(n, 1 - limits.scale, 1 + limits.scale, rng)
    shift = _uniform(2 * n, -2 * limits.shift, 2 * limits.shift, rng).view(n, 2)  # the grid is 2 wide
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    ).to(device, batch.dtype)
    moved = grid_sample(
        batch, affine_grid(theta, list(batch.shape), align_corners=False), align_corners=False
    )

    def per_image(limit: float, middle: float) -> Tensor:
        return _uniform(n, middle - limit, middle + limit, rng).view(n, 1, 1, 1).to(device, batch.dtype)

    toned = (moved * per_image(limits.contrast, 1) + per_image(limits.brightness, 0)).clamp(0, 1)
    return toned ** per_image(limits.gamma, 1)


PIPELINES: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "none": lambda batch, rng: batch,
    "schaudt_affine": lambda batch, rng: affine_intensity(batch, rng, SCHAUDT),
    "mild_affine": lambda batch, rng: affine_intensity(batch, rng, MILD),
}
