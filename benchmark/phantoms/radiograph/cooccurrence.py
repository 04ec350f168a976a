"""Joint distribution of findings: a Gaussian copula with one threshold per finding."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmark.phantoms.radiograph.counter_rng import PATIENT, STUDY, normals


@dataclass(frozen=True, eq=False)
class FindingDistribution:
    """Correlated normal scores; a finding is present where its score exceeds a threshold.

    The patient contributes the share ``lasting`` of each score's variance and the examination the rest, so
    that repeated examinations of a patient resemble each other.

    Attributes:
        names: of the K findings.
        prevalence: (K,) share of the examinations, 0..1; it sets the thresholds.
        correlation: (K, K) of the scores, positive definite.
        lasting: share of the variance, 0..1.
    """

    names: tuple[str, ...]
    prevalence: np.ndarray
    correlation: np.ndarray
    lasting: float

    def present(self, seed: int, patient: np.ndarray, first_study: int) -> np.ndarray:
        """(N, K) bool for N examinations from number ``first_study``; ``patient`` is (N,), ascending."""
        root = np.linalg.cholesky(self.correlation)
        low, width = int(patient.min()), len(self.names)
        own = normals(seed, PATIENT, low, int(patient.max()) - low + 1, width) @ root.T
        score = np.sqrt(self.lasting) * own[patient - low]
        score += np.sqrt(1 - self.lasting) * (normals(seed, STUDY, first_study, len(patient), width) @ root.T)
        return np.asarray(score > -ndtri(self.prevalence))


def nearest_correlation(matrix: np.ndarray, smallest: float = 0.02) -> np.ndarray:
    """Positive definite correlation matrix near a symmetric one: eigenvalues clipped at ``smallest``."""
    values, vectors = np.linalg.eigh(matrix)
    clipped = (vectors * np.maximum(values, smallest)) @ vectors.T
    scale = np.sqrt(np.diag(clipped))
    return clipped / np.outer(scale, scale)


def correlation_for_pair(one: float, other: float, both: float) -> float:
    """Tetrachoric correlation: of two normal scores with given prevalences and joint prevalence.

    Args:
        one, other: prevalence of each finding, 0..1.
        both: share with both findings; an unreachable share gives -0.95 or 0.95.
    """
    from scipy.optimize import brentq  # slow to import
    from scipy.stats import multivariate_normal

    at = [float(ndtri(one)), float(ndtri(other))]  # by symmetry, the lower tail is as probable

    def excess(r: float) -> float:
        return float(multivariate_normal.cdf(at, cov=[[1, r], [r, 1]])) - both

    low, high = -0.95, 0.95
    if excess(low) >= 0 or excess(high) <= 0:
        return low if excess(low) >= 0 else high
    return float(brentq(excess, low, high, xtol=1e-3))
