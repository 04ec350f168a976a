"""Paired bootstrap by patient of any metric: both sets of scores see the same resamples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics import bootstrap
from benchmark.statistics.bootstrap import Replicates, Resamples
from benchmark.statistics.metrics import members
from benchmark.statistics.sides import FEWEST

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]


def paired_bootstrap(
    statistic: Statistic,
    label: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    patient: np.ndarray,
    replicates: int = bootstrap.REPLICATES,
    seed: int = bootstrap.SEED,
    alpha: float = 0.05,
    *,
    vectorized: bool = False,
    every_class: bool = True,
) -> dict[str, Any]:
    """Difference of a metric between two sets of scores of the same images, with its interval.

    Patients are resampled with replacement, all images of one together. As in ``bootstrap.draws``, the bias
    of the bootstrap is removed and the draws are widened for few patients.

    Args:
        statistic: function of label, scores and weight, as scikit-learn's ``sample_weight``: counts (n,).
            Returns a number, NaN if it is not defined.
        label: (n,) class index, or (n, K) 0 or 1.
        a, b: (n, ...) scores or predictions, as the statistic expects them.
        patient: (n,) labels.
        replicates, seed, alpha: number and seed of the resamples; 1 - level of the interval.
        vectorized: the statistic takes weights (B, n) and returns (B,), as those of ``weighted`` do.
        every_class: drop resamples that lack a class, or all other classes. Needed by metrics that average
            over classes, since scikit-learn averages over the classes present without warning.
    Returns:
        ``a``, ``b`` and ``difference`` a - b of the original images; ``low``, ``high``; ``p``, two-sided: the
        level at which the interval reaches 0, at least 2 / (replicates + 1); ``se``, the standard deviation
        of the resamples; ``replicates``; ``left_out``, the number of resamples without a class or without
        the statistic; ``patients``, the effective number: those with, or without, the rarest class; and
        ``reason`` why there is no interval: the statistic is undefined, fewer than ``FEWEST`` patients
        support it, more than 5 % are left out, or no resample differs.
    Raises:
        MetricError: fewer than two patients, or arrays of different length.
    Source: Efron and Tibshirani 1993, chapters 8 and 13; clustered as in Field and Welsh 2007.
    """
    if not len(label) == len(a) == len(b) == len(patient):
        raise MetricError("bootstrap", "labels, scores and patients differ in length", "Give one per image.")
    resamples = Resamples(patient, replicates, seed)
    sides = _sides(label) if every_class else []

    def values(weight: np.ndarray) -> np.ndarray:
        return np.array([_values(statistic, label, scores, weight, sides, vectorized) for scores in (a, b)])

    whole = values(np.ones((1, len(label))))[:, 0]
    drawn = np.concatenate([values(w) for w in resamples.weights()], axis=1)
    difference = Replicates(whole[:1, None] - whole[1:, None], (drawn[0] - drawn[1])[None, :, None])
    patients = min((len(np.unique(patient[s > 0])) for s in sides), default=len(np.unique(patient)))
    left_out = int((~np.isfinite(difference.drawn)).sum())
    estimates = zip(("a", "b", "difference"), (*whole, whole[0] - whole[1]), strict=True)
    return {
        **{name: float(v) if np.isfinite(v) else None for name, v in estimates},
        **_inference(difference, resamples, patients, alpha, left_out),
        "replicates": replicates, "left_out": left_out, "patients": patients,
    }  # fmt: skip


def _values(
    statistic: Statistic,
    label: np.ndarray,
    scores: np.ndarray,
    weight: np.ndarray,
    sides: Sequence[np.ndarray],
    vectorized: bool,
) -> np.ndarray:
    """(B,) statistic under (B, n) weights; NaN, without calling it, where one of the sides has no weight."""
    result = np.full(len(weight), np.nan)
    complete = np.full(len(weight), True)
    for side in sides:
        complete &= weight @ side > 0
    if vectorized and complete.any():
        result[complete] = statistic(label, scores, weight[complete])
    elif not vectorized:
        result[complete] = [statistic(label, scores, np.ascontiguousarray(w)) for w in weight[complete]]
    return result


def _inference(
    difference: Replicates, resamples: Resamples, patients: int, alpha: float, left_out: int
) -> dict[str, Any]:
    """Interval, p-value and standard error, or the reason why there are none."""
    low, high = bootstrap.bounds(difference, resamples, None, np.array([patients]), alpha)
    if not np.isfinite(low[0]):
        reason = "no resample differs"
        if not np.isfinite(difference.estimate).all():
            reason = "the metric is not defined"
        elif patients < FEWEST:
            reason = f"fewer than {FEWEST} patients with, or without, a class"
        elif left_out > bootstrap.MOST_EMPTY * resamples.replicates:
            reason = f"{left_out / resamples.replicates:.0%} of the resamples lack a class or the metric"
        return {"low": None, "high": None, "se": None, "p": None, "reason": reason}
    widened = np.array([bootstrap.widening(max(patients, 2), alpha)])
    draws = bootstrap.draws(difference, resamples, None, widened=widened)[:, 0]
    fewer = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return {
        "low": float(low[0]),
        "high": float(high[0]),
        "se": float(np.nanstd(difference.drawn, ddof=1)),
        "p": float(min(1.0, 2 * (fewer + 1) / (len(draws) + 1))),
        "reason": None,
    }


def _sides(label: np.ndarray) -> list[np.ndarray]:
    """(n,) masks of the images with, and of those without, each class; without empty ones."""
    classes = range(label.shape[1]) if label.ndim == 2 else np.unique(label)
    inside = [members(label, k) for k in classes]
    return [side.astype(float) for one in inside for side in (one, ~one) if side.any()]
