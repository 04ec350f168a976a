"""Repeated trainings against reported ones: the spread between seeds, and the inflation that they detect.

The inflation is a constant added to every reported run. n reported and k repeated runs are compared by
Student's t with the spread pooled over rows, so the difference of their means has the standard error
spread * sqrt(1 / n + 1 / k).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmark.statistics.power import smallest_detectable

ALPHA = 0.01  # share of honest rows that fail the test
POWER = 0.8
RELEVANT = 0.05  # inflation that the repeated seeds must detect


@dataclass(frozen=True)
class Spread:
    """Standard deviation of a row's runs between seeds, pooled over rows, with its degrees of freedom."""

    value: float
    df: int

    def error(self, reported: int, repeated: int) -> float:
        """Return the standard error of the difference of the means."""
        return self.value * math.sqrt(1 / reported + 1 / repeated)


def pooled_spread(groups: Sequence[Sequence[float]]) -> Spread | None:
    """Pool the variance of several rows' runs; None without degrees of freedom."""
    df = sum(max(len(g) - 1, 0) for g in groups)
    squares = sum((v - fmean(g)) ** 2 for g in groups for v in g)
    return Spread(math.sqrt(squares / df), df) if df else None


def detectable_inflation(spread: Spread, reported: int, repeated: int) -> float:
    """Return the smallest inflation that the repeated runs detect with ``POWER``, in the metric's unit."""
    error = spread.error(reported, repeated)
    return smallest_detectable(error, spread.df, ALPHA, POWER) if error else 0.0


def required_repeats(spread: Spread | None, reported: int) -> int:
    """Return the least number of repeated runs that detects ``RELEVANT``, at most all of them.

    Each repeat but the first adds a degree of freedom. Without a spread all runs are needed.
    """
    if spread is None:
        return reported
    sufficient = (
        k
        for k in range(1, reported + 1)
        if detectable_inflation(Spread(spread.value, spread.df + k - 1), reported, k) <= RELEVANT
    )
    return next(sufficient, reported)
