"""Lesions as masks: their overlap, place, side, contrast and edges, and crops of their region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmark.plugins.metric import Side

INSIDE = 127
RING = 0.06  # width of the surroundings of a lesion, share of the image's side
SIDES = 0.8  # share of a mask on one half of the image that makes it a finding of that side
CROP = 24  # side in pixels of a compared region
NOT_SEGMENTED = "the segmenter finds the lesions of none of its classes"


def overlap(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) Dice and (N,) IoU of pairs of (N, H, W) masks; 1 where both are empty."""
    first, second = a > INSIDE, b > INSIDE
    both = (first & second).sum((1, 2))
    sizes = first.sum((1, 2)) + second.sum((1, 2))
    dice = np.divide(2 * both, sizes, out=np.ones(len(a)), where=sizes > 0)
    return dice, dice / (2 - dice)


def by_difference(image: np.ndarray, twin: np.ndarray, least: float = 8.0) -> np.ndarray:
    """Return the lesion as the difference of (N, H, W) images from their lesion-free twins; 255 inside.

    A pixel is inside where the smoothed difference reaches half of its maximum; no pixel where the maximum is
    below ``least`` gray values.
    """
    change = np.abs(image.astype(np.float32) - twin.astype(np.float32))
    smooth = ndimage.gaussian_filter(change, (0, image.shape[1] / 48, image.shape[1] / 48))
    most = smooth.max((1, 2), keepdims=True)
    return np.where((smooth >= most / 2) & (most >= least), 255, 0).astype(np.uint8)


def side_of(mask: np.ndarray) -> str:
    """Return ``left`` or ``right`` of the patient, ``both``, or empty without a pixel, of an (H, W) mask.

    The patient's left is on the right of a frontal radiograph.
    """
    inside = mask > INSIDE
    if not inside.any():
        return ""
    on_right = inside[:, : mask.shape[1] // 2].sum() / inside.sum()
    return "right" if on_right >= SIDES else "left" if on_right <= 1 - SIDES else "both"


def side_in_words(text: str) -> str:
    """Return the side that a sentence names, as ``side_of``; ``both`` for bilateral or for both sides."""
    words = {*words_of(text)}
    sides = [side for side in ("left", "right") if side in words or f"{side}-sided" in words]
    return "both" if "bilateral" in words or len(sides) == 2 else "".join(sides)


def words_of(text: str) -> list[str]:
    """Return the words of a sentence in lower case, without punctuation."""
    return text.lower().replace(".", " ").replace(",", " ").split()


@dataclass(frozen=True)
class Region:
    """A lesion of one image.

    Attributes:
        across, down: its center, share of the side.
        area: share of the image.
        contrast: mean gray inside minus that of the ring around it, 0 to 1.
        sharpness: mean gradient of the gray along its edge, per pixel, divided by the absolute contrast.
        crop: (CROP, CROP) float32 in [0, 1], the region with its surroundings.
    """

    across: float
    down: float
    area: float
    contrast: float
    sharpness: float
    crop: np.ndarray

    @property
    def burden(self) -> float:
        """Area times absolute contrast: the grade of a finding as pixels show it."""
        return self.area * abs(self.contrast)


def region(image: np.ndarray, mask: np.ndarray) -> Region | None:
    """Return the lesion inside a mask; None where the mask is empty or full."""
    inside, size = mask > INSIDE, image.shape[0]
    width = max(1, round(RING * size))
    ring = ndimage.binary_dilation(inside, iterations=width) & ~inside
    if not inside.any() or not ring.any():
        return None
    gray = image.astype(np.float32) / 255
    contrast = float(gray[inside].mean() - gray[ring].mean())
    edge = inside & ~ndimage.binary_erosion(inside)
    slope = np.hypot(ndimage.sobel(gray, 0), ndimage.sobel(gray, 1))[edge].mean() / 8
    down, across = ndimage.center_of_mass(inside)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = tuple(slice(max(0, k[0] - width), k[-1] + width + 1) for k in (rows, columns))
    part = gray[box]
    return Region(
        across=across / size,
        down=down / size,
        area=float(inside.mean()),
        contrast=contrast,
        sharpness=float(slope / max(abs(contrast), 1 / 255)),
        crop=ndimage.zoom(
            part, [CROP / side for side in part.shape], order=1, grid_mode=True, mode="nearest"
        ),
    )


def regions(side: Side, masks: np.ndarray, label: int) -> list[Region]:
    """Return the lesions inside the masks of a side's images of one class."""
    lesions = (
        region(np.asarray(side.images[row]), masks[row]) for row in np.flatnonzero(side.label == label)
    )
    return [lesion for lesion in lesions if lesion is not None]
