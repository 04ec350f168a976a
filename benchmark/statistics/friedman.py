"""Rank tests of rows in shared blocks: Friedman, Nemenyi and the critical difference."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import SMALL, finite, rank_sum_p

FIELDS = ("statistic", "df", "p", "method", "f", "kendall_w", "critical_difference")


def friedman(
    values: Mapping[str, Sequence[float]], alpha: float = 0.05, *, higher_is_better: bool = True
) -> dict[str, Any]:
    """Test whether rows differ, judged within blocks, with Nemenyi's test of all pairs.

    A block is one classifier, seed and fold. Rows are ranked within it, so that what they share, such as a
    seed that suits all, cancels.

    Args:
        values: the value of every block, by row; the same blocks in the same order.
        alpha: level of the critical difference and the cliques.
        higher_is_better: else the lowest value has rank 1.
    Returns:
        ``statistic``: chi-squared, corrected for ties, with ``df``; ``p`` and ``method``: a permutation test
        within blocks if there are fewer than ten, else chi-squared; ``f``: Iman and Davenport's, None if all
        blocks agree; ``kendall_w`` from 0 (blocks disagree) to 1 (they agree); ``blocks``; ``mean_ranks`` by
        row, 1 the best; ``critical_difference`` in mean ranks and ``alpha``; ``cliques``: the largest groups
        of two or more rows, best first, whose mean ranks lie closer than that; ``nemenyi``: ``{a, b, p}`` of
        every pair, adjusted by construction. Without a test, ``reason`` explains why, and the figures are
        None or empty.
    Raises:
        MetricError: rows of unequal length, or a value that is not finite.
    Source: Friedman 1937; Iman and Davenport 1980; Demsar 2006, JMLR 7:1-30, sections 3.2.1, 3.2.2, 3.2.4.
    """
    from scipy import stats

    names = list(values)
    blocks = _blocks(finite(values))
    known = {"blocks": len(blocks), "alpha": alpha}
    if reason := _untestable(blocks):
        empty: dict[str, Any] = {"mean_ranks": {}, "cliques": [], "nemenyi": [], "reason": reason}
        return {**dict.fromkeys(FIELDS), **empty, **known}
    ranks = stats.rankdata(-blocks if higher_is_better else blocks, axis=1)
    mean_ranks = dict(zip(names, ranks.mean(0).tolist(), strict=True))
    difference = critical_difference(len(names), len(blocks), alpha)
    return {
        **_overall(ranks),
        "mean_ranks": mean_ranks,
        "critical_difference": difference,
        "cliques": cliques(mean_ranks, difference),
        "nemenyi": _nemenyi(names, ranks),
        "reason": None,
        **known,
    }


@lru_cache
def critical_difference(rows: int, blocks: int, alpha: float) -> float:
    """Smallest difference of two mean ranks that Nemenyi's test calls significant.

    Source: Demsar 2006, section 3.2.2: q sqrt(k (k + 1) / (6 N)), q the quantile of the studentized range
        over the square root of 2.
    """
    from scipy import stats

    studentized = float(stats.studentized_range.ppf(1 - alpha, rows, np.inf))
    return studentized / 2**0.5 * float(np.sqrt(rows * (rows + 1) / (6 * blocks)))


def cliques(mean_ranks: Mapping[str, float], difference: float) -> list[list[str]]:
    """The bars of a critical-difference diagram: largest groups of rows closer than ``difference``.

    Source: Demsar 2006, section 3.2.4.
    """
    names = sorted(mean_ranks, key=lambda name: mean_ranks[name])
    groups: list[list[str]] = []
    reached = 0
    for i, best in enumerate(names):
        group = [name for name in names[i:] if mean_ranks[name] - mean_ranks[best] < difference]
        if len(group) > 1 and i + len(group) > reached:
            groups.append(group)
            reached = i + len(group)
    return groups


def _blocks(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """(blocks, rows) values."""
    lengths = sorted({len(row) for row in values.values()})
    if len(lengths) > 1:
        raise MetricError(
            "blocks", f"the rows have {lengths} values", "Give every row the same blocks, in one order."
        )
    return np.array(list(values.values())).T if values else np.empty((0, 0))


def _untestable(blocks: np.ndarray) -> str | None:
    count, rows = blocks.shape
    if rows < 3:
        return "fewer than three rows"
    if count < 2:
        return "fewer than two blocks"
    return "all rows have the same value in every block" if (blocks == blocks[:, :1]).all() else None


def _overall(ranks: np.ndarray) -> dict[str, Any]:
    """Friedman's test of (blocks, rows) ranks."""
    from scipy import stats

    n, k = ranks.shape
    statistic, p = stats.friedmanchisquare(*ranks.T)
    method = "chi-squared"
    if n < SMALL:
        p, method = rank_sum_p(list(ranks.T), "samples")
    w = float(statistic) / (n * (k - 1))
    f = None if np.isclose(w, 1) else float((n - 1) * w / (1 - w))
    return {"statistic": float(statistic), "df": k - 1, "p": float(p), "method": method, "f": f,
            "kendall_w": w}  # fmt: skip


def _nemenyi(names: Sequence[str], ranks: np.ndarray) -> list[dict[str, Any]]:
    from scikit_posthocs import posthoc_nemenyi_friedman

    p = posthoc_nemenyi_friedman(ranks).to_numpy()
    pairs = combinations(range(len(names)), 2)
    return [{"a": names[i], "b": names[j], "p": float(p[i, j])} for i, j in pairs]
