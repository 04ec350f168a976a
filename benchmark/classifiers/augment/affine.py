"""Pipelines of a few affine and tone operations: ``mild_affine``, ``segal`` and ``zhang``."""

import torch
from torch import Generator, Tensor

from benchmark.classifiers.augment.draws import changed, coin, uniform
from benchmark.classifiers.augment.tone import brightness, contrast, gamma, linear
from benchmark.classifiers.augment.warp import flip_across, flip_down, rotate, shift_scale_rotate, turn, warp


def mild_affine(batch: Tensor, rng: Generator) -> Tensor:
    """Augment mildly, for small networks that learn from scratch in a few hundred steps.

    Rotation up to 5 degrees, scale 8 %, shift 5 % of the side; contrast, brightness and gamma by 0.1. Black
    borders. No flips: the heart is on the left.
    """
    n = len(batch)
    angle, scale = uniform(n, -5, 5, rng), uniform(n, 0.92, 1.08, rng)
    sides = torch.tensor([batch.shape[-1], batch.shape[-2]])
    shift = uniform(2 * n, -0.05, 0.05, rng).view(n, 2) * sides
    moved = warp(batch, turn(angle) / scale[:, None, None], shift, "black")
    toned = linear(moved, uniform(n, 0.9, 1.1, rng), uniform(n, -0.1, 0.1, rng))
    return gamma(toned, uniform(n, 0.9, 1.1, rng))


def segal(batch: Tensor, rng: Generator) -> Tensor:
    """Rotate by up to 10 degrees, flip across with probability 0.5, change brightness and contrast by 0.1.

    The meaning of the words and the defaults are torchvision's: a rotation takes the nearest pixel and leaves
    a black border, brightness scales the image, contrast scales the distance from its mean. torchvision draws
    the order of the last two, which matters only where gray is clipped; here brightness comes first. The
    paper's saturation and hue have no effect on gray images.

    Source: Segal et al. 2021, section 3.3.
    """
    n = len(batch)
    batch = rotate(batch, uniform(n, -10, 10, rng), "black", "nearest")
    batch = changed(batch, coin(n, 0.5, rng), flip_across)
    gain, factor = uniform(n, 0.9, 1.1, rng), uniform(n, 0.9, 1.1, rng)
    return contrast(brightness(batch, gain), factor)


def zhang(batch: Tensor, rng: Generator) -> Tensor:
    """Rotate by up to 10 degrees, shift by up to a tenth of the side, flip across and down.

    As in the Keras generator of Born et al. 2021, each flip has probability 0.5 and the border repeats the
    edge's gray.

    Source: Zhang et al. 2023, section 4.2.3.
    """
    n = len(batch)
    angle, shift = uniform(n, -10, 10, rng), uniform(2 * n, -0.1, 0.1, rng).view(n, 2)
    batch = shift_scale_rotate(batch, angle, torch.ones(n), shift, "edge")
    batch = changed(batch, coin(n, 0.5, rng), flip_across)
    return changed(batch, coin(n, 0.5, rng), flip_down)
