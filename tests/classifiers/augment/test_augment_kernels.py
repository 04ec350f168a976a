"""Filters against the library of each paper, at fixed parameters, and their scale at other sizes.

A library that rounds its result to whole gray levels adds half a level; single precision stays below 0.05.
"""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import functional as torchvision

from benchmark.classifiers.augment import kernels
from support.grays import batch_of, farthest, levels, picture


def blur(batch: torch.Tensor, width: torch.Tensor, pixel: float = 1.0) -> torch.Tensor:
    """Average over a square; ``width`` holds (N,) odd widths."""
    return kernels.convolve(batch, kernels.box(width, int(width.max())), pixel)


def motion_blur(batch: torch.Tensor, width: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Average along a line between two pixels of a square."""
    return kernels.convolve(batch, kernels.line(width, ends, int(width.max())))


@pytest.mark.parametrize(("alpha", "lightness"), [(0.2, 0.5), (0.5, 1.0), (0.37, 0.7)])
def test_sharpening_equals_albumentations(alpha: float, lightness: float, albumentations: Any) -> None:
    """Kernel, border and clipping agree; a lightness below one darkens the image."""
    image = picture(64)
    reference = albumentations.Sharpen((alpha, alpha), (lightness, lightness), p=1)(image=image)["image"]
    actual = kernels.convolve(
        batch_of(image), kernels.sharpening(torch.tensor([alpha]), torch.tensor([lightness]))
    )
    assert farthest(levels(actual), reference) < 0.55


@pytest.mark.parametrize("width", [3, 5, 7])
def test_blur_equals_albumentations(width: int, albumentations: Any) -> None:
    """The mean over a square, with reflection at the border, agrees."""
    image = picture(64)
    reference = albumentations.Blur((width, width), p=1)(image=image)["image"]
    assert farthest(levels(blur(batch_of(image), torch.tensor([width]))), reference) < 0.55


@pytest.mark.parametrize("width", [3, 5, 7])
def test_every_line_equals_opencv(width: int) -> None:
    """All kernels of MotionBlur agree pixel for pixel, between any two different pixels of the square."""
    ends = [e for e in itertools.product(range(width), repeat=4) if e[:2] != e[2:]]
    actual = kernels.line(torch.full((len(ends),), width), torch.tensor(ends).view(-1, 2, 2), width).numpy()
    for end, kernel in zip(ends, actual, strict=True):
        reference = cv2.line(np.zeros((width, width), np.uint8), end[:2], end[2:], 1, thickness=1)
        assert np.allclose(kernel, reference / reference.sum())


def test_motion_blur_equals_albumentations() -> None:
    """Release 1.3.1 passes OpenCV's normalized line to filter2D; an off-center line shifts the image."""
    image, end = picture(64), ((0, 1), (4, 3))
    line = cv2.line(np.zeros((5, 5), np.uint8), *end, 1, thickness=1).astype(np.float32)
    reference = cv2.filter2D(image, -1, line / line.sum())
    actual = motion_blur(batch_of(image), torch.tensor([5]), torch.tensor([end]))
    assert farthest(levels(actual), reference) < 0.55


def test_gaussian_blur_equals_torchvision_and_opencv() -> None:
    """Lan's kernel of eleven pixels and deviation ten agrees at the thesis's image size."""
    image = picture(64)
    actual = kernels.convolve(batch_of(image), kernels.gaussian(11, 10.0)[None])
    assert torch.allclose(
        actual, torchvision.gaussian_blur(batch_of(image), [11, 11], [10.0, 10.0]), atol=1e-5
    )
    assert farthest(levels(actual), cv2.GaussianBlur(image.astype(np.float32), (11, 11), 10)) < 0.05


def test_each_image_has_its_own_kernel() -> None:
    """Widths of 3, 7 and 5 in one batch give the same results as each alone."""
    batch, width = batch_of(*(picture(40, seed=k) for k in range(3))), torch.tensor([3, 7, 5])
    ends = torch.tensor([[[0, 0], [2, 1]], [[6, 2], [0, 3]], [[4, 4], [4, 0]]])
    for blurred, alone in (
        (blur(batch, width), lambda k: blur(batch[k], width[k])),
        (motion_blur(batch, width, ends), lambda k: motion_blur(batch[k], width[k], ends[k])),
    ):
        for k in range(3):
            assert torch.allclose(blurred[k : k + 1], alone(slice(k, k + 1)), atol=1e-6)


def test_identity_kernels() -> None:
    """Sharpening of weight zero and a square of one pixel leave the batch unchanged."""
    batch = batch_of(picture(16))
    assert torch.allclose(kernels.convolve(batch, kernels.sharpening(torch.zeros(1), torch.ones(1))), batch)
    assert torch.allclose(blur(batch, torch.tensor([1])), batch)


@pytest.mark.parametrize("pixel", [0.1, 0.25, 2 / 7, 0.9, 1.0, 1.7, 3.0])
def test_scaled_kernels_keep_their_moments(pixel: float) -> None:
    """At every scale the weights keep their moments up to the second, in units of the image."""
    for size in (3, 7, 11):
        spread = kernels.spreading(size, pixel).double()
        place = torch.arange(len(spread)).double() - len(spread) // 2
        expected = (torch.arange(size).double() - size // 2) * pixel
        for power in (0, 1, 2):
            assert torch.allclose(place**power @ spread, expected**power, atol=1e-4)


def test_scale_one_is_the_identity() -> None:
    """At a pixel size of one the kernel is unchanged."""
    assert torch.equal(kernels.spreading(7, 1.0), torch.eye(7))


def test_half_the_size_by_hand() -> None:
    """At half the size, each outer weight adds 3/8, 3/4 and -1/8 of its value to three pixels."""
    expected = torch.tensor([[3, 0, -1], [6, 8, 6], [-1, 0, 3]]) / 8
    assert torch.allclose(kernels.spreading(3, 0.5), expected)


def test_blur_commutes_with_resizing() -> None:
    """Blurring at 224 pixels and shrinking to 56 equals shrinking, then blurring at that scale."""
    large = cv2.GaussianBlur(picture(224), (0, 0), 3)

    def small(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image.astype(np.float32), (56, 56), interpolation=cv2.INTER_AREA)

    reference = small(cv2.blur(large.astype(np.float32), (7, 7)))
    batch = batch_of(small(large))
    actual = levels(blur(batch, torch.tensor([7]), pixel=0.25))
    assert farthest(reference, small(large)) > 5
    assert farthest(actual[2:-2, 2:-2], reference[2:-2, 2:-2]) < 1.5
