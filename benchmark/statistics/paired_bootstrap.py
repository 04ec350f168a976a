"""Paired bootstrap by patient of any metric: both rows see the same resamples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics import bootstrap
from benchmark.statistics.bootstrap import Replicates, Resamples
from benchmark.statistics.metrics import members

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
    """The difference of a metric between two sets of scores of the same images, with its interval.

    Patients are drawn with replacement, all images of one together. As in ``bootstrap.draws``, the
    bootstrap's own bias is taken out and the draws are widened for few patients.

    Args:
        statistic: (label, scores, weight) to a number; weights are counts (n,), as scikit-learn's
            ``sample_weight``. NaN where it is not defined.
        label: (n,) class index, or (n, K) 0 or 1.
        a, b: (n, ...) scores or predictions, whatever the statistic takes.
        patient: (n,) labels.
        replicates, seed: of the resamples; the same give the same result.
        alpha: of the interval of level 1 - alpha.
        vectorized: the statistic takes weights (B, n) and gives (B,), as those of ``weighted`` do.
        every_class: leave out resamples that lack a class, or all but a class. Metrics that average over
            classes need it, since scikit-learn's quietly average over the classes that are there.
    Returns:
        ``a``, ``b`` and ``difference`` a - b as the images are; ``low``, ``high``; ``p``, two-sided: the
        level at which the interval would reach 0, no less than 2 / (replicates + 1); ``se``, the spread of
        the resamples; ``replicates``; ``left_out``, those in which a class or the statistic is missing;
        ``patients`` behind it: those with, or without, the rarest class; and ``reason``: where more than
        5 % are left out or the statistic is not defined, there is no interval, and this says why.
    Raises:
        MetricError: fewer than two patients, or arrays of different length.
    Source: Efron and Tibshirani 1993, chapters 8 and 13; clustered as in Field and Welsh 2007.
    """
    if not len(label) == len(a) == len(b) == len(patient):
        raise MetricError("bootstrap", "labels, scores and patients differ in length", "Give one per image.")
    resamples = Resamples(patient, replicates, seed)
    figures = _paired(statistic, label, a, b, vectorized)
    whole = figures(np.ones((1, len(label))))[:, 0]
    drawn = np.concatenate([_lacking(figures, w, label, every_class) for w in resamples.weights()], axis=1)
    found = Replicates(whole[:1, None] - whole[1:, None], (drawn[0] - drawn[1])[None, :, None])
    behind = _behind(label, patient) if every_class else len(np.unique(patient))
    left_out = int((~np.isfinite(found.drawn)).sum())
    return {
        "a": _number(whole[0]),
        "b": _number(whole[1]),
        "difference": _number(whole[0] - whole[1]),
        **_judged(found, resamples, behind, alpha, left_out),
        "replicates": replicates,
        "left_out": left_out,
        "patients": behind,
    }


def _paired(
    statistic: Statistic, label: np.ndarray, a: np.ndarray, b: np.ndarray, vectorized: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """From (B, n) weights to (2, B): the statistic of a and of b."""
    if vectorized:
        return lambda weight: np.array([statistic(label, scores, weight) for scores in (a, b)], dtype=float)
    return lambda weight: np.array(
        [[statistic(label, scores, np.ascontiguousarray(w)) for w in weight] for scores in (a, b)],
        dtype=float,
    )


def _lacking(
    figures: Callable[[np.ndarray], np.ndarray], weight: np.ndarray, label: np.ndarray, every_class: bool
) -> np.ndarray:
    """(2, b) the figures of some resamples, NaN where one lacks a class; the statistic never sees these."""
    keep = np.full(len(weight), True)
    if every_class:
        for side in _sides(label):
            keep &= weight @ side > 0
    drawn = np.full((2, len(weight)), np.nan)
    if keep.any():
        drawn[:, keep] = figures(weight[keep])
    return drawn


def _judged(
    found: Replicates, resamples: Resamples, behind: int, alpha: float, left_out: int
) -> dict[str, Any]:
    """Interval, p value and spread, or why there are none."""
    low, high = bootstrap.bounds(found, resamples, None, np.array([behind]), alpha)
    if not np.isfinite(low[0]):
        undefined = not np.isfinite(found.estimate).all()
        share = f"{left_out / resamples.replicates:.0%} of the resamples lack a class or the metric"
        reason = "the metric is not defined" if undefined else share
        return {"low": None, "high": None, "se": None, "p": None, "reason": reason}
    widened = np.array([bootstrap.widening(max(behind, 2), alpha)])
    draws = bootstrap.draws(found, resamples, None, widened=widened)[:, 0]
    fewer = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return {
        "low": float(low[0]),
        "high": float(high[0]),
        "se": float(np.nanstd(found.drawn, ddof=1)),
        "p": float(min(1.0, 2 * (fewer + 1) / (len(draws) + 1))),
        "reason": None,
    }


def _sides(label: np.ndarray) -> list[np.ndarray]:
    """(n,) of each class: the images with it, and those without it; without empty sides."""
    classes = range(label.shape[1]) if label.ndim == 2 else np.unique(label)
    inside = [members(label, k) for k in classes]
    return [side.astype(float) for one in inside for side in (one, ~one) if side.any()]


def _behind(label: np.ndarray, patient: np.ndarray) -> int:
    """Patients of the smallest side of a class."""
    return min(len(np.unique(patient[side > 0])) for side in _sides(label))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
