"""Inverse power laws f(n) = a - b n^-c through learning curves."""

import math
from dataclasses import dataclass

import numpy as np

EXPONENTS = (0.05, 3.0)
GRID, STEPS = 40, 60  # of the search for the exponent
GOLDEN = (math.sqrt(5) - 1) / 2
BEST = 1.0  # of every primary metric


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """B laws f(n) = a - b (n / scale)^-c, each parameter (B,); b >= 0, a <= 1."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    scale: float

    def at(self, images: float) -> np.ndarray:
        """Return the (B,) values at a number of images."""
        return np.asarray(self.a - self.b * (images / self.scale) ** -self.c)

    def images(self, value: np.ndarray) -> np.ndarray:
        """Return the (B,) numbers of images at which the laws reach a value; infinite where they never do."""
        missing = self.a - value
        reached = (missing > 0) & (self.b > 0)
        share = np.where(reached, self.b, 1.0) / np.where(reached, missing, 1.0)
        with np.errstate(over="ignore"):
            images = self.scale * share ** (1 / self.c)
        return np.where(reached, images, np.where(missing > 0, 0.0, np.inf))


def fit(sizes: np.ndarray, values: np.ndarray) -> PowerLaw:
    """Fit inverse power laws by least squares, with 0.05 <= c <= 3, b >= 0 and a <= 1.

    For a given exponent the law is linear in a and b, so the search is over the exponent alone: on a grid,
    then by golden section between the neighbors of the best.

    Args:
        sizes: (S,) numbers of images, at least three, the largest last.
        values: (B, S).
    Source: the form is that of Figueroa et al. 2012; variable projection after Golub and Pereyra 1973.
    """
    scale = float(sizes[-1])
    logs = np.log(np.asarray(sizes) / scale)
    grid = np.geomspace(*EXPONENTS, GRID)
    errors = np.stack([_linear(np.full(len(values), c), logs, values)[2] for c in grid], axis=1)
    best = errors.argmin(1)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, GRID - 1)]
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        nearer = _linear(left, logs, values)[2] <= _linear(right, logs, values)[2]
        low, high = np.where(nearer, low, left), np.where(nearer, right, high)
    c = (low + high) / 2
    a, b, _ = _linear(c, logs, values)
    return PowerLaw(a, b, c, scale)


def _linear(c: np.ndarray, logs: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the (B,) best a and b for given exponents, and the sum of squared residuals."""
    x = np.exp(-c[:, None] * logs)
    dx, dy = x - x.mean(1, keepdims=True), values - values.mean(1, keepdims=True)
    b = np.maximum(-(dx * dy).sum(1) / (dx**2).sum(1), 0)
    a = values.mean(1) + b * x.mean(1)
    bounded = np.maximum((x * (BEST - values)).sum(1) / (x**2).sum(1), 0)
    a, b = np.minimum(a, BEST), np.where(a > BEST, bounded, b)
    return a, b, ((values - a[:, None] + b[:, None] * x) ** 2).sum(1)
