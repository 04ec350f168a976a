"""Gray values of 8 bits from deeper ones, and images with few of them."""

from __future__ import annotations

import numpy as np

BIT_DEPTHS = (8, 10, 12, 14, 16)  # of detectors, for images of more than 8 bits
FEW = 32  # of 256; a 12-bit image read as one of 16 bits has 16, those of the real packs 100 and more


def bit_depth(high: int) -> int:
    """Return the smallest of ``BIT_DEPTHS`` that holds a value; above 16 bits, the number of its bits."""
    return next((depth for depth in BIT_DEPTHS if high < 2**depth), high.bit_length())


def luminance(colors: np.ndarray, depth: int) -> np.ndarray:
    """Convert (H, W, 3) colors of this bit depth to (H, W) uint8 luminance (ITU-R 601)."""
    light = colors @ np.array([0.299, 0.587, 0.114]) * (255 / (2**depth - 1))
    return np.round(light).clip(0, 255).astype(np.uint8)
