"""Comparison of images in windows, by what distinguishes one patient from the others.

In every window the mean of the references is subtracted, and their principal components are scaled to equal
variance: what all patients share does not count, and what is rare counts most. Images of two patients then
have a cosine near 0, whatever the anatomy that they share.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.images.copies.appearance import SIDE

# side of the windows, distance between them (pixels), and principal components
SCALES = ((SIDE, SIDE, 40), (SIDE, SIDE, 100), (SIDE, SIDE, 250), (16, 8, 100), (12, 5, 64))
WHOLE = 3  # the first windows see the whole image, in coarse to fine detail
RIDGE = 1e-3  # of the largest variance


@dataclass(frozen=True, eq=False)
class Window:
    """A place, the mean (D,) of the references there, and the (D, K) projection."""

    rows: slice
    columns: slice
    mean: Tensor
    projection: Tensor

    @classmethod
    def learned(cls, references: Tensor, rows: slice, columns: slice, components: int) -> "Window":
        """Learn mean and projection from (N, 32, 32) references."""
        part = references[:, rows, columns].flatten(1)
        mean = part.mean(0)
        covariance = ((part - mean).T @ (part - mean)).double() / len(part)
        variance, axes = torch.linalg.eigh(covariance)
        variance, axes = variance.flip(0)[:components], axes.flip(1)[:, :components]
        scale = (variance.clamp_min(0) + RIDGE * variance[0].clamp_min(1e-9)).rsqrt()
        return cls(rows, columns, mean, (axes * scale).float())

    def vectors(self, frames: Tensor) -> Tensor:
        """Return the (N, K) vectors of length 1 of (N, 32, 32) frames."""
        return F.normalize((frames[:, self.rows, self.columns].flatten(1) - self.mean) @ self.projection)


def learned_windows(references: Tensor, count: int | None = None) -> list[Window]:
    """Learn the first ``count`` windows, or all, from (N, 32, 32) references."""
    return [
        Window.learned(references, slice(y, y + side), slice(x, x + side), components)
        for side, step, components in SCALES[:count]
        for y in range(0, SIDE - side + 1, step)
        for x in range(0, SIDE - side + 1, step)
    ]
