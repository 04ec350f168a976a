"""Changes of gray values against the library of each paper, at fixed parameters.

A library that rounds its result to whole gray levels adds half a level; one that cuts it off, a whole one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import functional as torchvision

from benchmark.classifiers.augment import tone
from benchmark.classifiers.augment.clahe import clahe
from support.grays import batch_of, farthest, levels, picture


@pytest.mark.parametrize("clip_limit", [1.0, 2.3, 4.0])
@pytest.mark.parametrize("shape", [(224, 224), (64, 64), (32, 32), (50, 50), (57, 80)])
def test_clahe_equals_opencv(shape: tuple[int, int], clip_limit: float) -> None:
    """The difference is at most one gray level, for sides that eight tiles divide or not."""
    image = picture(*shape)
    reference = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(8, 8)).apply(image)
    actual = levels(clahe(batch_of(image), torch.tensor([clip_limit]), tiles=8))
    assert farthest(actual, reference) < 1.01
    assert np.abs(actual - reference).mean() < 0.5


def test_batched_clahe_equals_albumentations(albumentations: Any) -> None:
    """Each image has its own histograms and limit."""
    pictures, limit = [picture(224, seed=k) for k in range(3)], torch.tensor([1.0, 2.5, 4.0])
    equal = clahe(batch_of(*pictures), limit)
    for k, image in enumerate(pictures):
        reference = albumentations.CLAHE((float(limit[k]),) * 2, (8, 8), p=1)(image=image)["image"]
        assert farthest(levels(equal, k), reference) < 1.01


def test_clahe_by_hand() -> None:
    """A 16 by 16 tile is half black and half white: counts of 128 are clipped to 64.

    The other 128 go to every second of 256 levels, black included, so black becomes 65/256 and white 1.
    """
    image = np.zeros((16, 16), np.uint8)
    image[8:] = 255
    equal = clahe(batch_of(image), torch.tensor([64.0]), tiles=1)[0, 0]
    assert equal[0, 0] == pytest.approx(65 / 256)
    assert equal[15, 0] == 1


def test_brightness_and_contrast_equal_albumentations(albumentations: Any) -> None:
    """Gray is multiplied by 1 + contrast, then brightness times white is added (``brightness_by_max``)."""
    image = picture(64)
    for light, range_ in ((0.13, -0.17), (-0.2, 0.2), (0.2, 0.2)):
        reference = albumentations.RandomBrightnessContrast((light, light), (range_, range_), True, p=1)
        actual = tone.linear(batch_of(image), 1 + range_, light)
        assert farthest(levels(actual), reference(image=image)["image"]) < 1.01


@pytest.mark.parametrize("percent", [80, 93, 120])
def test_gamma_equals_albumentations(percent: int, albumentations: Any) -> None:
    """The exponent is a hundredth of the limit."""
    image = picture(64)
    reference = albumentations.RandomGamma((percent, percent), p=1)(image=image)["image"]
    assert farthest(levels(tone.gamma(batch_of(image), percent / 100)), reference) < 1.01


@pytest.mark.parametrize("channels", [1, 3])
def test_shift_of_value_equals_albumentations(channels: int, albumentations: Any) -> None:
    """Hue and saturation shifts do not affect a gray image; they would tint three equal channels."""
    image, both = picture(64), (0, 0) if channels == 3 else (20, 20)
    given = np.repeat(image[:, :, None], channels, 2)
    for shift in (-20, 13):
        changed = albumentations.HueSaturationValue(both, both, (shift, shift), p=1)(image=given)["image"]
        actual = tone.linear(batch_of(image), 1, shift / 255)
        assert farthest(levels(actual), changed[:, :, 0]) < 1.01


def test_brightness_and_contrast_equal_torchvision() -> None:
    """``adjust_brightness`` and ``adjust_contrast`` agree, clipping included."""
    batch = batch_of(*(picture(40, seed=k) for k in range(3)))
    factor = torch.tensor([0.9, 1.1, 1.7])
    for actual, reference in (
        (tone.brightness(batch, factor), torchvision.adjust_brightness),
        (tone.contrast(batch, factor), torchvision.adjust_contrast),
    ):
        for k in range(3):
            assert torch.allclose(actual[k : k + 1], reference(batch[k : k + 1], float(factor[k])), atol=1e-6)


def test_noise_is_added_with_an_amplitude_per_image() -> None:
    """Noise of one adds each image's amplitude, 0.1 or 0.3, and is clipped at white."""
    batch, noise = torch.full((2, 1, 4, 4), 0.5), torch.ones(2, 1, 4, 4)
    noise[1, 0, 0, 0] = 5
    noisy = tone.add(batch, noise, torch.tensor([0.1, 0.3]))
    assert torch.allclose(noisy[:, 0, 1, 1], torch.tensor([0.6, 0.8]))
    assert noisy[1, 0, 0, 0] == 1


def test_black_pixels_are_those_of_the_mask() -> None:
    """Pixels outside the mask keep their gray value."""
    batch, mask = batch_of(picture(8) | 1), torch.rand(1, 1, 8, 8) < 0.3
    assert torch.equal(tone.blacken(batch, mask) == 0, mask)


def test_identity_parameters() -> None:
    """Gain, power and factors of one, no offset and an empty mask change nothing."""
    batch = batch_of(picture(16))
    for same in (
        tone.linear(batch, 1, 0),
        tone.gamma(batch, 1.0),
        tone.brightness(batch, 1),
        tone.contrast(batch, 1),
        tone.add(batch, batch, 0),
        tone.blacken(batch, batch > 1),
    ):
        assert torch.allclose(same, batch, atol=1e-7)
