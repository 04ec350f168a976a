"""Hypothesis tests over runs and over predictions, by scipy, scikit-posthocs and statsmodels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.compare.metrics import predicted

EXACT_BELOW = 25  # discordant pairs


def adjust(p: Sequence[float], correction: str) -> list[float]:
    """P values adjusted for their number, ``holm`` or ``bonferroni``, in the given order.

    Our own, since that of statsmodels collects garbage at every call, a quarter second each.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    factor = np.arange(len(values), 0, -1) if correction == "holm" else np.full(len(values), len(values))
    adjusted = np.empty(len(values))
    adjusted[order] = np.maximum.accumulate(values[order] * factor)
    return [float(v) for v in np.minimum(adjusted, 1.0)]


def kruskal_wallis(run_values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Do the rows' run values come from one distribution?

    Args:
        run_values: the value of every run, by row.
    Returns:
        ``statistic`` H, ``df``, ``p``, ``epsilon_squared`` = H / (N - 1) from 0 (no effect) to 1, and
        ``n``; or these as None with a ``reason`` why it cannot be computed.
    Source: Kruskal and Wallis 1952; used by Schaudt et al. 2023, section 4.2.
    """
    from scipy import stats

    groups = [np.asarray(v, dtype=float) for v in run_values.values()]
    n = sum(len(g) for g in groups)
    reason = None
    if len(groups) < 2:
        reason = "fewer than two rows"
    elif min(len(g) for g in groups) < 2:
        reason = "fewer than two runs in a row"
    elif len(np.unique(np.concatenate(groups))) == 1:
        reason = "all runs have the same value"
    if reason:
        return {"statistic": None, "df": None, "p": None, "epsilon_squared": None, "n": n, "reason": reason}
    h, p = stats.kruskal(*groups)
    return {
        "statistic": float(h),
        "df": len(groups) - 1,
        "p": float(p),
        "epsilon_squared": float(h) / (n - 1),
        "n": n,
        "reason": None,
    }


def dunn(run_values: Mapping[str, Sequence[float]], correction: str) -> list[dict[str, Any]]:
    """Dunn's post hoc test of every pair of rows, adjusted for all pairs.

    Args:
        run_values: the value of every run, by row; at least two rows, not all values equal.
        correction: ``holm`` or ``bonferroni``.
    Returns:
        One record ``{a, b, p}`` per pair, p adjusted.
    Source: Dunn 1964; with Bonferroni in Schaudt et al. 2023, section 4.2.
    """
    from scikit_posthocs import posthoc_dunn

    names = list(run_values)
    table = posthoc_dunn([list(run_values[n]) for n in names], p_adjust=correction).to_numpy()
    return [
        {"a": names[i], "b": names[j], "p": float(table[i, j])}
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]


def mcnemar(label: np.ndarray, scores: np.ndarray, baseline: np.ndarray) -> dict[str, Any]:
    """Do two classifiers err on different images? On the argmax of the score averaged over runs.

    Args:
        label: (n,) class index.
        scores, baseline: (R, n, K) scores of the row and of the baseline.
    Returns:
        ``gained`` images that only the row has right, ``lost`` images that only the baseline has right,
        ``p`` two-sided, and ``method``: ``exact binomial`` below 25 discordant images, otherwise
        ``chi-squared with continuity correction``. Images count as independent.
    Source: McNemar 1947, by statsmodels.
    """
    from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

    row_right = predicted(scores.mean(0)) == label
    base_right = predicted(baseline.mean(0)) == label
    gained = int((row_right & ~base_right).sum())
    lost = int((~row_right & base_right).sum())
    exact = gained + lost < EXACT_BELOW
    table = [[int((row_right & base_right).sum()), gained], [lost, int((~row_right & ~base_right).sum())]]
    p = 1.0 if gained == lost else float(statsmodels_mcnemar(table, exact=exact, correction=True).pvalue)
    method = "exact binomial" if exact else "chi-squared with continuity correction"
    return {"gained": gained, "lost": lost, "p": min(p, 1.0), "method": method}
