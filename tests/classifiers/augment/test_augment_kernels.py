"""Every filter against the library that a paper used, at fixed parameters, and its scale on other sizes.

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
    """Mean over a square of (N,) odd widths."""
    return kernels.convolve(batch, kernels.box(width, int(width.max())), pixel)


def motion_blur(batch: torch.Tensor, width: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Mean along a line between two pixels of a square."""
    return kernels.convolve(batch, kernels.line(width, ends, int(width.max())))


@pytest.mark.parametrize(("alpha", "lightness"), [(0.2, 0.5), (0.5, 1.0), (0.37, 0.7)])
def test_sharpening_is_that_of_albumentations(alpha: float, lightness: float, albumentations: Any) -> None:
    """Same kernel, which darkens where lightness is below one, same border, clipped alike."""
    image = picture(64)
    reference = albumentations.Sharpen((alpha, alpha), (lightness, lightness), p=1)(image=image)["image"]
    actual = kernels.convolve(
        batch_of(image), kernels.sharpening(torch.tensor([alpha]), torch.tensor([lightness]))
    )
    assert farthest(levels(actual), reference) < 0.55


@pytest.mark.parametrize("width", [3, 5, 7])
def test_blur_is_that_of_albumentations(width: int, albumentations: Any) -> None:
    """The mean over a square, mirrored at the border."""
    image = picture(64)
    reference = albumentations.Blur((width, width), p=1)(image=image)["image"]
    assert farthest(levels(blur(batch_of(image), torch.tensor([width]))), reference) < 0.55


@pytest.mark.parametrize("width", [3, 5, 7])
def test_every_line_is_that_of_opencv(width: int) -> None:
    """Pixel for pixel, between any two different pixels of the square: all the kernels of MotionBlur."""
    ends = [e for e in itertools.product(range(width), repeat=4) if e[:2] != e[2:]]
    actual = kernels.line(torch.full((len(ends),), width), torch.tensor(ends).view(-1, 2, 2), width).numpy()
    for end, kernel in zip(ends, actual, strict=True):
        reference = cv2.line(np.zeros((width, width), np.uint8), end[:2], end[2:], 1, thickness=1)
        assert np.allclose(kernel, reference / reference.sum())


def test_motion_blur_is_that_of_albumentations() -> None:
    """Release 1.3.1 gives filter2D a normalized line of OpenCV; a line off the center shifts the image."""
    image, end = picture(64), ((0, 1), (4, 3))
    line = cv2.line(np.zeros((5, 5), np.uint8), *end, 1, thickness=1).astype(np.float32)
    reference = cv2.filter2D(image, -1, line / line.sum())
    actual = motion_blur(batch_of(image), torch.tensor([5]), torch.tensor([end]))
    assert farthest(levels(actual), reference) < 0.55


def test_gaussian_blur_is_that_of_torchvision_and_opencv() -> None:
    """Eleven pixels and a deviation of ten, Lan's, at the thesis's own size."""
    image = picture(64)
    actual = kernels.convolve(batch_of(image), kernels.gaussian(11, 10.0)[None])
    assert torch.allclose(
        actual, torchvision.gaussian_blur(batch_of(image), [11, 11], [10.0, 10.0]), atol=1e-5
    )
    assert farthest(levels(actual), cv2.GaussianBlur(image.astype(np.float32), (11, 11), 10)) < 0.05


def test_each_image_has_its_own_kernel() -> None:
    """Widths of 3, 7 and 5 in one batch give what each gives alone; narrow kernels are no others for it."""
    batch, width = batch_of(*(picture(40, seed=k) for k in range(3))), torch.tensor([3, 7, 5])
    ends = torch.tensor([[[0, 0], [2, 1]], [[6, 2], [0, 3]], [[4, 4], [4, 0]]])
    for blurred, alone in (
        (blur(batch, width), lambda k: blur(batch[k], width[k])),
        (motion_blur(batch, width, ends), lambda k: motion_blur(batch[k], width[k], ends[k])),
    ):
        for k in range(3):
            assert torch.allclose(blurred[k : k + 1], alone(slice(k, k + 1)), atol=1e-6)


def test_no_change() -> None:
    """A sharp image of weight zero, and a square of one pixel, leave the batch alone."""
    batch = batch_of(picture(16))
    assert torch.allclose(kernels.convolve(batch, kernels.sharpening(torch.zeros(1), torch.ones(1))), batch)
    assert torch.allclose(blur(batch, torch.tensor([1])), batch)


@pytest.mark.parametrize("pixel", [0.1, 0.25, 2 / 7, 0.9, 1.0, 1.7, 3.0])
def test_scaled_kernels_keep_sum_place_and_width(pixel: float) -> None:
    """Whatever the scale, every weight keeps its moments up to the second, in parts of the chest."""
    for size in (3, 7, 11):
        spread = kernels.spreading(size, pixel).double()
        place = torch.arange(len(spread)).double() - len(spread) // 2
        expected = (torch.arange(size).double() - size // 2) * pixel
        for power in (0, 1, 2):
            assert torch.allclose(place**power @ spread, expected**power, atol=1e-4)


def test_kernels_of_the_papers_own_size_are_not_touched() -> None:
    """At a pixel of one the scale is the identity."""
    assert torch.equal(kernels.spreading(7, 1.0), torch.eye(7))


def test_half_the_size_by_hand() -> None:
    """Three weights half a pixel apart: the outer ones give 3/8, 3/4 and -1/8 of theirs to three pixels."""
    expected = torch.tensor([[3, 0, -1], [6, 8, 6], [-1, 0, 3]]) / 8
    assert torch.allclose(kernels.spreading(3, 0.5), expected)


def test_blur_on_a_small_image_is_the_large_one_made_small() -> None:
    """Soft clouds blurred at 224 pixels, then shrunk to 56, are those shrunk, then blurred at that scale."""
    large = cv2.GaussianBlur(picture(224), (0, 0), 3)

    def small(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image.astype(np.float32), (56, 56), interpolation=cv2.INTER_AREA)

    reference = small(cv2.blur(large.astype(np.float32), (7, 7)))
    batch = batch_of(small(large))
    actual = levels(blur(batch, torch.tensor([7]), pixel=0.25))
    assert farthest(reference, small(large)) > 5
    assert farthest(actual[2:-2, 2:-2], reference[2:-2, 2:-2]) < 1.5
