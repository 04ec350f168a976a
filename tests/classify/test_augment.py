"""Augmentation on batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.classify.augment import MILD, PIPELINES, SCHAUDT, Limits, affine_intensity, segal, zhang
from benchmark.recipe import Recipe

OLD_SUMS = [619.7870361933892, 840.2055343141983]
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


def test_every_name_of_the_schema_is_a_pipeline():
    """A task may name these and no others."""
    assert set(Recipe.model_fields["augmentation"].annotation.__args__) == set(PIPELINES)


def test_older_pipelines_keep_their_bytes():
    """Sums over schaudt_affine and mild_affine on a fixed batch, as they were before others joined them."""
    images = batch(8)
    sums = [
        float(PIPELINES[name](images, rng(3)).double().sum()) for name in ("schaudt_affine", "mild_affine")
    ]
    assert sums == pytest.approx(OLD_SUMS, abs=1e-3)


def bars(n=400, size=41):
    """A vertical bar in the middle of black images."""
    images = torch.zeros(n, 1, size, size)
    images[:, :, 4:-4, size // 2] = 1
    return images


def angles(images):
    """Degrees by which each bar is turned, from its second moments."""
    size = images.shape[-1]
    place = torch.arange(size) - (size - 1) / 2
    weight = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True)
    x = place[None, None, :] - (weight * place[None, None, :]).sum((1, 2), keepdim=True)
    y = place[None, :, None] - (weight * place[None, :, None]).sum((1, 2), keepdim=True)
    slope = (weight * x * y).sum((1, 2)) / (weight * y * y).sum((1, 2))
    return torch.rad2deg(torch.atan(slope))


@pytest.mark.parametrize("pipeline", [zhang, segal])
def test_rotation_is_up_to_ten_degrees_both_ways(pipeline):
    """Turns fill the range from -10 to 10 degrees evenly and do not leave it."""
    turned = angles(pipeline(bars(), rng(4)))
    assert turned.abs().max() < 10.3
    assert turned.min() < -9
    assert turned.max() > 9
    assert abs(float(turned.mean())) < 1
    assert float(turned.abs().mean()) == pytest.approx(5, abs=0.5)


def corner(n=600, size=40):
    """A bright square in the upper left quarter of dark images."""
    images = torch.zeros(n, 1, size, size)
    images[:, :, 8:14, 8:14] = 1
    return images


def quarters(images):
    """Share of the images that are brightest upper left, upper right, lower left, lower right."""
    half = images.shape[-1] // 2
    parts = [images[:, 0, a : a + half, b : b + half].sum((1, 2)) for a in (0, half) for b in (0, half)]
    return torch.bincount(torch.stack(parts, 1).argmax(1), minlength=4) / len(images)


def test_zhang_flips_on_both_axes():
    """A corner lands in every quarter with probability a quarter: the flips are independent, 0.5 each."""
    assert quarters(zhang(corner(), rng(5))).tolist() == pytest.approx([0.25] * 4, abs=0.06)


def test_segal_flips_across_alone():
    """A corner lands left or right with probability one half, never below."""
    assert quarters(segal(corner(), rng(6))).tolist() == pytest.approx([0.5, 0.5, 0, 0], abs=0.06)


def test_zhang_shifts_by_a_tenth():
    """A disk in the middle moves by up to a tenth of the side across and down, and uses that room."""
    place = torch.arange(61) - 30
    disk = ((place[:, None] ** 2 + place**2) < 30).float().expand(400, 1, 61, 61)
    moved = zhang(disk, rng(7))[:, 0]
    at = [(moved.sum(axis) * place).sum(1) / moved.sum((1, 2)) for axis in (1, 2)]
    for along in at:
        assert along.abs().max() < 6.2
        assert along.abs().max() > 5.5
        assert float(along.mean()) == pytest.approx(0, abs=0.4)


def test_borders_that_move_in():
    """Zhang's Keras generator repeats the edge, so white stays white; Segal's torchvision adds black."""
    white = torch.ones(100, 1, 32, 32)
    assert zhang(white, rng(8)).min() == pytest.approx(1, abs=1e-5)
    assert segal(white, rng(8))[:, 0, 0, 0].min() == 0


def test_segal_jitters_brightness_and_contrast_by_a_tenth():
    """Of an image of two grays, the mean is scaled by 0.9 to 1.1, then their distance, by the same range."""
    images = torch.full((3000, 1, 16, 16), 0.3)
    images[:, :, :, 4:12] = 0.5
    images[:, :, 4:12, :4] = 0.3
    drawn = segal(images, rng(9))[:, 0, 6:10]
    inner, outer = drawn[:, :, 7:9].mean((1, 2)), drawn[:, :, [2, 13]].mean((1, 2))
    distance = (inner - outer) / 0.2
    assert distance.min() > 0.9 * 0.9 - 0.03
    assert distance.max() < 1.1 * 1.1 + 0.03
    assert distance.min() < 0.86
    assert distance.max() > 1.14
    gain = inner / 0.5
    assert float(gain.mean()) == pytest.approx(1, abs=0.01)
    assert gain.min() == pytest.approx(0.9, abs=0.03)
    assert gain.max() == pytest.approx(1.1, abs=0.03)
