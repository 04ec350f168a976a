"""The augmentation of Schaudt et al. 2023, Table 4."""

import torch
from torch import Generator, Tensor

from benchmark.classifiers.augment.clahe import clahe
from benchmark.classifiers.augment.draws import below, one_of, uniform
from benchmark.classifiers.augment.kernels import box, convolve, identity, line, sharpening
from benchmark.classifiers.augment.tone import gamma, linear
from benchmark.classifiers.augment.warp import shift_scale_rotate

SIDE = 224  # pixels of the table's images; the widths of its kernels are relative to them


def schaudt(batch: Tensor, rng: Generator) -> Tensor:
    """Shift, scale and rotate; then, each with probability 0.9: a tone, a filter, and a tone again.

    Where Table 4 is silent, this follows Albumentations 1.3.1, the release of the paper's time: bilinear,
    borders mirrored without the edge itself, a clip limit from 1, kernels from 3 pixels. Hue and saturation
    have no effect on gray images; the shift of value remains. No flips: the heart is on the left.
    """
    batch = _moved(batch, rng)
    batch = _toned(batch, rng)
    batch = _filtered(batch, rng)
    return _toned_again(batch, rng)


def _moved(batch: Tensor, rng: Generator) -> Tensor:
    """ShiftScaleRotate: scale_limit 0.5, rotate_limit 10, shift_limit 0.1."""
    n = len(batch)
    angle, scale = uniform(n, -10, 10, rng), uniform(n, 0.5, 1.5, rng)
    shift = uniform(2 * n, -0.1, 0.1, rng).view(n, 2)
    return shift_scale_rotate(batch, angle, scale, shift, "mirror")


def _toned(batch: Tensor, rng: Generator) -> Tensor:
    """One of CLAHE, brightness and contrast, gamma."""
    n = len(batch)
    limit, (gain, added), exponent = uniform(n, 1, 4, rng), _light(n, rng), uniform(n, 0.8, 1.2, rng)
    return one_of(
        batch,
        0.9,
        rng,
        lambda images, rows: clahe(images, limit[rows], tiles=8),
        lambda images, rows: linear(images, gain[rows], added[rows]),
        lambda images, rows: gamma(images, exponent[rows]),
    )


def _filtered(batch: Tensor, rng: Generator) -> Tensor:
    """One of Sharpen, Blur, MotionBlur, at the scale of the image: one convolution, a kernel per image."""
    n, size = len(batch), 7
    alpha, lightness = uniform(n, 0.2, 0.5, rng), uniform(n, 0.5, 1, rng)
    width = 3 + 2 * uniform(n, 0, 3, rng).long()
    ends = _ends(width, rng)
    kernel = one_of(
        identity(size).expand(n, size, size),
        0.9,
        rng,
        lambda _, rows: sharpening(alpha[rows], lightness[rows], size),
        lambda _, rows: box(width[rows], size),
        lambda _, rows: line(width[rows], ends[rows], size),
    )
    return convolve(batch, kernel, batch.shape[-2] / SIDE)


def _toned_again(batch: Tensor, rng: Generator) -> Tensor:
    """One of brightness and contrast, and a shift of value by up to 20 of 255."""
    n = len(batch)
    (gain, added), shift = _light(n, rng), uniform(n, -20 / 255, 20 / 255, rng)
    return one_of(
        batch,
        0.9,
        rng,
        lambda images, rows: linear(images, gain[rows], added[rows]),
        lambda images, rows: linear(images, 1, shift[rows]),
    )


def _light(n: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """Draw contrast as a factor of gray and brightness as a share of white: limits 0.2 and 0.2."""
    return uniform(n, 0.8, 1.2, rng), uniform(n, -0.2, 0.2, rng)


def _ends(width: Tensor, rng: Generator) -> Tensor:
    """Draw (N, 2, 2) column and row of two pixels of each square; rows differ where columns do not."""
    first, second, top = (below(width, rng) for _ in range(3))
    other = (top + 1 + below(width - 1, rng)) % width
    bottom = torch.where(first == second, other, below(width, rng))
    return torch.stack([torch.stack([first, top], 1), torch.stack([second, bottom], 1)], 1)
