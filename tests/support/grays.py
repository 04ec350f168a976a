"""Gray images for tests that compare a batched operation with a library's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def picture(height: int, width: int | None = None, seed: int = 0) -> np.ndarray:
    """Return (H, W) uint8: soft clouds from black to white, with grain."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    shape = (height, width or height)
    clouds = ndimage.gaussian_filter(rng.normal(size=shape), max(shape) / 12, mode="nearest")
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    return np.clip(clouds * 255 + rng.normal(0, 8, shape), 0, 255).astype(np.uint8)


def batch_of(*pictures: np.ndarray) -> Tensor:
    """Return (N, 1, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.stack(pictures)[:, None] / np.float32(255))


def levels(batch: Tensor, place: int = 0) -> np.ndarray:
    """Return the (H, W) gray levels of one image of a batch, 0 to 255, not rounded."""
    return batch[place, 0].double().numpy() * 255


def farthest(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest absolute difference of two images."""
    return float(np.abs(one.astype(float) - other.astype(float)).max())
