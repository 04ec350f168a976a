"""Augmentation on batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.classify.augment import MILD, PIPELINES, SCHAUDT, Limits, affine_intensity

STILL = Limits(shift=0, scale=0, rotate=0, brightness=0, contrast=0, gamma=0)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=64, size=16):
    return torch.rand(n, 1, size, size, generator=rng(9))


def test_no_limits_change_nothing():
    """With every limit zero the batch comes back, up to interpolation error."""
    images = batch()
    assert torch.allclose(affine_intensity(images, rng(), STILL), images, atol=1e-5)


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_pipeline_is_a_function_of_batch_and_seed(name):
    """Same seed, same bytes; range and shape are kept; the global generator is left alone."""
    before = torch.get_rng_state()
    one, two = PIPELINES[name](batch(), rng(3)), PIPELINES[name](batch(), rng(3))
    assert torch.equal(one, two)
    assert one.shape == batch().shape
    assert 0 <= one.min() <= one.max() <= 1
    assert torch.equal(before, torch.get_rng_state())


def test_limits_are_those_of_table_4():
    """Shift 0.1, scale 0.5, rotation 10 degrees, brightness and contrast 0.2, gamma 80 to 120."""
    assert Limits(0.1, 0.5, 10, 0.2, 0.2, 0.2) == SCHAUDT


def test_shift_stays_within_its_limit():
    """A dot in the middle moves by at most a tenth of the side, and uses most of that room."""
    dots = torch.zeros(400, 1, 41, 41)
    dots[:, :, 20, 20] = 1
    moved = affine_intensity(dots, rng(1), Limits(0.1, 0, 0, 0, 0, 0))
    at = np.array([np.unravel_index(int(m.argmax()), (41, 41)) for m in moved[:, 0]]) - 20
    assert 3 <= abs(at).max() <= 5


def test_brightness_is_spread_over_its_limit():
    """On mid gray, brightness of 0.1 gives values from 0.4 to 0.6 with mean 0.5."""
    gray = torch.full((2000, 1, 8, 8), 0.5)
    values = affine_intensity(gray, rng(2), Limits(0, 0, 0, MILD.brightness, 0, 0))[:, 0, 4, 4]
    assert values.min() == pytest.approx(0.4, abs=0.005)
    assert values.max() == pytest.approx(0.6, abs=0.005)
    assert values.mean() == pytest.approx(0.5, abs=0.01)
