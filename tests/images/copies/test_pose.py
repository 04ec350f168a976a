"""Poses: their algebra, and alignment of a copy with its original."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.images.copies.appearance import blurred
from benchmark.images.copies.pose import SMOOTH, aligned, compose, identity, inverse, similarity, warped

SMALL = st.floats(-0.5, 0.5)


def pictures(count: int) -> torch.Tensor:
    """Return (count, 32, 32) smooth random pictures."""
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(count, 32, 32))).float()
    return blurred(noise, 1.5) * 5


def pose(*values: float) -> torch.Tensor:
    return similarity(*(torch.tensor([value]) for value in values))


@given(SMALL, st.floats(0.5, 2), SMALL, SMALL)
def test_a_pose_and_its_inverse_change_nothing(rotation, zoom, x, y):
    """A map after its inverse is the identity."""
    one = pose(rotation, zoom, x, y)
    assert torch.allclose(compose(one, inverse(one)), identity(1), atol=1e-5)


def test_blur_equals_that_of_scipy():
    """The matrix product is scipy's Gaussian filter with the same reach and border."""
    from scipy.ndimage import gaussian_filter

    images = pictures(3)
    expected = gaussian_filter(images.double().numpy(), (0, 2, 2), mode="mirror", radius=(0, 7, 7))
    assert np.abs(blurred(images, 2.0).numpy() - expected).max() < 1e-5


def test_a_quarter_turn_turns_the_image():
    """A rotation by 90 degrees shows the image that numpy turns by a quarter."""
    images = pictures(2)
    turned = warped(images, pose(np.pi / 2, 1, 0, 0).expand(2, -1, -1))
    assert any(torch.allclose(turned, torch.rot90(images, k, (1, 2)), atol=1e-4) for k in (1, 3))


def test_alignment_recovers_a_known_pose():
    """Of a picture seen from another pose, the alignment returns the inverse of that pose."""
    images = pictures(8)
    away = pose(0.12, 1.08, 0.05, -0.06).expand(8, -1, -1)
    seen = warped(images, away)
    start = identity(8)
    recovered = aligned(seen, blurred(seen, SMOOTH), images, blurred(images, SMOOTH), start)
    assert (compose(away, recovered) - identity(8)).abs().max() < 0.02
    unlike = aligned(images.flip(0), blurred(images.flip(0), SMOOTH), images, blurred(images, SMOOTH), start)
    fit = torch.nn.functional.cosine_similarity(warped(images.flip(0), unlike).flatten(1), images.flatten(1))
    assert fit.max() < 0.8
