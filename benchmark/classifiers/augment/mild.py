"""A mild augmentation for small networks that learn from scratch in some hundred steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.classifiers.augment.draws import uniform
from benchmark.classifiers.augment.tone import gamma, linear
from benchmark.classifiers.augment.warp import turn, warp

if TYPE_CHECKING:
    from torch import Generator, Tensor


def mild_affine(batch: Tensor, rng: Generator) -> Tensor:
    """Rotation up to 5 degrees, scale 8 %, shift 5 % of the side; contrast, brightness and gamma by 0.1.

    Black borders, no flips: the heart is on the left.

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        rng: a CPU generator; the only source of randomness.
    Returns:
        (N, 1, H, W) float in [0, 1].
    """
    import torch

    n = len(batch)
    angle, scale = uniform(n, -5, 5, rng), uniform(n, 0.92, 1.08, rng)
    sides = torch.tensor([batch.shape[-1], batch.shape[-2]])
    shift = uniform(2 * n, -0.05, 0.05, rng).view(n, 2) * sides
    moved = warp(batch, turn(angle) / scale[:, None, None], shift, "black")
    toned = linear(moved, uniform(n, 0.9, 1.1, rng), uniform(n, -0.1, 0.1, rng))
    return gamma(toned, uniform(n, 0.9, 1.1, rng))
