"""Rank tests of independent runs: Kruskal-Wallis and Dunn's post hoc test."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.statistics.adjust import adjust
from benchmark.statistics.permutation import SMALL, finite, mean_rank_difference_p, rank_sum_p

FIELDS = ("statistic", "df", "p", "epsilon_squared", "method")


def kruskal_wallis(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Test whether the runs of all rows have the same distribution.

    Args:
        values: the value of every run, by row; rows may differ in their number of runs.
    Returns:
        ``statistic`` H, corrected for ties, ``df``, ``p``, ``epsilon_squared`` = H / (N - 1) from 0 (no
        effect) to 1, ``n`` = N runs in total, and ``method``: a permutation test if a row has fewer than ten
        runs, else chi-squared. Without a test, these are None and ``reason`` explains why.
    Raises:
        MetricError: a value is not finite.
    Source: Kruskal and Wallis 1952; used by Schaudt et al. 2023, section 4.2.
    """
    from scipy import stats

    groups = list(finite(values).values())
    n = sum(len(g) for g in groups)
    if reason := _untestable(groups):
        return {**dict.fromkeys(FIELDS), "n": n, "reason": reason}
    h, p = stats.kruskal(*groups)
    method = "chi-squared"
    if min(len(g) for g in groups) < SMALL:
        p, method = rank_sum_p(_ranks(groups), "independent")
    return {
        "statistic": float(h), "df": len(groups) - 1, "p": float(p), "epsilon_squared": float(h) / (n - 1),
        "method": method, "n": n, "reason": None,
    }  # fmt: skip


def dunn(values: Mapping[str, Sequence[float]], correction: str) -> list[dict[str, Any]]:
    """Dunn's post hoc test of every pair of rows, on the ranks among all runs.

    Args:
        values: the value of every run, by row; at least one run in each.
        correction: of ``adjust``, over all pairs.
    Returns:
        One record ``{a, b, z, p, p_adjusted, method}`` per pair, two-sided; z is positive if a has the larger
        values. ``method`` of p is ``exact``, over all arrangements of the runs, if both rows have fewer than
        ten, else ``normal``. If all values are equal, z is 0 and p is 1.
    Raises:
        MetricError: a value is not finite.
    Source: Dunn 1964, with the variance corrected for ties; with Bonferroni in Schaudt et al. 2023,
        section 4.2.
    """
    groups = list(finite(values).values())
    ranks = _ranks(groups)
    normal = _normal_p(groups)
    records: list[dict[str, Any]] = []
    for (i, a), (j, b) in combinations(enumerate(values), 2):
        exact = max(len(ranks[i]), len(ranks[j])) < SMALL
        p = mean_rank_difference_p(np.concatenate(ranks), ranks[i], ranks[j]) if exact else normal[i, j]
        method = "exact" if exact else "normal"
        records.append({"a": a, "b": b, "z": _z(ranks, i, j), "p": float(p), "method": method})
    adjusted = adjust([r["p"] for r in records], correction)
    return [{**r, "p_adjusted": p} for r, p in zip(records, adjusted, strict=True)]


def _normal_p(groups: Sequence[np.ndarray]) -> np.ndarray:
    """(rows, rows) asymptotic p-values; NaN where every pair has an exact one."""
    from scikit_posthocs import posthoc_dunn

    if max(map(len, groups), default=0) < SMALL:
        return np.full((len(groups), len(groups)), np.nan)
    if np.ptp(np.concatenate(groups)) == 0:
        return np.ones((len(groups), len(groups)))
    return posthoc_dunn(groups).to_numpy()


def _z(ranks: Sequence[np.ndarray], i: int, j: int) -> float:
    """Standardized difference of two rows' mean ranks."""
    # The sample variance of the ranks is N (N + 1) / 12 minus the correction for ties.
    error = np.sqrt(np.concatenate(ranks).var(ddof=1) * (1 / len(ranks[i]) + 1 / len(ranks[j])))
    return float((ranks[i].mean() - ranks[j].mean()) / error) if error else 0.0


def _untestable(groups: Sequence[np.ndarray]) -> str | None:
    if len(groups) < 2:
        return "fewer than two rows"
    if min(len(g) for g in groups) < 2:
        return "fewer than two runs in a row"
    return "all runs have the same value" if np.ptp(np.concatenate(groups)) == 0 else None


def _ranks(groups: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Midranks among all values, from 1 for the smallest, split by row again."""
    from scipy import stats

    if not groups:
        return []
    return np.split(stats.rankdata(np.concatenate(groups)), np.cumsum([len(g) for g in groups])[:-1])
