"""Test whether honest training could have produced the reported runs, given some retrained ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmark.statistics.repeats import ALPHA, detectable_inflation, pooled_spread


@dataclass(frozen=True)
class PlausibilityTest:
    """Student's t test of reported against retrained runs.

    Attributes:
        reported, retrained: means over the runs.
        difference: reported minus retrained.
        spread: pooled standard deviation between runs; None without degrees of freedom.
        df: its degrees of freedom.
        p: two-sided; None without a spread.
        detectable: the inflation that the test detects with 80 % power; None without a spread.
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

    A run is the primary metric of one seed at the bracket that ranks, averaged over classifiers, so that the
    spread includes whatever the trainings of one seed share. The test treats runs with equal seeds as
    independent, which makes it conservative where they correlate, and assumes that all rows have one spread.

    Args:
        reported: (n,) values of the bundle.
        retrained: (m,) values of the retrained seeds.
        others: the values of each other row of the same protocol.
    Source: two-sample t with pooled variance; power by the noncentral t.
    """
    from scipy.stats import t

    means = fmean(reported), fmean(retrained)
    difference = means[0] - means[1]
    spread = pooled_spread([reported, retrained, *others])
    if spread is None:
        return PlausibilityTest(*means, difference)
    error = spread.error(len(reported), len(retrained))
    p = float(2 * t.sf(abs(difference) / error, spread.df)) if error else float(difference == 0)
    detectable = detectable_inflation(spread, len(reported), len(retrained))
    return PlausibilityTest(*means, difference, spread.value, spread.df, p, detectable)
