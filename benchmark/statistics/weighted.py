"""Figures of merit of weighted images, for many weightings at once.

``weight`` is (B, n), non-negative: B weightings of the same n images, for example how often each image is in
each of B bootstrap resamples. An integer weight is the same as that many copies of the image. All results
have B values; a figure that is not defined under a weighting (a class without weight) is NaN there, and never
a number by convention. Fastest where ``weight.T`` is contiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SPECIFICITY = 0.9  # at which sensitivity is read off the ROC curve
BINS = 15  # of equal width, of the expected calibration error
ROUNDING = 1e-9  # of sums of weights, relative


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """``top / bottom``, NaN where the bottom is 0."""
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    return np.divide(top, bottom, out=out, where=np.asarray(bottom) > 0)


@dataclass(frozen=True, eq=False)
class Counts:
    """Weight of the images that are found, predicted and labeled as each class: each (B, K).

    Attributes:
        hit: predicted as the class and of it.
        said: predicted as the class.
        actual: of the class.
        total: (B, 1) all.
    """

    hit: np.ndarray
    said: np.ndarray
    actual: np.ndarray
    total: np.ndarray

    @property
    def precision(self) -> np.ndarray:
        """(B, K) hit / said, 0 to 1; 0 where a class that is there is never predicted."""
        return np.where(self.actual > 0, np.nan_to_num(ratio(self.hit, self.said)), np.nan)

    @property
    def recall(self) -> np.ndarray:
        """(B, K) hit / actual (sensitivity), 0 to 1."""
        return ratio(self.hit, self.actual)

    @property
    def f1(self) -> np.ndarray:
        """(B, K) 2 hit / (said + actual), 0 to 1; NaN where the class is not there."""
        return np.where(self.actual > 0, ratio(2 * self.hit, self.said + self.actual), np.nan)

    @property
    def accuracy(self) -> np.ndarray:
        """(B,) share of the images whose one class is found, 0 to 1; for one class an image."""
        return ratio(self.hit.sum(1), self.total[:, 0])

    @property
    def balanced_accuracy(self) -> np.ndarray:
        """(B,) mean recall of the classes, 0 to 1."""
        return self.recall.mean(1)

    @property
    def cohen_kappa(self) -> np.ndarray:
        """(B,) agreement beyond chance, -1 to 1, of one class an image.

        Source: Cohen 1960, unweighted.
        """
        expected = ratio((self.actual * self.said).sum(1), self.total[:, 0] ** 2)
        return ratio(self.accuracy - expected, 1 - expected)


def counts(actual: np.ndarray, said: np.ndarray, weight: np.ndarray) -> Counts:
    """Count by class.

    Args:
        actual, said: (n, K) bool, which classes an image has and which are predicted.
        weight: (B, n).
    """
    k = actual.shape[1]
    columns = np.hstack([actual & said, said, actual]).astype(np.float64)
    found = weight @ columns
    return Counts(found[:, :k], found[:, k : 2 * k], found[:, 2 * k :], weight.sum(1, keepdims=True))


def _sums(code: np.ndarray, values: np.ndarray, size: int) -> csr_array:
    """(size, n) whose product with (n, B) weights sums ``values`` by code; codes below 0 are left out."""
    from scipy.sparse import csr_array

    order = np.argsort(code, kind="stable")[np.count_nonzero(code < 0) :]
    starts = np.concatenate([[0], np.cumsum(np.bincount(code[order], minlength=size))])
    return csr_array((values[order].astype(np.float64), order, starts), shape=(size, len(code)))


def _accumulate(rows: np.ndarray) -> np.ndarray:
    """Running sums over the first axis, in place; several times as fast as ``cumsum`` for wide rows."""
    for above, below in pairwise(rows):
        below += above
    return rows


@dataclass(frozen=True, eq=False)
class RankedClass:
    """The ROC and precision-recall curves of one class against the rest, sorted once for all weightings.

    The curves rise only at scores that some image of the class has, so these G scores, from the highest, are
    all that is looked at; images of equal score pass the threshold together.

    Args:
        actual: (n,) bool.
        score: (n,), higher is more likely.
    """

    actual: np.ndarray
    score: np.ndarray

    @cached_property
    def _matrices(self) -> tuple[csr_array, csr_array, csr_array]:
        """Sums of weights by step: of the class, of the others since the step before, and tied with it."""
        steps = np.unique(self.score[self.actual])
        size = len(steps)
        below = np.searchsorted(steps, self.score, side="right")
        passed = size - below  # the first step at or below a score
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

        - AUROC: the weight of pairs that are ordered rightly, ties counting half, of all pairs (Mann and
          Whitney 1947); 0.5 at chance.
        - AUPRC: average precision, the sum over the steps of the gain in recall times the precision there,
          without interpolation; at chance the share of the class.
        - Sensitivity: the largest among the thresholds whose specificity is at least the one asked for, where
          a threshold lies between two scores that differ; so 0 where the highest score has too many others.

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


def auroc(actual: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) area under the ROC curve of one class, see ``RankedClass.areas``."""
    return RankedClass(actual, score).areas(weight)["auroc"]


def auprc(actual: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) average precision of one class, see ``RankedClass.areas``."""
    return RankedClass(actual, score).areas(weight)["auprc"]


def sensitivity_at(
    actual: np.ndarray, score: np.ndarray, weight: np.ndarray, specificity: float = SPECIFICITY
) -> np.ndarray:
    """(B,) sensitivity at a fixed specificity of one class, see ``RankedClass.areas``."""
    return RankedClass(actual, score).areas(weight, specificity)["sensitivity_at_specificity"]


def brier(outcome: np.ndarray, probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) mean over images of the squared error of the probabilities; lower is better.

    Args:
        outcome: (n,) 0 or 1 of one class: 0 to 1, the form for two classes; or (n, K): the sum over the
            classes of one-of-K outcomes, 0 to 2, Brier's original form, for more than two.
        probability: of the same shape, 0 to 1.
        weight: (B, n).
    Source: Brier 1950; as scikit-learn's ``brier_score_loss``, which changes the form likewise.
    """
    error = (probability - outcome) ** 2
    return ratio(weight @ (error if error.ndim == 1 else error.sum(1)), weight.sum(1))


def bin_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """(n,) the bin ((m - 1) / bins, m / bins] of each confidence, from 0; 0 itself is in the first."""
    edges = np.arange(1, bins) / bins
    return np.searchsorted(edges, confidence, side="left")


def calibration_error(
    confidence: np.ndarray, outcome: np.ndarray, weight: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """(B,) expected calibration error, 0 to 1; lower is better.

    The mean over bins of equal width, weighted by the images in them, of the distance between the share that
    comes true and the mean confidence.

    Args:
        confidence: (n,) of the predicted class, or of one finding; 0 to 1.
        outcome: (n,) whether it came true.
        weight: (B, n).
    Source: Guo et al. 2017, section 2, equation 3, with 15 bins.
    """
    gap = _sums(bin_of(confidence, bins), outcome - confidence, bins) @ weight.T
    return ratio(np.abs(gap).sum(0), weight.sum(1))
