"""Convolution of each image with a kernel, and the kernels: sharpening, box, line of motion, Gaussian.

Kernels are given in pixels of the size at which a paper worked. On smaller or larger images the kernel is
resampled to their scale (``pixel``), so that it covers the same part of the chest; at ``pixel`` 1 it is the
library's kernel, number for number.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad


def convolve(batch: Tensor, kernel: Tensor, pixel: float = 1.0) -> Tensor:
    """Correlate each image with its kernel about the kernel's center; mirrored at the border (reflect_101).

    Args:
        batch: (N, 1, H, W) float in [0, 1].
        kernel: (N, K, K), K odd.
        pixel: side of a pixel of the kernel in pixels of the batch.
    Returns:
        (N, 1, H, W), clipped to [0, 1].
    """
    spread = spreading(kernel.shape[-1], pixel).to(kernel)
    drawn = (spread @ kernel @ spread.T).to(batch.device, batch.dtype)
    margin = drawn.shape[-1] // 2
    around = pad(batch, (margin,) * 4, mode="reflect").transpose(0, 1)
    return conv2d(around, drawn[:, None], groups=len(batch)).transpose(0, 1).clamp(0, 1)


def spreading(size: int, pixel: float) -> Tensor:
    """Return the (T, K) matrix that distributes a kernel's weights over the batch's pixels, along one axis.

    A weight between pixels is divided among three such that its sum, its mean place and the mean square of
    its place stay (quadratic interpolation). So a kernel blurs or sharpens as much of the chest as at its
    original size, even where it is narrower than a pixel. At ``pixel`` 1 this is the identity.
    """
    weight = (torch.arange(size) - size // 2) * pixel
    reach = max(math.ceil(round(size // 2 * pixel, 6)), 1)
    nearest = weight.round().clamp(1 - reach, reach - 1)
    beyond = weight - nearest
    away = torch.arange(-reach, reach + 1)[:, None] - nearest
    beside = (beyond**2 + away * beyond) / 2
    return torch.where(away == 0, 1 - beyond**2, torch.where(away.abs() == 1, beside, 0.0))


def identity(size: int) -> Tensor:
    """Return the (K, K) kernel of no change, of an odd size."""
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


def sharpening(alpha: Tensor, lightness: Tensor, size: int = 3) -> Tensor:
    """Return (N, K, K) kernels of Albumentations' Sharpen in the middle of an odd size, at least 3.

    The sharp image, of weight (N,) ``alpha`` over the image, is the image times 8 + (N,) ``lightness`` minus
    its eight neighbors.
    """
    middle = slice(size // 2 - 1, size // 2 + 2)
    kernel = torch.zeros(len(alpha), size, size)
    kernel[:, middle, middle] = -alpha[:, None, None]
    kernel[:, size // 2, size // 2] = 1 + alpha * (7 + lightness)
    return kernel


def box(width: Tensor, size: int) -> Tensor:
    """Return (N, K, K) means over squares of (N,) odd widths in the middle of an odd size."""
    inside = (torch.arange(size) - size // 2).abs() <= (width[:, None] // 2)
    line = inside / width[:, None]
    return line[:, :, None] * line[:, None, :]


def line(width: Tensor, ends: Tensor, size: int) -> Tensor:
    """Return (N, K, K) kernels of Albumentations' MotionBlur: lines in the middle of an odd size.

    Pixel for pixel OpenCV's line of thickness 1: from left to right, ties toward the left end.

    Args:
        width: (N,) of the square, odd.
        ends: (N, 2, 2) whole numbers from 0 to width - 1: column and row of both ends.
    """
    image = torch.arange(len(width))[:, None]
    ends = torch.where((ends[:, :1, :1] > ends[:, 1:, :1]), ends.flip(1), ends)
    span = ends[:, 1:] - ends[:, :1]
    steps = span.abs().amax(2, keepdim=True).clamp(min=1)
    step = torch.arange(size)[:, None].minimum(steps)
    moved = span.sign() * ((2 * step * span.abs() + steps - 1) // (2 * steps))
    at = ends[:, :1] + moved + (size - width)[:, None, None] // 2
    kernel = torch.zeros(len(width), size, size)
    kernel[image, at[:, :, 1], at[:, :, 0]] = 1
    return kernel / kernel.sum((1, 2), keepdim=True)


def gaussian(width: int, deviation: float) -> Tensor:
    """Return the (K, K) kernel of a Gaussian of a deviation, cut off at an odd width, both in pixels."""
    place = torch.arange(width) - (width - 1) / 2
    weight = torch.exp(-(place**2) / (2 * deviation**2))
    weight = weight / weight.sum()
    return weight[:, None] * weight
