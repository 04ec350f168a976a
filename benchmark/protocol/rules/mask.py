"""Black out a part of every image. Lan 2023, section 4.3 and Figure 18.

The thesis states both that its masks cover the lungs and that they cover the rest. Its aim ("to cover the
edge or marker features"), its figure and its results (the joint mask scores best, the inverted one worst)
agree with one reading only, which is used here: square, separate and joint show the lungs and black out the
rest; the inverted joint mask blacks out the lungs.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import as_lazy
from benchmark.protocol.rules.view import kinds
from benchmark.tasks.rules import Mask

Shape = Literal["square", "separate", "joint", "inverted_joint"]

# 300 of (389, 320) pixels, width by height
SQUARE_WIDTH, SQUARE_HEIGHT = 300 / 389, 300 / 320
# The lung on the image's left, x and y as shares of the image; the other one is its mirror image. The
# thesis drew its polygons around the largest lungs of 1000 radiographs and does not print them; these were
# drawn by eye over radiographs of covid-chestxray, so that lungs that fill the image are inside.
LUNG = (
    (0.43, 0.05), (0.33, 0.07), (0.22, 0.15), (0.14, 0.29), (0.08, 0.50), (0.05, 0.72), (0.05, 0.90),
    (0.14, 0.93), (0.28, 0.90), (0.44, 0.86), (0.45, 0.60), (0.46, 0.08),
)  # fmt: skip
# From the apex along the outside to the base, and straight to the mirror image at both ends.
OUTLINE = (LUNG[-1], *LUNG[:10])


def apply(images: ImageSet, rule: Mask, *, where: str = "mask") -> ImageSet:
    """Black out everything that the mask does not show, when an image is read."""
    if rule.shape == "none":
        return images
    shown = np.where(shown_by(rule.shape, *images.image.shape[1:]), np.uint8(255), np.uint8(0))
    masked = replace(images, image=as_lazy(images.image).map(lambda block: block & shown))
    lateral = int((kinds(images) == "lateral").sum())
    if lateral and rule.shape != "square":
        masked = masked.noted(f"{where}: {lateral} lateral images got the lung mask of frontal images")
    return masked


@lru_cache(maxsize=64)
def shown_by(shape: Shape, height: int, width: int) -> np.ndarray:
    """Return (H, W) bool, True where the image stays; symmetric about the vertical axis."""
    if shape == "square":
        rows, columns = _middle(height, SQUARE_HEIGHT), _middle(width, SQUARE_WIDTH)
        shown = rows[:, None] & columns
    elif shape == "separate":
        shown = _mirrored(_polygon(LUNG, height, width))
    else:
        shown = _mirrored(_polygon((*OUTLINE, (0.5, OUTLINE[-1][1]), (0.5, OUTLINE[0][1])), height, width))
        shown = ~shown if shape == "inverted_joint" else shown
    shown.setflags(write=False)
    return shown


def _middle(side: int, share: float) -> np.ndarray:
    """Return (side,) bool, the middle share of a side."""
    place = (np.arange(side) + 0.5) / side
    return np.abs(place - 0.5) <= share / 2


def _polygon(corners: tuple[tuple[float, float], ...], height: int, width: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    canvas = Image.new("1", (width, height))
    scaled = [(x * width - 0.5, y * height - 0.5) for x, y in corners]  # a pixel's center is at +0.5
    ImageDraw.Draw(canvas).polygon(scaled, fill=1)
    return np.asarray(canvas, dtype=bool)


def _mirrored(half: np.ndarray) -> np.ndarray:
    return half | half[:, ::-1]
