"""Metrics of weighted images, vectorized over many weightings.

``weight`` is (B, n), non-negative: B weightings of the same n images, for example how often each image occurs
in each of B bootstrap resamples. A weight of 2 is equivalent to two copies of the image. All results have B
values; a metric that is not defined under a weighting (a class without weight) is NaN. Fastest if
``weight.T`` is contiguous. Equal to scikit-learn with ``sample_weight``, which takes one weighting at a time
and would need minutes for 1000 resamples of every metric, class, row and run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SPECIFICITY = 0.9  # of the sensitivity at a fixed specificity
BINS = 15  # of equal width, of the expected calibration error
ROUNDING = 1e-9  # of sums of weights, relative


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """``top / bottom``, NaN where the bottom is 0."""
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.divide(top, bottom, out=out, where=np.asarray(bottom) > 0)


@dataclass(frozen=True, eq=False)
class Counts:
    """Total weight of images by class, each (B, K)."""

    correct: np.ndarray  # images of the class that are predicted as it
    predicted: np.ndarray  # images predicted as the class
    actual: np.ndarray  # images of the class
    total: np.ndarray  # (B, 1) all images

    @property
    def precision(self) -> np.ndarray:
        """(B, K) correct / predicted, 0 to 1; 0 if a class with images is never predicted."""
        return np.where(self.actual > 0, np.nan_to_num(ratio(self.correct, self.predicted)), np.nan)

    @property
    def recall(self) -> np.ndarray:
        """(B, K) correct / actual (sensitivity), 0 to 1."""
        return ratio(self.correct, self.actual)

    @property
    def f1(self) -> np.ndarray:
        """(B, K) 2 correct / (predicted + actual), 0 to 1; NaN for a class without images."""
        return np.where(self.actual > 0, ratio(2 * self.correct, self.predicted + self.actual), np.nan)

    @property
    def accuracy(self) -> np.ndarray:
        """(B,) share of correct predictions, 0 to 1; of single-label tasks."""
        return ratio(self.correct.sum(1), self.total[:, 0])

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """(B,) mean recall over the classes, 0 to 1."""
        return self.recall.mean(1)

    @property
    def cohen_kappa(self) -> np.ndarray:
        """(B,) agreement beyond chance, -1 to 1, of single-label tasks (Cohen 1960, unweighted)."""
        expected = ratio((self.actual * self.predicted).sum(1), self.total[:, 0] ** 2)
        return ratio(self.accuracy - expected, 1 - expected)


def counts(actual: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> Counts:
    """Sum the (B, n) weights by class, of (n, K) bool labels and predictions."""
    columns = np.hstack([actual & predicted, predicted, actual]).astype(np.float64)
    sums = np.split(weight @ columns, 3, axis=1)
    return Counts(sums[0], sums[1], sums[2], weight.sum(1, keepdims=True))


def _sums(code: np.ndarray, values: np.ndarray, size: int) -> csr_array:
    """(size, n) matrix whose product with (n, B) weights sums ``values`` by code; -1 is ignored."""
    from scipy.sparse import csr_array

    order = np.argsort(code, kind="stable")[np.count_nonzero(code < 0) :]
    starts = np.concatenate([[0], np.cumsum(np.bincount(code[order], minlength=size))])
    return csr_array((values[order].astype(np.float64), order, starts), shape=(size, len(code)))


def _accumulate(values: np.ndarray) -> np.ndarray:
    """Cumulative sums over the first axis, in place; several times as fast as ``cumsum`` for wide arrays."""
    for previous, following in pairwise(values):
        following += previous
    return values


@dataclass(frozen=True, eq=False)
class RankedClass:
    """ROC and precision-recall curves of one class against the rest, sorted once for all weightings.

    The curves rise only at scores of images of the class, so only these G scores, from the highest, are
    thresholds; images of equal score pass a threshold together.
    """

    actual: np.ndarray  # (n,) bool
    score: np.ndarray  # (n,), higher is more likely

    @cached_property
    def _matrices(self) -> tuple[csr_array, csr_array, csr_array]:
        """Sums of weights by step: of the class, of the others since the previous step, and tied with it."""
        steps = np.unique(self.score[self.actual])
        size = len(steps)
        below = np.searchsorted(steps, self.score, side="right")
        passed = size - below  # index of the first step at or below a score
        tied = np.append(-np.inf, steps)[below] == self.score
        others = ~self.actual & (passed < size)
        one = np.ones(len(self.score))
        return (
            _sums(np.where(self.actual, passed, -1), one, size),
            _sums(np.where(others, passed, -1), one, size),
            _sums(np.where(others & tied, passed, -1), one, size),
        )

    def areas(self, weight: np.ndarray, specificity: float = SPECIFICITY) -> dict[str, np.ndarray]:
        """``auroc``, ``auprc`` and ``sensitivity_at_specificity``, each (B,), 0 to 1.

        - AUROC: the weight of correctly ordered pairs, ties counting half, over that of all pairs (Mann and
          Whitney 1947); 0.5 at chance.
        - AUPRC: average precision, the sum over the steps of the gain in recall times the precision,
          without interpolation; at chance the share of the class.
        - Sensitivity: the largest among the thresholds whose specificity is at least the given one, where a
          threshold lies between two different scores; 0 if too many others share the highest score.

        Args:
            weight: (B, n).
            specificity: 0 to 1.
        """
        of_class, others, tied = self._matrices
        inside = weight @ self.actual.astype(np.float64)
        outside = weight.sum(1) - inside
        columns = np.ascontiguousarray(weight.T)
        gain, ties = of_class @ columns, tied @ columns
        false = _accumulate(others @ columns)
        misordered = np.einsum("gb,gb->b", gain, false) - np.einsum("gb,gb->b", gain, ties) / 2
        true = _accumulate(gain.copy())
        either = true + false
        precision = np.divide(true, either, out=np.zeros_like(true), where=either > 0)
        allowed = false <= (1 - specificity + ROUNDING) * outside
        pairs = np.where(outside > 0, inside, 0)
        return {
            "auroc": 1 - ratio(misordered, inside * outside),
            "auprc": np.where(pairs > 0, ratio(np.einsum("gb,gb->b", gain, precision), pairs), np.nan),
            "sensitivity_at_specificity": ratio(np.where(allowed, true, 0).max(0, initial=0), pairs),
        }


def brier(outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) mean squared error of the probabilities; lower is better.

    Args:
        outcome: (n,) 0 or 1 of one class, for a score from 0 to 1; or (n, K) one-hot, summed over the
            classes for Brier's original form, from 0 to 2.
        probability: of the same shape, 0 to 1.
        weight: (B, n).
    Source: Brier 1950; as scikit-learn's ``brier_score_loss``, which has both forms too.
    """
    error = (probability - outcome) ** 2
    return ratio(weight @ (error if error.ndim == 1 else error.sum(1)), weight.sum(1))


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(n,) index m of the bin (m / bins, (m + 1) / bins] of each confidence; 0 is in the first."""
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, confidence, side="left")


def calibration_error(
    confidence: np.ndarray, outcome: np.ndarray, weight: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """(B,) expected calibration error, 0 to 1; lower is better.

    Mean over bins of equal width, weighted by the images in them, of abs(accuracy - mean confidence).

    Args:
        confidence: (n,) of the predicted class, or of one class; 0 to 1.
        outcome: (n,) bool, whether the prediction is correct.
        weight: (B, n).
    Source: Guo et al. 2017, section 2, equation 3, with 15 bins.
    """
    gap = _sums(bin_of(confidence, bins), outcome - confidence, bins) @ weight.T
    return ratio(np.abs(gap).sum(0), weight.sum(1))
