"""Density and coverage: fidelity and diversity by the neighborhoods of real images.

Source: Naeem et al. 2020, arXiv:2002.09797, equations 3 and 4, with the paper's 5 neighbors.
"""

import numpy as np

NEIGHBORS = 5


def neighborhoods(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Return whether (M, D) synthetic features lie in the neighborhoods of (N, D) real ones, as (N, M).

    The neighborhood of a real image reaches to its fifth nearest real image, or to the farthest of fewer.
    """
    own = _distances(real, real)
    np.fill_diagonal(own, np.inf)
    k = min(NEIGHBORS, len(real) - 1)
    radius = np.partition(own, k - 1, axis=1)[:, k - 1]
    inside: np.ndarray = _distances(real, fake) <= radius[:, None]
    return inside


def density_parts(inside: np.ndarray, neighbors: int = NEIGHBORS) -> np.ndarray:
    """Return (M,) values whose mean is the density: 1 in expectation for images of the same distribution."""
    return np.asarray(inside.sum(0) / min(neighbors, len(inside) - 1))


def coverage_parts(inside: np.ndarray) -> np.ndarray:
    """Return (N,) values whose mean is the coverage: the share of real images with a synthetic neighbor."""
    return np.asarray(inside.any(1), np.float64)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    return np.clip(squares, 0, None)
