"""Thresholds of the copy detector at a stated false alarm rate, and intervals of the rate of copies."""

from dataclasses import dataclass

import numpy as np

ALPHA = 0.01  # share of real images of other patients that may count as copies
TOLERANCE = 5  # times the expected rate: above it, with certainty, a generator copies
CONFIDENCE = 0.95  # of the interval, two-sided
MARGIN = 0.05  # of the share above 1/2 of images nearest to a training patient that a generator may have
Z = 2.576  # standard errors of that share in a two-sided interval of 99 %


@dataclass(frozen=True)
class CopyRate:
    """The share of images that count as copies.

    Attributes:
        rate: from 0 to 1, of ``n`` images; ``interval`` (Clopper-Pearson, 95 %).
        expected: of images that are no copies.
        excess: the interval lies above ``TOLERANCE`` times the expected rate.
    """

    rate: float
    expected: float
    n: int
    interval: tuple[float, float]
    excess: bool

    @classmethod
    def of(cls, hits: int, n: int, expected: float) -> "CopyRate":
        """Return the rate of ``hits`` of ``n`` images."""
        interval = clopper_pearson(hits, n)
        return cls(hits / n, expected, n, interval, interval[0] > TOLERANCE * expected)


@dataclass(frozen=True)
class Nearness:
    """The share of images whose most similar real image is of a training patient.

    Attributes:
        share: of ``n`` images, 0 to 1; 1/2 of images that no training patient influenced.
        error: standard error over the pairs of patients.
        excess: the 99 % interval lies above 1/2 by more than ``MARGIN``.
    """

    share: float
    error: float
    n: int
    excess: bool

    @classmethod
    def of(cls, share: float, error: float, n: int) -> "Nearness":
        """Return the share with its verdict."""
        return cls(share, error, n, bool(share - Z * error > 0.5 + MARGIN))


def threshold(score: np.ndarray, weights: np.ndarray, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the threshold, and the expected rate of images of the same distribution above it.

    The threshold is the largest score down to which more than ``alpha`` of the weight lies, the rate is that
    weight: a new draw is above the k-th of n values with probability k / (n + 1). With fewer than 1 / alpha
    images the threshold is their maximum, and the expected rate is larger than alpha.

    Args:
        score: (N,) of images that are no copies.
        weights: (N,) of these images, summing to 1.
    """
    order = np.argsort(-score, kind="stable")
    reached = np.cumsum(weights[order])
    k = min(int(np.searchsorted(reached, alpha, side="right")), len(order) - 1)
    return float(score[order[k]]), float(reached[k])


def class_weights(labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return weights of images, summing to 1, that give the classes their shares in ``target``."""
    n = max(labels.max(), target.max()) + 1
    have, want = np.bincount(labels, minlength=n), np.bincount(target, minlength=n)
    weights = (want / np.maximum(have, 1))[labels]
    return weights / weights.sum()


def clopper_pearson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a share. Source: Clopper and Pearson 1934, Biometrika 26."""
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)
