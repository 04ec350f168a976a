"""Gray values of 8 bits from deeper ones, and images with few of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmark.images.image_set import ImageSet

BIT_DEPTHS = (8, 10, 12, 14, 16)  # of detectors, for images of more than 8 bits
FEW = 32  # of 256; 12 bits read as 16 leave 16; at 32 pixels, the real packs have 41 and more, phantoms 65


def bit_depth(high: int) -> int:
    """Return the smallest of ``BIT_DEPTHS`` that holds a value; above 16 bits, the number of its bits."""
    return next((depth for depth in BIT_DEPTHS if high < 2**depth), high.bit_length())


def luminance(colors: np.ndarray, depth: int) -> np.ndarray:
    """Convert (H, W, 3) colors of this bit depth to (H, W) uint8 luminance (ITU-R 601)."""
    light = colors @ np.array([0.299, 0.587, 0.114]) * (255 / (2**depth - 1))
    return np.round(light).clip(0, 255).astype(np.uint8)


def has_few_levels(images: np.ndarray) -> np.ndarray:
    """Return (N,) bool, the images of (N, H, W) uint8 with fewer than ``FEW`` gray levels."""
    counts = [np.count_nonzero(np.bincount(image.ravel(), minlength=256)) for image in images]
    return np.array(counts, np.int64) < FEW


def note_few_levels(sets: Iterable[ImageSet], kind: str = "images") -> list[str]:
    """Return a note that counts the images with few gray levels and names the first; none without any.

    Args:
        kind: noun for the images.
    """
    few, total = [], 0
    for images in sets:
        total += len(images)
        for image_id, pixels in zip(images.image_id, images.image, strict=True):
            few += [image_id] if has_few_levels(pixels[None])[0] else []
    note = f"FEW GRAY LEVELS: {len(few)} of {total} {kind} have fewer than {FEW}"
    return [f"{note}, the first is {few[0]}"] if few else []
