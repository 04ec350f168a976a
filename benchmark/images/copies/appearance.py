"""Images as the copy detector reads them: 32 x 32 pixels, of equal local contrast."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 32  # pixels; larger images are reduced, antialiased
SIGMA = 2.0  # pixels, of the window of local mean and contrast
FLOOR = 2.0  # gray values; less contrast than this counts as noise
PIXELS = 2**24  # at once


def read(images: np.ndarray) -> Tensor:
    """Convert (N, H, W) uint8 to (N, 32, 32) float32 of local mean 0 and local contrast 1.

    Brightness, contrast and slow changes of gray drop out, and an inverted image has the opposite sign.
    """
    parts = [torch.zeros(0, SIDE, SIDE)]
    step = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    for start in range(0, len(images), step):
        block = torch.from_numpy(np.array(images[start : start + step])).float()
        if block.shape[-2:] != (SIDE, SIDE):
            block = F.interpolate(block[:, None], (SIDE, SIDE), mode="bilinear", antialias=True)[:, 0]
        parts.append(_equalized(block))
    return torch.cat(parts)


def _equalized(images: Tensor) -> Tensor:
    centered = images - blurred(images, SIGMA)
    return centered / (blurred(centered.square(), SIGMA).clamp_min(0).sqrt() + FLOOR)


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Blur (N, S, S) by a Gaussian of ``sigma`` pixels; the border is reflected."""
    blur = _blurring(images.shape[-1], sigma)
    return blur @ images @ blur.T


@cache
def _blurring(side: int, sigma: float) -> Tensor:
    """Return the (S, S) matrix that blurs a column. Multiplying is faster than convolving small images."""
    reach = int(3 * sigma + 1)
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    sources = np.lib.stride_tricks.sliding_window_view(
        np.pad(np.arange(side), reach, mode="reflect"), 2 * reach + 1
    )
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], sources), kernel / kernel.sum())
    return torch.from_numpy(matrix).float()
