"""Do rows differ by more than their runs do? Rank tests over independent runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.statistics.adjust import adjust
from benchmark.statistics.permutation import SMALL, finite, none_of, permutation_p
from benchmark.statistics.rank_differences import exact_p

FIELDS = ("statistic", "df", "p", "epsilon_squared", "method")


def kruskal_wallis(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Do the rows' run values come from one distribution?

    Args:
        values: the value of every run, by row; rows may differ in their number of runs.
    Returns:
        ``statistic`` H, corrected for ties, ``df``, ``p``, ``epsilon_squared`` = H / (N - 1) from 0 (no
        effect) to 1, ``n`` = N runs in all, and ``method``: below ten runs in some row p is the share of
        all arrangements of the runs (9999 drawn where there are more), else from the chi-squared
        distribution. Without a p, these are None and ``reason`` says why.
    Raises:
        MetricError: a value is not finite.
    Source: Kruskal and Wallis 1952; used by Schaudt et al. 2023, section 4.2.
    """
    from scipy import stats

    groups = list(finite(values).values())
    n = sum(len(g) for g in groups)
    if reason := _impossible(groups):
        return none_of(FIELDS, n=n, reason=reason)
    h, p = stats.kruskal(*groups)
    method = "chi-squared"
    if min(len(g) for g in groups) < SMALL:
        p, method = _by_arrangement(_ranks(groups))
    return {
        "statistic": float(h),
        "df": len(groups) - 1,
        "p": float(p),
        "epsilon_squared": float(h) / (n - 1),
        "method": method,
        "n": n,
        "reason": None,
    }


def dunn(values: Mapping[str, Sequence[float]], correction: str) -> list[dict[str, Any]]:
    """Dunn's post hoc test of every pair of rows, on the ranks among all runs.

    Args:
        values: the value of every run, by row; at least one run in each.
        correction: of ``adjust``, over all pairs.
    Returns:
        One record ``{a, b, z, p, p_adjusted, method}`` per pair, two-sided; z is positive where a ranks
        higher (has the larger values). ``method`` of p: ``exact``, over all arrangements of the runs of
        all rows, where both have fewer than ten, else ``normal``, from z. Where all values are equal, z
        is 0 and p is 1.
    Raises:
        MetricError: a value is not finite.
    Source: Dunn 1964, with the variance corrected for ties; with Bonferroni in Schaudt et al. 2023,
        section 4.2.
    """
    ranks = dict(zip(values, _ranks(list(finite(values).values())), strict=True))
    if len(ranks) < 2:
        return []
    pool = np.concatenate(list(ranks.values()))
    found = [{"a": a, "b": b, **_apart(pool, ranks[a], ranks[b])} for a, b in combinations(ranks, 2)]
    adjusted = adjust([r["p"] for r in found], correction)
    return [{**r, "p_adjusted": p} for r, p in zip(found, adjusted, strict=True)]


def _apart(pool: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """Dunn's z of two rows' ranks among all, and its p."""
    from scipy import stats

    # The sample variance of the ranks is N (N + 1) / 12 less the correction for ties.
    error = np.sqrt(pool.var(ddof=1) * (1 / len(a) + 1 / len(b)))
    z = float((a.mean() - b.mean()) / error) if error else 0.0
    if max(len(a), len(b)) < SMALL:
        return {"z": z, "p": exact_p(pool, a, b), "method": "exact"}
    return {"z": z, "p": float(2 * stats.norm.sf(abs(z))), "method": "normal"}


def _impossible(groups: Sequence[np.ndarray]) -> str | None:
    if len(groups) < 2:
        return "fewer than two rows"
    if min(len(g) for g in groups) < 2:
        return "fewer than two runs in a row"
    if len(np.unique(np.concatenate(groups))) == 1:
        return "all runs have the same value"
    return None


def _ranks(groups: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Midranks among all values, from 1 for the smallest, split by row again."""
    from scipy import stats

    if not groups:
        return []
    ends = np.cumsum([len(g) for g in groups])[:-1]
    return np.split(stats.rankdata(np.concatenate(groups)), ends)


def _by_arrangement(ranks: Sequence[np.ndarray]) -> tuple[float, str]:
    observed = float(_spread_of_rank_sums(*ranks, axis=0))
    ends = np.cumsum(sorted(len(r) for r in ranks))[:-1]
    in_order = np.split(np.sort(np.concatenate(ranks)), ends)
    null = tuple(tuple(own.tolist()) for own in in_order)
    return permutation_p(observed, null, _spread_of_rank_sums, "independent")


def _spread_of_rank_sums(*ranks: np.ndarray, axis: int) -> np.ndarray:
    """What alone varies in H when the runs are rearranged."""
    return np.sum([r.sum(axis=axis) ** 2 / r.shape[axis] for r in ranks], axis=0)
