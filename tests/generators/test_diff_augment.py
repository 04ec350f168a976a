"""DiffAugment's operations against their definition (Zhao et al. 2020, arXiv:2006.10738)."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.generators._diff_augment import diff_augment


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def test_augment_color_applies_gain_and_offset() -> None:
    """Each image gets one gain in [0.5, 1.5] and one offset in [-0.5, 0.5]."""
    images = torch.randn(50, 1, 8, 8, generator=random())
    changed = diff_augment(images, ("color",), random(1))
    gain = changed.std((2, 3)) / images.std((2, 3))
    offset = changed.mean((2, 3)) - images.mean((2, 3))
    assert 0.5 <= gain.min() < 0.65 < 1.35 < gain.max() <= 1.5
    assert -0.5 <= offset.min() < -0.35 < 0.35 < offset.max() <= 0.5
    correlation = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images.numpy(), changed.numpy(), strict=True)
    ]
    assert min(correlation) > 0.999


def test_augment_translates_by_up_to_an_eighth() -> None:
    """A bright pixel moves by -2 to 2 of 16 in both directions, and all 25 moves occur."""
    images = torch.zeros(600, 1, 16, 16)
    images[:, :, 7, 9] = 1
    places = diff_augment(images, ("translation",), random()).nonzero()[:, 2:]
    assert len(places) == 600
    assert {tuple(p) for p in places.tolist()} == {(7 + i, 9 + j) for i in range(-2, 3) for j in range(-2, 3)}


def test_augment_cuts_out_a_square_of_half_the_side() -> None:
    """Zeros form a rectangle, 8 by 8 of 16 unless the border truncates it."""
    cut = diff_augment(torch.ones(300, 1, 16, 16), ("cutout",), random())[:, 0] == 0
    height, width = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), height * width)
    assert height.max() == width.max() == 8
    assert height.min() >= 4


def test_augmentation_is_differentiable() -> None:
    """Gradients pass through every augmentation."""
    images = torch.randn(4, 1, 8, 8, generator=random(), requires_grad=True)
    diff_augment(images, ("color", "translation", "cutout"), random()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()
