"""The lungs of a set of frontal radiographs, from their mean, and the zones of their height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmark.errors import GeneratorError
from benchmark.experiments.lesions.lesion_request import ZONES, Zone

MOST = 200  # images in the mean
FEWEST = 10
SMALLEST = 0.04  # share of the image that a lung covers
SOLID = 0.45  # share of its bounding box that a lung covers; an ellipse has 0.79
ALIKE = 0.5  # of two lungs: ratio of their areas, and share of the rows that both have
LEVELS = np.linspace(0.05, 0.95, 91)  # quantiles that are tried as thresholds


@dataclass(frozen=True, eq=False)
class Lungs:
    """The two lungs; ``inside`` is (S, S) bool."""

    inside: np.ndarray

    def zone(self, mask: np.ndarray) -> Zone:
        """Return the third of the lungs' height in which the center of an (S, S) bool mask lies."""
        down = float(np.flatnonzero(mask.any(1)) @ mask.sum(1)[mask.any(1)] / mask.sum())
        zone: Zone = ZONES[int(np.searchsorted(self.borders, down, side="right"))]
        return zone

    @property
    def borders(self) -> np.ndarray:
        """(2,) rows between the upper, the middle and the lower zone."""
        rows = np.flatnonzero(self.inside.any(1))
        top, height = rows[0] - 0.5, rows[-1] + 1 - rows[0]
        return np.array([top + height / 3, top + 2 * height / 3])

    def of_zone(self, zone: str) -> np.ndarray:
        """Return the (S, S) bool rows of a zone; the outer zones reach the edge of the image."""
        number = np.searchsorted(self.borders, np.arange(len(self.inside)), side="right")
        return np.repeat((number == ZONES.index(zone))[:, None], self.inside.shape[1], 1)


def find_lungs(images: np.ndarray) -> Lungs:
    """Return the lungs: of the mean image, the largest two dark regions that lie in one half each.

    The threshold is the one at which the smaller of them is largest; above it they join the air around the
    patient.

    Args:
        images: (N, S, S) uint8, lesion-free frontal radiographs.
    Raises:
        GeneratorError: too few images, or no such regions.
    """
    where, remedy = "lesion: zone", "Leave zone out, or give a mask instead of a lesion."
    if len(images) < FEWEST:
        problem = f"needs lungs, and only {len(images)} of the training images have an empty mask"
        raise GeneratorError(where, problem, remedy)
    x = np.asarray(images[:MOST], np.float32)
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True).clip(1e-6)
    mean = ndimage.gaussian_filter(x.mean(0), x.shape[1] / 64)
    best, lungs = SMALLEST * mean.size, None
    for level in np.quantile(mean, LEVELS):
        pair = _pair(mean <= level)
        if pair is not None and min(part.sum() for part in pair) > best:
            best, lungs = min(part.sum() for part in pair), pair[0] | pair[1]
    if lungs is None:
        problem = "needs lungs, and the mean of the lesion-free training images shows no two dark fields"
        raise GeneratorError(where, problem, remedy)
    return Lungs(ndimage.binary_fill_holes(lungs))


def _pair(dark: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the largest region in each half that touches no edge; None unless they are like two lungs."""
    number, _ = ndimage.label(dark)
    outer = np.unique(np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]]))
    middle = dark.shape[1] // 2
    largest = []
    for half in (number[:, :middle], number[:, middle:]):
        sizes = np.bincount(half.ravel(), minlength=number.max() + 1)
        sizes[outer] = 0
        sizes[0] = 0
        largest.append(int(sizes.argmax()) if sizes.any() else 0)
    first, second = largest
    if not first or not second or first == second:
        return None
    one, two = number == first, number == second
    areas, rows = sorted((one.sum(), two.sum())), (one.any(1), two.any(1))
    solid = all(part.sum() >= SOLID * part.any(1).sum() * part.any(0).sum() for part in (one, two))
    alike = areas[0] >= ALIKE * areas[1] and (rows[0] & rows[1]).sum() >= ALIKE * (rows[0] | rows[1]).sum()
    return (one, two) if solid and alike else None
