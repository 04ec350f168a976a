"""Comparison of images in windows, by what distinguishes one patient from the others.

In every window the mean of the references is subtracted, and their principal components are scaled to equal
variance: what all patients share does not count, and what is rare counts most. Images of two patients then
have a cosine near 0, whatever the anatomy that they share.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.images.copies.appearance import SIDE

# side of the windows, distance between them (pixels), and numbers of principal components
SCALES = ((SIDE, SIDE, (40, 100, 250)), (16, 8, (100,)), (12, 5, (64,)))
WHOLE = 3  # the first windows see the whole image, in coarse to fine detail
RIDGE = 1e-3  # of the largest variance


@dataclass(frozen=True, eq=False)
class Window:
    """A place, the projection (D, K) of the D pixels there, and the (K,) projection of the mean image."""

    rows: slice
    columns: slice
    mean: Tensor
    projection: Tensor

    def vectors(self, frames: Tensor) -> Tensor:
        """Return the (N, K) vectors of length 1 of (N, 32, 32) frames."""
        part = frames[:, self.rows, self.columns].flatten(1)
        return F.normalize(torch.addmm(self.mean, part, self.projection, beta=-1))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name."""
        place = [self.rows.start, self.rows.stop, self.columns.start, self.columns.stop]
        return {
            "place": np.array(place),
            "mean": self.mean.numpy(),
            "projection": self.projection.numpy(),
        }

    @classmethod
    def of_arrays(cls, place: np.ndarray, mean: np.ndarray, projection: np.ndarray) -> "Window":
        """Return the window whose ``arrays`` are given."""
        top, bottom, left, right = map(int, place)
        projected = (torch.from_numpy(array) for array in (mean, projection))
        return cls(slice(top, bottom), slice(left, right), *projected)


def learned_windows(references: Tensor, whole: bool = False) -> list[Window]:
    """Learn all windows, or those that see the ``whole`` image, from (N, 32, 32) references."""
    return [
        window
        for side, step, components in SCALES[: 1 if whole else None]
        for y in range(0, SIDE - side + 1, step)
        for x in range(0, SIDE - side + 1, step)
        for window in _learned(references, slice(y, y + side), slice(x, x + side), components)
    ]


def _learned(references: Tensor, rows: slice, columns: slice, components: tuple[int, ...]) -> list[Window]:
    """Learn the windows of one place, one for each number of components."""
    part = references[:, rows, columns].flatten(1)
    mean = part.mean(0)
    covariance = ((part - mean).T @ (part - mean)).double() / len(part)
    variance, axes = torch.linalg.eigh(covariance)
    variance, axes = variance.flip(0), axes.flip(1)
    scale = (variance.clamp_min(0) + RIDGE * variance[0].clamp_min(1e-9)).rsqrt()
    projection = (axes * scale).float()
    return [
        Window(rows, columns, mean @ projection[:, :count], projection[:, :count].contiguous())
        for count in components
    ]
