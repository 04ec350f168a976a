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


def _shift(n: int, limit: float, rng: Generator) -> Tensor:
    """(N, 2) shifts across and down, of the grid's width, which is 2, for a limit in shares of the side."""
    return _uniform(2 * n, -2 * limit, 2 * limit, rng).view(n, 2)


def _warp(batch: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, border: str) -> Tensor:
    """Turn about the center (radians), scale and shift every image; ``border`` is black or the edge's gray.

    Args:
        border: ``zeros`` or ``border``, padding modes of ``grid_sample``.
    """
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    theta = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    ).to(batch.device, batch.dtype)
    grid = affine_grid(theta, list(batch.shape), align_corners=False)
    return grid_sample(batch, grid, padding_mode=border, align_corners=False)


def _flip(batch: Tensor, axis: int, rng: Generator) -> Tensor:
    """Every image mirrored along an axis, or not, with probability 0.5."""
    import torch

    chosen = (_uniform(len(batch), 0, 1, rng) < 0.5).to(batch.device).view(-1, 1, 1, 1)
    return torch.where(chosen, batch.flip(axis), batch)


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
    n, device = len(batch), batch.device
    turn = math.radians(limits.rotate)
    angle = _uniform(n, -turn, turn, rng)
    scale = _uniform(n, 1 - limits.scale, 1 + limits.scale, rng)
    shift = _shift(n, limits.shift, rng)
    moved = _warp(batch, angle, scale, shift, "zeros")

    def per_image(limit: float, middle: float) -> Tensor:
        return _uniform(n, middle - limit, middle + limit, rng).view(n, 1, 1, 1).to(device, batch.dtype)

    toned = (moved * per_image(limits.contrast, 1) + per_image(limits.brightness, 0)).clamp(0, 1)
    return toned ** per_image(limits.gamma, 1)


def zhang(batch: Tensor, rng: Generator) -> Tensor:
    """Rotation up to 10 degrees, translation up to a tenth of the side, flips across and down.

    Zhang et al. 2023, section 4.2.3, after Born et al. 2021, whose Keras generator flips every image with
    probability 0.5 on each axis and fills the border with the edge's gray.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    import torch

    n, turn = len(batch), math.radians(10)
    angle, shift = _uniform(n, -turn, turn, rng), _shift(n, 0.1, rng)
    cos, sin, (x, y) = torch.cos(angle), torch.sin(angle), shift.unbind(1)
    after_turn = torch.stack([cos * x - sin * y, sin * x + cos * y], 1)  # shifts are along the picture's axes
    moved = _warp(batch, angle, torch.ones(n), after_turn, "border")
    return _flip(_flip(moved, 3, rng), 2, rng)


def segal(batch: Tensor, rng: Generator) -> Tensor:
    """Rotation up to 10 degrees, horizontal flip with probability 0.5, brightness and contrast by 0.1.

    Segal et al., section 3.3, with torchvision's meaning of the words: the border is black, brightness
    scales the image, contrast scales the distance from its mean. Saturation and hue, which the paper
    jitters too, gray images do not have.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    import torch

    n, turn = len(batch), math.radians(10)
    moved = _warp(batch, _uniform(n, -turn, turn, rng), torch.ones(n), torch.zeros(n, 2), "zeros")
    flipped = _flip(moved, 3, rng)
    gain, contrast = (
        _uniform(n, 0.9, 1.1, rng).view(n, 1, 1, 1).to(batch.device, batch.dtype) for _ in range(2)
    )
    toned = (flipped * gain).clamp(0, 1)
    mean = toned.mean((1, 2, 3), keepdim=True)
    return ((toned - mean) * contrast + mean).clamp(0, 1)


PIPELINES: dict[str, Callable[[Tensor, Generator], Tensor]] = {
    "none": lambda batch, rng: batch,
    "schaudt_affine": lambda batch, rng: affine_intensity(batch, rng, SCHAUDT),
    "mild_affine": lambda batch, rng: affine_intensity(batch, rng, MILD),
    "zhang": zhang,
    "segal": segal,
}
