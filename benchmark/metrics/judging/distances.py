"""FID and KID of weighted images, so that a bootstrap over patients need not draw any image twice."""

from dataclasses import dataclass

import numpy as np

Weights = np.ndarray | None


def weighted_fid(
    real: np.ndarray, fake: np.ndarray, of_real: Weights = None, of_fake: Weights = None
) -> float:
    """Return the Fréchet distance of ``metrics.fid`` with images counted as often as their weights say.

    The trace of the root of the product of two covariances is the nuclear norm of the product of their
    centered images, which is smaller than the covariances where images are fewer than features.

    Args:
        real, fake: (N, D) and (M, D) float64 features.
        of_real, of_fake: (N,) and (M,) counts; None counts every image once.
    """
    (a, mean_a), (b, mean_b) = _centered(real, of_real), _centered(fake, of_fake)
    if min(len(a), len(b)) <= a.shape[1]:
        shared = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    else:
        root = _root(a.T @ a)
        shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ (b.T @ b) @ root), 0, None)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + (a**2).sum() + (b**2).sum() - 2 * shared)


def _centered(features: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose product with themselves is the covariance, and the mean."""
    count = np.ones(len(features)) if weights is None else weights.astype(np.float64)
    mean = count @ features / count.sum()
    return (features - mean) * np.sqrt(count / (count.sum() - 1))[:, None], mean


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    root: np.ndarray = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


@dataclass(frozen=True, eq=False)
class Kernels:
    """The cubic kernel of all pairs of images, for the KID of any weights.

    Attributes:
        real, fake, both: (N, N), (M, M) and (N, M).
    """

    real: np.ndarray
    fake: np.ndarray
    both: np.ndarray

    @classmethod
    def of(cls, real: np.ndarray, fake: np.ndarray) -> "Kernels":
        """Return the kernels of (N, D) and (M, D) float64 features."""
        return cls(_kernel(real, real), _kernel(fake, fake), _kernel(real, fake))

    def kid(self, of_real: Weights = None, of_fake: Weights = None) -> float:
        """Return the KID of ``metrics.kid``; no image is paired with itself, however often it counts."""
        a = np.ones(len(self.real)) if of_real is None else of_real.astype(np.float64)
        b = np.ones(len(self.fake)) if of_fake is None else of_fake.astype(np.float64)
        cross = a @ self.both @ b / (a.sum() * b.sum())
        return float(_within(self.real, a) + _within(self.fake, b) - 2 * cross)


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel


def _within(kernel: np.ndarray, weights: np.ndarray) -> float:
    pairs = weights.sum() ** 2 - (weights**2).sum()
    return float((weights @ kernel @ weights - (weights**2) @ np.diag(kernel)) / pairs)
