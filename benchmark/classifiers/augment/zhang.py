"""The augmentation of Zhang et al. 2023, section 4.2.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.classifiers.augment.draws import changed, coin, uniform
from benchmark.classifiers.augment.warp import flip, shift_scale_rotate

if TYPE_CHECKING:
    from torch import Generator, Tensor


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

    n = len(batch)
    angle, shift = uniform(n, -10, 10, rng), uniform(2 * n, -0.1, 0.1, rng).view(n, 2)
    batch = shift_scale_rotate(batch, angle, torch.ones(n), shift, "edge")
    batch = changed(batch, coin(n, 0.5, rng), lambda images, rows: flip(images, "across"))
    return changed(batch, coin(n, 0.5, rng), lambda images, rows: flip(images, "down"))
