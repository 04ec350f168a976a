"""Bit depths, and the note on images with few gray levels."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.images.gray_levels import FEW, bit_depth, has_few_levels, note_few_levels
from benchmark.images.image_set import ImageSet


@pytest.mark.parametrize(
    ("high", "depth"),
    [(0, 8), (255, 8), (256, 10), (1024, 12), (4095, 12), (4096, 14), (65535, 16), (65536, 17)],
)  # fmt: skip
def test_the_smallest_depth_of_a_detector_holds_the_value(high: int, depth: int) -> None:
    """8, 10, 12, 14 or 16 bits; above, as many as the value has."""
    assert bit_depth(high) == depth


def image_set(*images: np.ndarray) -> ImageSet:
    ids = np.array([f"{k}.png" for k in range(len(images))])
    return ImageSet(
        image=np.stack(images).astype(np.uint8), label=np.zeros(len(images), np.int64), classes=("a",),
        image_id=ids, patient_id=ids, origin=ids,
    )  # fmt: skip


def test_images_with_few_levels_are_counted_and_the_first_is_named() -> None:
    """12 bits read as 16 leave 16 of 256 levels; 32 levels are enough."""
    ramp = np.arange(4096).reshape(64, 64)
    dark, few, enough, whole = ramp >> 8, ramp % (FEW - 1), ramp % FEW, ramp % 256
    images = np.stack([dark, few, enough, whole]).astype(np.uint8)
    assert has_few_levels(images).tolist() == [True, True, False, False]
    (note,) = note_few_levels([image_set(whole, enough), image_set(whole, few, dark)])
    assert note == "FEW GRAY LEVELS: 2 of 5 images have fewer than 32, the first is 1.png"
    assert note_few_levels([image_set(whole), image_set(enough)]) == []
