"""Agreement between readers beyond chance: weighted kappa and Krippendorff's alpha, with intervals.

scikit-learn and statsmodels have kappa of two readers, but neither Krippendorff's alpha nor intervals over
images. Both statistics are ratios of sums over images, so that a resample is a weighting of the images.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.bootstrap import REPLICATES, SEED, percentile_interval
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
        ratings: (readers, images), NaN if a reader did not rate an image.
        scale: all values of the scale, in order.
        weights: ``nominal``, ``linear`` or ``quadratic``.
        alpha: of the percentile interval over resampled images.
        seed: of the resamples.
    Returns:
        ``estimate`` from -1 to 1 (1 is perfect, 0 is chance), ``low``, ``high``, ``images`` rated by at
        least two readers, ``readers``, ``pairs`` of ``{a, b, estimate, images}`` with the indices of the
        readers, and ``reason`` why there is no estimate or no interval, or None.
    Raises:
        MetricError: a rating that is not on the scale, or an unknown weighting.
    Source: Cohen 1968; the mean over pairs as Light 1971.
    """
    code = _on_scale(ratings, scale)
    if weights not in KAPPA_WEIGHTS:
        raise MetricError("kappa", f"'{weights}' is no weighting", f"Known: {', '.join(KAPPA_WEIGHTS)}.")
    steps = np.abs(np.subtract.outer(np.arange(len(scale)), np.arange(len(scale)))).astype(float)
    cost = {"nominal": (steps > 0).astype(float), "linear": steps, "quadratic": steps**2}[weights]
    pairs = [p for p in combinations(range(len(code)), 2) if (code[list(p)] >= 0).all(0).any()]

    def mean(weight: np.ndarray) -> np.ndarray:
        return np.mean([_kappa(code[a], code[b], cost, weight) for a, b in pairs], axis=0)

    records = []
    for a, b in pairs:
        kappa = float(_kappa(code[a], code[b], cost, np.ones((1, code.shape[1])))[0])
        images = int(((code[a] >= 0) & (code[b] >= 0)).sum())
        records.append({"a": a, "b": b, "estimate": kappa if np.isfinite(kappa) else None, "images": images})
    return {**_with_interval(mean if pairs else None, code, alpha, seed), "pairs": records}


def _kappa(a: np.ndarray, b: np.ndarray, cost: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) kappa of two readers' (n,) codes under (B, n) weights; NaN if chance agreement is perfect."""
    shared = (a >= 0) & (b >= 0)
    a, b, weight = a[shared], b[shared], weight[:, shared]
    observed = weight @ cost[a, b]
    values = np.eye(len(cost))
    chance = np.einsum("bi,ij,bj->b", weight @ values[a], cost, weight @ values[b])
    return 1 - ratio(observed * weight.sum(1), chance)


def krippendorff_alpha(
    ratings: np.ndarray, scale: tuple[float, ...], level: str, *, alpha: float = 0.05, seed: int = SEED
) -> Record:
    """Krippendorff's alpha of any number of readers, with or without missing ratings.

    1 minus the ratio of observed to expected disagreement over the pairs of ratings within images. Images
    with a single rating do not count.

    Args:
        ratings, scale, alpha, seed: as in ``weighted_kappa``.
        level: of measurement, which sets the disagreement of the values c and k: ``nominal`` 1, ``interval``
            (c - k) squared, ``ordinal`` the square of the number of ratings between them, the ends counting
            half.
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
    pairable = np.where(rated >= 2, rated, np.inf)[:, None, None]
    within = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(scale))
    coincidence = (within / (pairable - 1)).reshape(len(counts), -1)

    def estimate(weight: np.ndarray) -> np.ndarray:
        joint = (weight @ coincidence).reshape(-1, len(scale), len(scale))
        total = joint.sum(2)
        n = total.sum(1)
        cost = _disagreement(total, np.asarray(scale, dtype=float), level)
        expected = np.einsum("bi,bij,bj->b", total, cost, total)
        return 1 - ratio((joint * cost).sum((1, 2)) * (n - 1), expected)

    return _with_interval(estimate if (rated >= 2).any() else None, code, alpha, seed)


def _disagreement(total: np.ndarray, scale: np.ndarray, level: str) -> np.ndarray:
    """(B, V, V) disagreement of each pair of values, given the (B, V) number of ratings of each."""
    if level == "ordinal":
        middle = np.cumsum(total, axis=1) - total / 2
        return np.asarray((middle[:, :, None] - middle[:, None, :]) ** 2)
    steps = np.subtract.outer(scale, scale)
    cost = (steps != 0).astype(float) if level == "nominal" else steps**2
    return np.broadcast_to(cost, (len(total), *cost.shape))


def _on_scale(ratings: np.ndarray, scale: tuple[float, ...]) -> np.ndarray:
    """(readers, images) index of each rating on the scale; -1 if missing."""
    code = np.full(ratings.shape, -1)
    for k, value in enumerate(scale):
        code[ratings == value] = k
    wrong = ~np.isnan(ratings) & (code < 0)
    if wrong.any():
        known = ", ".join(f"{v:g}" for v in scale)
        raise MetricError("agreement", f"{ratings[wrong][0]:g} is not on the scale {known}")
    return code


def _with_interval(
    statistic: Callable[[np.ndarray], np.ndarray] | None, code: np.ndarray, alpha: float, seed: int
) -> Record:
    """Statistic of all images, with its percentile interval over resampled images."""
    rated = (code >= 0).sum(0) >= 2
    images, readers = int(rated.sum()), int((code >= 0).any(1).sum())
    record: Record = {"estimate": None, "low": None, "high": None, "images": images, "readers": readers}
    if statistic is None:
        return {**record, "reason": "no image was rated by two readers"}
    estimate = float(statistic(np.ones((1, code.shape[1])))[0])
    if not np.isfinite(estimate):
        return {**record, "reason": "readers gave one rating throughout, so chance agreement is perfect too"}
    weight = np.zeros((REPLICATES, code.shape[1]))
    uniform = np.full(images, 1 / images)
    weight[:, rated] = np.random.default_rng(seed).multinomial(images, uniform, REPLICATES)
    limits = percentile_interval(statistic(weight), alpha) if images > 1 else None
    if limits is None:
        return {**record, "estimate": estimate, "reason": "too few images that differ for an interval"}
    return {**record, "estimate": estimate, "low": limits[0], "high": limits[1], "reason": None}
