"""Do rows differ over blocks, and which? Friedman's test, Nemenyi's, and the critical difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import SMALL, finite, none_of, permutation_p

FIELDS = ("statistic", "df", "p", "method", "f", "kendall_w", "critical_difference")


def friedman(
    values: Mapping[str, Sequence[float]], alpha: float = 0.05, *, higher_is_better: bool = True
) -> dict[str, Any]:
    """Do the rows differ, judged block by block? With Nemenyi's test of all pairs.

    A block is one classifier, seed and fold: what the rows share, such as a seed that suits all, drops
    out, since rows are ranked within it.

    Args:
        values: the value of every block, by row; the same blocks in the same order.
        alpha: level of the critical difference and the cliques.
        higher_is_better: else the lowest value has rank 1.
    Returns:
        ``statistic``: chi-squared, corrected for ties, with ``df``; ``p`` and ``method``: below ten blocks
        the share of all arrangements within blocks (9999 drawn where there are more), else from the
        chi-squared distribution; ``f``: Iman and Davenport's, None where all blocks agree;
        ``kendall_w`` from 0 (blocks disagree) to 1 (they agree); ``blocks``; ``mean_ranks`` by row, 1 the
        best; ``critical_difference`` in mean ranks and ``alpha``; ``cliques``: the largest groups of two
        or more rows, best first, whose mean ranks lie closer than that; ``nemenyi``: ``{a, b, p}`` of every
        pair, adjusted by its nature. Without a p, ``reason`` says why, and the figures are None or empty.
    Raises:
        MetricError: rows of unequal length, or a value that is not finite.
    Source: Friedman 1937; Iman and Davenport 1980; Demsar 2006, JMLR 7:1-30, sections 3.2.1, 3.2.2, 3.2.4.
    """
    names = list(values)
    blocks = _blocks(finite(values))
    known = {"blocks": len(blocks), "alpha": alpha}
    if reason := _impossible(blocks):
        return none_of(FIELDS, mean_ranks={}, cliques=[], nemenyi=[], reason=reason, **known)
    ranks = _ranks(blocks, higher_is_better)
    mean_ranks = dict(zip(names, (float(r) for r in ranks.mean(0)), strict=True))
    difference = critical_difference(len(names), len(blocks), alpha)
    return {
        **_overall(ranks),
        "mean_ranks": mean_ranks,
        "critical_difference": difference,
        "cliques": cliques(mean_ranks, difference),
        "nemenyi": _nemenyi(mean_ranks, len(blocks)),
        "reason": None,
        **known,
    }


def critical_difference(rows: int, blocks: int, alpha: float) -> float:
    """Difference of two mean ranks from which Nemenyi's test is significant.

    Source: Demsar 2006, section 3.2.2: q sqrt(k (k + 1) / (6 N)), q the quantile of the studentized range
        over the square root of 2.
    """
    return _studentized(rows, alpha) / 2**0.5 * _standard_error(rows, blocks)


def cliques(mean_ranks: Mapping[str, float], difference: float) -> list[list[str]]:
    """The bars of a critical-difference diagram: largest groups of rows closer than ``difference``.

    Source: Demsar 2006, section 3.2.4.
    """
    names = sorted(mean_ranks, key=lambda name: mean_ranks[name])
    found: list[list[str]] = []
    reached = 0
    for i, best in enumerate(names):
        group = [name for name in names[i:] if mean_ranks[name] - mean_ranks[best] < difference]
        if len(group) > 1 and i + len(group) > reached:
            found.append(group)
            reached = i + len(group)
    return found


def _blocks(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """(blocks, rows) values."""
    lengths = {len(own) for own in values.values()}
    if len(lengths) > 1:
        raise MetricError(
            "blocks",
            f"the rows have {sorted(lengths)} values",
            "Give every row the same blocks, in one order.",
        )
    return np.array(list(values.values())).T if values else np.empty((0, 0))


def _impossible(blocks: np.ndarray) -> str | None:
    count, rows = blocks.shape
    if rows < 3:
        return "fewer than three rows"
    if count < 2:
        return "fewer than two blocks"
    if (blocks == blocks[:, :1]).all():
        return "all rows have the same value in every block"
    return None


def _ranks(blocks: np.ndarray, higher_is_better: bool) -> np.ndarray:
    """(blocks, rows) midranks within blocks, 1 the best."""
    from scipy import stats

    return stats.rankdata(-blocks if higher_is_better else blocks, axis=1)


def _overall(ranks: np.ndarray) -> dict[str, Any]:
    """Friedman's test of (blocks, rows) ranks."""
    from scipy import stats

    n, k = ranks.shape
    statistic, p = stats.friedmanchisquare(*ranks.T)
    method = "chi-squared"
    if n < SMALL:
        p, method = _by_arrangement(ranks)
    w = float(statistic) / (n * (k - 1))
    agreed = np.isclose(w, 1)
    return {
        "statistic": float(statistic),
        "df": k - 1,
        "p": float(p),
        "method": method,
        "f": None if agreed else float((n - 1) * w / (1 - w)),
        "kendall_w": w,
    }


def _by_arrangement(ranks: np.ndarray) -> tuple[float, str]:
    observed = float(_spread_of_rank_sums(*ranks.T, axis=0))
    in_order = np.array(sorted(np.sort(ranks, axis=1).tolist()))
    null = tuple(tuple(own.tolist()) for own in in_order.T)
    return permutation_p(observed, null, _spread_of_rank_sums, "samples")


def _spread_of_rank_sums(*ranks: np.ndarray, axis: int) -> np.ndarray:
    """What alone varies in the statistic when ranks are rearranged within blocks."""
    return np.sum([r.sum(axis=axis) ** 2 for r in ranks], axis=0)


def _nemenyi(mean_ranks: Mapping[str, float], blocks: int) -> list[dict[str, Any]]:
    from scipy import stats

    pairs = list(combinations(mean_ranks, 2))
    apart = np.array([abs(mean_ranks[a] - mean_ranks[b]) for a, b in pairs])
    range_ = apart / _standard_error(len(mean_ranks), blocks) * np.sqrt(2)
    p = stats.studentized_range.sf(range_, len(mean_ranks), np.inf)
    return [{"a": a, "b": b, "p": float(v)} for (a, b), v in zip(pairs, p, strict=True)]


def _standard_error(rows: int, blocks: int) -> float:
    """Of the difference of two mean ranks, over rows that do not differ."""
    return float(np.sqrt(rows * (rows + 1) / (6 * blocks)))


@lru_cache
def _studentized(rows: int, alpha: float) -> float:
    from scipy import stats

    return float(stats.studentized_range.ppf(1 - alpha, rows, np.inf))
