"""Retraining of a critic: the state that counts, and the augmentation of Segal et al. 2021."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.classifiers.augment.warp import rotate
from benchmark.generators._critic_retraining import Best, augmented


def test_the_best_weights_count():
    """After qualities 0.6, 0.8 and 0.7 the weights of 0.8 return, also by way of a saved state."""
    weight = nn.Parameter(torch.zeros(2))
    best = Best(nn.ParameterList([weight]))
    for value, quality in ((1.0, 0.6), (2.0, 0.8), (3.0, 0.7)):
        nn.init.constant_(weight, value)
        best.compare(quality)
    again = Best(nn.ParameterList([weight]))
    again.load_state_dict(best.state_dict())
    again.use()
    assert weight.tolist() == [2.0, 2.0]


def test_augmentation_has_the_published_ranges():
    """Of a bright square, half are flipped; the center moves by at most 10 degrees, the gray by a tenth."""
    images = torch.full((400, 1, 33, 33), 0.5)
    images[:, :, 14:19, 26:31] = 0.75  # twelve pixels right of the center
    drawn = augmented(images, torch.Generator().manual_seed(0))
    line = torch.arange(33.0) - 16
    spot = (drawn > 0.62) & ((line**2)[:, None] + line**2 > 64)
    x = (spot * line).sum((1, 2, 3)) / spot.sum((1, 2, 3))
    y = (spot * line[:, None]).sum((1, 2, 3)) / spot.sum((1, 2, 3))
    assert (x < 0).float().mean().item() == pytest.approx(0.5, abs=0.08)
    angle = torch.rad2deg(torch.atan2(y, x.abs()))
    assert angle.abs().max() < 12
    assert angle.std().item() == pytest.approx(20 / 12**0.5, rel=0.15)  # of a uniform law
    center = drawn[:, 0, 16, 16]
    assert center.min() > 0.5 * 0.9 - 0.02
    assert center.max() < 0.5 * 1.1 + 0.02
    assert center.std().item() == pytest.approx(0.5 * 0.2 / 12**0.5, rel=0.15)


def test_a_rotation_is_that_of_the_classifiers(monkeypatch):
    """With the same angle and neither flip nor jitter both take the same pixels."""
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    draws = iter([torch.tensor([0.0, 0.5, 1.0]), torch.full((3,), 0.9), *[torch.full((3,), 0.5)] * 2])
    monkeypatch.setattr("torch.rand", lambda *shape, **about: next(draws))
    drawn, expected = (
        augmented(images, None),
        rotate(images, torch.tensor([-10.0, 0, 10]), "black", "nearest"),
    )
    same = min((drawn - expected).abs().lt(1e-5).float().mean(), 1.0)
    mirrored = (drawn - expected.flip(0)).abs().lt(1e-5).float().mean()
    assert max(same, mirrored) > 0.97
