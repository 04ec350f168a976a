"""Agreement between readers beyond chance: weighted kappa and Krippendorff's alpha, with intervals.

Both are ratios of sums over images, so the images of a study are resampled by weighting them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.bootstrap import MOST_EMPTY, REPLICATES, SEED
from benchmark.statistics.weighted import ratio

KAPPA_WEIGHTS = ("nominal", "linear", "quadratic")
LEVELS = ("nominal", "ordinal", "interval")
Record = dict[str, Any]


def weighted_kappa(
    ratings: np.ndarray, scale: tuple[float, ...], weights: str, *, alpha: float = 0.05, seed: int = SEED
) -> Record:
    """Cohen's kappa of two readers; of more, the mean over the pairs that share images.

    1 minus the ratio of the observed to the chance disagreement; a disagreement of i steps on the scale
    counts 1 (``nominal``), i (``linear``) or i squared (``quadratic``).

    Args:
        ratings: (readers, images), NaN where a reader did not rate an image.
        scale: all values that the scale has, in order.
        weights: ``nominal``, ``linear`` or ``quadratic``.
        alpha: of the percentile interval over resampled images.
        seed: of the resamples.
    Returns:
        ``estimate`` from -1 to 1 (1 is perfect, 0 is chance), ``low``, ``high``, ``images`` rated by at
        least two readers, ``readers``, ``pairs`` of ``{a, b, estimate, images}`` with the readers' places,
        and ``reason`` why there is no estimate or no interval, or None.
    Raises:
        MetricError: a rating that is not on the scale, or an unknown weighting.
    Source: Cohen 1968; the mean over pairs as Light 1971.
    """
    code = _on_scale(ratings, scale)
    if weights not in KAPPA_WEIGHTS:
        raise MetricError("kappa", f"'{weights}' is no weighting", f"Known: {', '.join(KAPPA_WEIGHTS)}.")
    steps = np.abs(np.subtract.outer(np.arange(len(scale)), np.arange(len(scale)))).astype(float)
    cost = {"nominal": (steps > 0).astype(float), "linear": steps, "quadratic": steps**2}[weights]
    both = [(a, b, (code[a] >= 0) & (code[b] >= 0)) for a, b in combinations(range(len(code)), 2)]
    pairs = [(a, b, shared) for a, b, shared in both if shared.any()]

    def of_pair(a: int, b: int, shared: np.ndarray, weight: np.ndarray) -> np.ndarray:
        first, second = np.eye(len(scale))[code[a, shared]], np.eye(len(scale))[code[b, shared]]
        weight = weight[:, shared]
        observed = weight @ cost[code[a, shared], code[b, shared]]
        chance = np.einsum("bi,ij,bj->b", weight @ first, cost, weight @ second)
        return 1 - ratio(observed * weight.sum(1), chance)

    def mean(weight: np.ndarray) -> np.ndarray:
        return np.mean([of_pair(a, b, shared, weight) for a, b, shared in pairs], axis=0)

    found = _with_interval(mean if pairs else None, code, alpha, seed)
    one = np.ones((1, code.shape[1]))
    return {**found, "pairs": [_pair(a, b, s, float(of_pair(a, b, s, one)[0])) for a, b, s in pairs]}


def _pair(a: int, b: int, shared: np.ndarray, kappa: float) -> Record:
    estimate = kappa if np.isfinite(kappa) else None
    return {"a": a, "b": b, "estimate": estimate, "images": int(shared.sum())}


def krippendorff_alpha(
    ratings: np.ndarray, scale: tuple[float, ...], level: str, *, alpha: float = 0.05, seed: int = SEED
) -> Record:
    """Krippendorff's alpha of any number of readers, with ratings missing anywhere.

    1 minus the ratio of observed to expected disagreement over the pairs of ratings within images. Images
    with a single rating do not count.

    Args:
        ratings, scale, alpha, seed: as in ``weighted_kappa``.
        level: what a disagreement of the values c and k counts: ``nominal`` 1, ``interval`` (c - k)
            squared, ``ordinal`` the square of the ratings between them, the ends counting half.
    Returns:
        ``estimate`` (1 is perfect, 0 is chance), ``low``, ``high``, ``images``, ``readers``, ``reason``.
    Raises:
        MetricError: a rating that is not on the scale, or an unknown level.
    Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability".
    """
    code = _on_scale(ratings, scale)
    if level not in LEVELS:
        raise MetricError("alpha", f"'{level}' is no level of measurement", f"Known: {', '.join(LEVELS)}.")
    counts = np.stack([(code == k).sum(0) for k in range(len(scale))], axis=1).astype(float)
    rated = counts.sum(1)
    kept = np.where(rated >= 2, rated, np.inf)[:, None, None]
    within = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(scale))
    coincidence = (within / (kept - 1)).reshape(len(counts), -1)

    def estimate(weight: np.ndarray) -> np.ndarray:
        joint = (weight @ coincidence).reshape(-1, len(scale), len(scale))
        total = joint.sum(2)
        n = total.sum(1)
        cost = _disagreement(total, np.asarray(scale, dtype=float), level)
        expected = np.einsum("bi,bij,bj->b", total, cost, total)
        return 1 - ratio((joint * cost).sum((1, 2)) * (n - 1), expected)

    return _with_interval(estimate if (rated >= 2).any() else None, code, alpha, seed)


def _disagreement(total: np.ndarray, scale: np.ndarray, level: str) -> np.ndarray:
    """(B, V, V) what each pair of values counts, where ``total`` (B, V) is how often each is given."""
    if level == "ordinal":  # ratings from c to k, the ends counting half
        middle = np.cumsum(total, axis=1) - total / 2
        return np.asarray((middle[:, :, None] - middle[:, None, :]) ** 2)
    steps = np.subtract.outer(scale, scale)
    cost = (steps != 0).astype(float) if level == "nominal" else steps**2
    return np.broadcast_to(cost, (len(total), *cost.shape))


def _on_scale(ratings: np.ndarray, scale: tuple[float, ...]) -> np.ndarray:
    """(readers, images) place of each rating on the scale; -1 where there is none."""
    code = np.full(ratings.shape, -1)
    for k, value in enumerate(scale):
        code[ratings == value] = k
    wrong = ~np.isnan(ratings) & (code < 0)
    if wrong.any():
        raise MetricError(
            "agreement", f"{ratings[wrong][0]:g} is not on the scale {', '.join(f'{v:g}' for v in scale)}"
        )
    return code


def _with_interval(
    statistic: Callable[[np.ndarray], np.ndarray] | None, code: np.ndarray, alpha: float, seed: int
) -> Record:
    """The statistic of the images as they are, and the quantiles of it over resampled images."""
    rated = (code >= 0).sum(0) >= 2
    images, readers = int(rated.sum()), int((code >= 0).any(1).sum())
    found: Record = {"estimate": None, "low": None, "high": None, "images": images, "readers": readers}
    if statistic is None:
        return {**found, "reason": "no image was rated by two readers"}
    estimate = float(statistic(np.ones((1, code.shape[1])))[0])
    if not np.isfinite(estimate):
        return {**found, "reason": "readers gave one rating throughout, so chance agreement is perfect too"}
    weight = np.zeros((REPLICATES, code.shape[1]))
    weight[:, rated] = np.random.default_rng(seed).multinomial(
        images, np.full(images, 1 / images), REPLICATES
    )
    drawn = statistic(weight)
    defined = drawn[np.isfinite(drawn)]
    if images < 2 or len(defined) < (1 - MOST_EMPTY) * REPLICATES:
        return {**found, "estimate": estimate, "reason": "too few images that differ for an interval"}
    low, high = np.quantile(defined, [alpha / 2, 1 - alpha / 2])
    return {**found, "estimate": estimate, "low": float(low), "high": float(high), "reason": None}
