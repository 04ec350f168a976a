"""Exact and permutation p-values of rank statistics, for samples too small for their asymptotic tests."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd
from typing import Literal

import numpy as np

from benchmark.errors import MetricError

SMALL = 10  # below this many values per row, the asymptotic p-values are off (docs/statistics.md)
ARRANGEMENTS = 9999  # drawn if there are more, so that p-values have steps of 1e-4
SEED = 0  # the same values give the same p
ROUNDING = 1e-12
Exchange = Literal["independent", "samples"]


def rank_sum_p(ranks: Sequence[np.ndarray], exchange: Exchange) -> tuple[float, str]:
    """Permutation p-value of the spread of the rows' rank sums.

    The spread is the sum of (rank sum)^2 / n over the rows: what alone varies in the statistics of
    Kruskal-Wallis and Friedman under permutation. p does not depend on the order of the rows or values.

    Args:
        ranks: one array of ranks per row.
        exchange: ``independent`` moves ranks between all rows; ``samples`` only within a block, which is
            one index of the arrays.
    Returns:
        p, and the method: all arrangements, or 9999 random ones plus the observed one.
    """
    observed = float(_spread(*ranks, axis=0))
    if exchange == "samples":
        null = np.array(sorted(np.sort(np.transpose(ranks), axis=1).tolist())).T.tolist()
    else:
        ends = np.cumsum(sorted(len(r) for r in ranks))[:-1]
        null = [part.tolist() for part in np.split(np.sort(np.concatenate(ranks)), ends)]
    spreads = _null_spreads(tuple(map(tuple, null)), exchange)
    as_large = int((spreads >= observed - ROUNDING * abs(observed)).sum())
    if len(spreads) < ARRANGEMENTS:
        return as_large / len(spreads), f"exact, all {len(spreads)} arrangements"
    return (as_large + 1) / (len(spreads) + 1), f"permutation, {len(spreads)} arrangements drawn"


def _spread(*ranks: np.ndarray, axis: int) -> np.ndarray:
    return np.sum([r.sum(axis=axis) ** 2 / r.shape[axis] for r in ranks], axis=0)


@lru_cache(maxsize=64)
def _null_spreads(null: tuple[tuple[float, ...], ...], exchange: Exchange) -> np.ndarray:
    """Null distribution of the spread; cached, since many comparisons share a design without ties."""
    from scipy import stats

    result = stats.permutation_test(
        [np.array(ranks) for ranks in null], _spread, permutation_type=exchange, alternative="greater",
        vectorized=True, n_resamples=ARRANGEMENTS, rng=np.random.default_rng(SEED),
    )  # fmt: skip
    return np.asarray(result.null_distribution)


def mean_rank_difference_p(ranks: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Exact two-sided p-value of the difference of two rows' mean ranks, all runs being exchangeable.

    Counts sums instead of arrangements. The cost grows with the product of the sizes of ``a`` and ``b``.

    Args:
        ranks: (N,) midranks of all runs, with or without ties.
        a, b: ranks of two of the rows, at most nine each.
    """
    common = gcd(len(a), len(b))
    weights = len(b) // common, len(a) // common
    doubled = np.rint(2 * (ranks - ranks.mean())).astype(int)  # integers, for midranks too
    observed = weights[0] * (a - ranks.mean()).sum() - weights[1] * (b - ranks.mean()).sum()
    chance = _difference_distribution(tuple(sorted(doubled.tolist())), weights, (len(a), len(b)))
    return min(float(chance[abs(round(2 * observed)) :].sum()), 1.0)


@lru_cache(maxsize=64)
def _difference_distribution(
    values: tuple[int, ...], weights: tuple[int, int], sizes: tuple[int, int]
) -> np.ndarray:
    """Probability of each absolute value, from 0, of the weighted sum of a minus that of b."""
    largest = 2 * weights[0] * sizes[0] * max(abs(v) for v in values)
    ways = np.zeros((sizes[0] + 1, sizes[1] + 1, 2 * largest + 1))
    ways[0, 0, largest] = 1
    for value in values:  # assign it to neither, to a, or to b; no sum reaches the ends, so none wraps around
        before = ways.copy()
        ways[1:] += np.roll(before[:-1], weights[0] * value, axis=-1)
        ways[:, 1:] += np.roll(before[:, :-1], -weights[1] * value, axis=-1)
    signed = ways[-1, -1] / ways[-1, -1].sum()
    return np.append(signed[largest], signed[largest + 1 :] + signed[:largest][::-1])


def finite(values: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Convert the values of each row to an array; raise a MetricError that names a row with a bad value."""
    arrays = {name: np.asarray(row, dtype=float) for name, row in values.items()}
    for name, row in arrays.items():
        if row.ndim != 1 or not np.isfinite(row).all():
            raise MetricError(name, "its run values are not a list of finite numbers", "Leave the row out.")
    return arrays
