"""Joint distribution of findings: a Gaussian copula with one threshold per finding."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from benchmark.phantoms.radiograph.counter_rng import PATIENT, STUDY, normals

LEAST = 0.02  # eigenvalue, so that the matrix of published counts is positive definite


@dataclass(frozen=True, eq=False)
class FindingDistribution:
    """Correlated normal scores; a finding is present where its score exceeds a threshold.

    The patient contributes the share ``lasting`` of each score's variance and the examination the rest, so
    that repeated examinations of a patient resemble each other.

    Attributes:
        names: of the K findings.
        prevalence: (K,) share of the examinations, 0..1; it sets the thresholds.
        correlation: (K, K) of the scores; eigenvalues below ``LEAST`` are raised to it.
        lasting: share of the variance, 0..1.
    """

    names: tuple[str, ...]
    prevalence: np.ndarray
    correlation: np.ndarray
    lasting: float

    def present(self, seed: int, patient: np.ndarray, first_study: int) -> np.ndarray:
        """(N, K) bool for N examinations from number ``first_study``; ``patient`` is (N,), ascending."""
        from statsmodels.stats.correlation_tools import corr_clipped  # slow to import

        root = np.linalg.cholesky(corr_clipped(self.correlation, LEAST))
        width = len(self.names)
        low, high = (int(patient[0]), int(patient[-1]) + 1) if len(patient) else (0, 0)
        own = normals(seed, PATIENT, low, high - low, width) @ root.T
        score = np.sqrt(self.lasting) * own[patient - low]
        score += np.sqrt(1 - self.lasting) * (normals(seed, STUDY, first_study, len(patient), width) @ root.T)
        return np.asarray(score > -ndtri(self.prevalence))


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
