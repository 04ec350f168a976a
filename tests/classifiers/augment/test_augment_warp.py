"""Geometric operations against the library of each paper, at fixed parameters.

In gray levels of 255: single precision stays below 0.05; a library that rounds its result adds half a level.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from benchmark.classifiers.augment import warp
from support.grays import batch_of, farthest, levels, picture

ANGLES = torch.tensor([0.0, 7.3, -10.0, 33.0])


def four(height: int = 48, width: int | None = None) -> list[np.ndarray]:
    return [picture(height, width, seed) for seed in range(4)]


@pytest.mark.parametrize("shape", [(48, 48), (40, 56)])
def test_shift_scale_rotate_equals_opencv(shape: tuple[int, int]) -> None:
    """As in Albumentations 1.3.1, the image turns about its center, then shifts, with reflect_101."""
    height, width = shape
    pictures = four(height, width)
    scale, shift = (
        torch.tensor([1.5, 0.5, 0.83, 1.0]),
        torch.tensor([[0.1, 0], [-0.1, 0.1], [0, 0.03], [0, 0]]),
    )
    moved = warp.shift_scale_rotate(batch_of(*pictures), ANGLES, scale, shift, "mirror")
    for k, image in enumerate(pictures):
        matrix = cv2.getRotationMatrix2D(
            (width / 2 - 0.5, height / 2 - 0.5), float(ANGLES[k]), float(scale[k])
        )
        matrix[:, 2] += shift[k].numpy() * (width, height)
        reference = cv2.warpAffine(
            image.astype(np.float32), matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        assert farthest(levels(moved, k), reference) < 0.05


def test_shift_scale_rotate_equals_albumentations(albumentations: Any) -> None:
    """The transform with fixed values equals ours. Release 2 shifts by whole pixels only: 14 and -8."""
    image = picture(200)
    reference = albumentations.ShiftScaleRotate(
        shift_limit_x=(0.07, 0.07),
        shift_limit_y=(-0.04, -0.04),
        scale_limit=(-0.3, -0.3),
        rotate_limit=(8, 8),
        border_mode=cv2.BORDER_REFLECT_101,
        p=1,
    )(image=image)["image"]
    actual = warp.shift_scale_rotate(
        batch_of(image), torch.tensor([8.0]), torch.tensor([0.7]), torch.tensor([[0.07, -0.04]]), "mirror"
    )
    assert farthest(levels(actual), reference) < 0.55


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_rotation_equals_torchvision(interpolation: Any) -> None:
    """The outside is black; the nearest pixel may differ only where two are equally near."""
    batch = batch_of(*four(41, 41))
    actual = warp.rotate(batch, ANGLES, "black", interpolation)
    reference = torch.cat(
        [
            torchvision.rotate(image[None], float(angle), InterpolationMode(interpolation))
            for image, angle in zip(batch, ANGLES, strict=True)
        ]
    )
    assert float(((actual - reference).abs() > 1e-3).float().mean()) < (
        1e-3 if interpolation == "nearest" else 1e-9
    )


@pytest.mark.parametrize(
    ("border", "mode"), [("edge", "nearest"), ("mirror", "mirror"), ("black", "grid-constant")]
)
def test_rotation_and_shift_equal_keras(border: Any, mode: str) -> None:
    """ImageDataGenerator maps (row, column) by rotation times shift about the center, with scipy.

    Its angle has the opposite sign, and its shift gives the source of a pixel.
    """
    pictures, shift = four(40, 56), torch.tensor([[0.1, 0.05], [-0.1, 0.1], [0, 0.03], [0, 0]])
    moved = warp.shift_scale_rotate(batch_of(*pictures), ANGLES, torch.ones(4), shift, border)
    for k, image in enumerate(pictures):
        angle, (across, down) = -math.radians(ANGLES[k]), shift[k].numpy() * (56, 40)
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([39, 55]) / 2
        offset = turned @ (np.array([-down, -across]) - middle) + middle
        reference = ndimage.affine_transform(image.astype(float), turned, offset, order=1, mode=mode)
        assert farthest(levels(moved, k), reference) < 0.05


def test_translation_moves_whole_pixels_without_interpolation() -> None:
    """By 4 and -3 of 40 pixels, columns move right, rows move up, and the border is black."""
    image = picture(40)
    moved = levels(warp.translate(batch_of(image), torch.tensor([[0.1, -0.075]]), "black"))
    assert farthest(moved[:-3, 4:], image[3:, :-4]) < 1e-2
    assert moved[-2:].max() == moved[:, :3].max() == 0


def test_shear_slides_rows() -> None:
    """A shear by 45 degrees shifts a row d below the center by d pixels."""
    image = picture(41)
    moved = levels(warp.shear(batch_of(image), torch.tensor([45.0]), "edge"))
    for row in (15, 20, 27):
        away = row - 20
        assert farthest(moved[row, 10:30], image[row, 10 + away : 30 + away]) < 1e-2


def test_crop_is_a_resized_window() -> None:
    """A window of half of 41 pixels, left and bottom: every second pixel equals one of its 21."""
    image = picture(41)
    cut = levels(warp.crop(batch_of(image), (0.5, 0.5), torch.tensor([[0.0, 1.0]])))
    assert farthest(cut[::2, ::2], image[20:, :21]) < 1e-2


def test_flips_exchange_sides() -> None:
    """A horizontal flip swaps left and right; a vertical flip swaps top and bottom."""
    batch = batch_of(picture(8))
    assert torch.equal(warp.flip_across(batch)[0, 0], batch[0, 0].fliplr())
    assert torch.equal(warp.flip_down(batch)[0, 0], batch[0, 0].flipud())


def test_identity_parameters() -> None:
    """No angle, no shift, scale one and the whole window return the batch unchanged."""
    batch = batch_of(*four())
    zero, one, nowhere = torch.zeros(4), torch.ones(4), torch.zeros(4, 2)
    for same in (
        warp.shift_scale_rotate(batch, zero, one, nowhere, "mirror"),
        warp.rotate(batch, zero, "black", "nearest"),
        warp.translate(batch, nowhere, "black"),
        warp.shear(batch, zero, "edge"),
        warp.crop(batch, (1, 1), nowhere),
    ):
        assert torch.allclose(same, batch, atol=2e-5)


def test_each_image_has_its_own_parameters() -> None:
    """A batch of four equals its four images transformed one by one."""
    batch, scale, shift = batch_of(*four()), torch.tensor([1, 0.6, 1.2, 1.5]), torch.rand(4, 2) / 10
    together = warp.shift_scale_rotate(batch, ANGLES, scale, shift, "mirror")
    for k in range(4):
        part = slice(k, k + 1)
        alone = warp.shift_scale_rotate(batch[part], ANGLES[part], scale[part], shift[part], "mirror")
        assert torch.allclose(together[part], alone, atol=1e-6)
