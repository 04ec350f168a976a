"""Test whether honest training could have produced the reported runs, given some retrained ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

ALPHA = 0.01  # share of honest rows that fail the test
POWER = 0.8


@dataclass(frozen=True)
class PlausibilityTest:
    """Student's t test of reported against retrained runs.

    Attributes:
        reported, retrained: means over the runs.
        difference: reported minus retrained.
        spread: pooled standard deviation between runs; None without degrees of freedom.
        df: its degrees of freedom.
        p: two-sided; None without a spread.
        detectable: the difference that the test detects with ``POWER``; None without a spread.
    """

    reported: float
    retrained: float
    difference: float
    spread: float | None = None
    df: int = 0
    p: float | None = None
    detectable: float | None = None

    @property
    def plausible(self) -> bool | None:
        """True if ``p`` is at least ``ALPHA``; None without a ``p``."""
        return None if self.p is None else self.p >= ALPHA


def compare_runs(
    reported: Sequence[float], retrained: Sequence[float], others: Sequence[Sequence[float]] = ()
) -> PlausibilityTest:
    """Compare two samples of runs by Student's t, with the spread pooled over other rows too.

    A run is the primary metric of one seed, averaged over brackets and classifiers, so that the spread
    includes whatever the trainings of one seed share. The test treats runs with equal seeds as independent,
    which makes it conservative where they correlate, and assumes that all rows have one spread.

    Args:
        reported: (n,) values of the bundle.
        retrained: (m,) values of the retrained seeds.
        others: the values of each other row of the same protocol.
    Source: two-sample t with pooled variance; power by the noncentral t.
    """
    from scipy.stats import t

    groups = [reported, retrained, *others]
    df = sum(max(len(g) - 1, 0) for g in groups)
    means = fmean(reported), fmean(retrained)
    difference = means[0] - means[1]
    if not df:
        return PlausibilityTest(*means, difference)
    spread = math.sqrt(sum((v - fmean(g)) ** 2 for g in groups for v in g) / df)
    error = spread * math.sqrt(1 / len(reported) + 1 / len(retrained))
    p = float(2 * t.sf(abs(difference) / error, df)) if error else float(difference == 0)
    return PlausibilityTest(*means, difference, spread, df, p, error * _noncentrality(df))


@cache
def _noncentrality(df: int) -> float:
    """Return the true difference, in standard errors, that the test at ``ALPHA`` detects with ``POWER``.

    Rejections on the opposite side, less than 1e-6, do not count.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = t.isf(ALPHA / 2, df)

    return float(brentq(lambda shift: nct.sf(limit, df, shift) - POWER, 0.0, 4 * limit + 10))
