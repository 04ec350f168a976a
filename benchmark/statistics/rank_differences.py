"""How far apart can two rows' mean ranks lie by chance? Exactly, for few runs."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np


def exact_p(ranks: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p of a difference of mean ranks when the runs of all rows can be exchanged.

    Args:
        ranks: (N,) midranks of all runs; ties allowed.
        a, b: the ranks of two rows, at most nine each: the work grows with the product of their numbers.
    Returns:
        Share of all ways to give ``a`` and ``b`` their numbers of ranks in which the mean ranks lie as far
        apart as they do, by counting sums rather than ways.
    """
    common = gcd(len(a), len(b))
    weights = len(b) // common, len(a) // common
    doubled = np.rint(2 * (ranks - ranks.mean())).astype(int)  # whole numbers, midranks too
    observed = weights[0] * (a - ranks.mean()).sum() - weights[1] * (b - ranks.mean()).sum()
    chance = _chance(tuple(sorted(doubled.tolist())), weights, (len(a), len(b)))
    return min(float(chance[abs(round(2 * observed)) :].sum()), 1.0)


@lru_cache(maxsize=64)
def _chance(values: tuple[int, ...], weights: tuple[int, int], sizes: tuple[int, int]) -> np.ndarray:
    """Probability of each absolute value, from 0 on, of the weighted sum of a's less that of b's."""
    largest = 2 * weights[0] * sizes[0] * max(abs(v) for v in values)
    ways = np.zeros((sizes[0] + 1, sizes[1] + 1, 2 * largest + 1))
    ways[0, 0, largest] = 1
    for value in values:  # which goes to neither, to a, or to b; no sum reaches the ends, so none comes round
        before = ways.copy()
        ways[1:] += np.roll(before[:-1], weights[0] * value, axis=-1)
        ways[:, 1:] += np.roll(before[:, :-1], -weights[1] * value, axis=-1)
    signed = ways[-1, -1] / ways[-1, -1].sum()
    return np.append(signed[largest], signed[largest + 1 :] + signed[:largest][::-1])
