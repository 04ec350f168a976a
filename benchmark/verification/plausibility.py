"""Could these runs have been reported honestly? Reported runs against those that were trained again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

ALPHA = 0.01  # of honest rows, this share is doubted
POWER = 0.8


@dataclass(frozen=True)
class Verdict:
    """What trainings that were done again say of those that were reported.

    Attributes:
        reported, again: means over the runs.
        difference: reported minus again.
        spread: standard deviation from run to run, pooled; None where nothing says what it is.
        df: its degrees of freedom.
        p: of a difference at least as large, either way, if both are runs of the same; None without a spread.
        detectable: the difference that is found in ``POWER`` of all cases; None without a spread.
    """

    reported: float
    again: float
    difference: float
    spread: float | None
    df: int
    p: float | None
    detectable: float | None

    @property
    def plausible(self) -> bool | None:
        """Whether ``p`` is at least ``ALPHA``; None where there is no ``p``."""
        return None if self.p is None else self.p >= ALPHA


def compare_runs(
    reported: Sequence[float], again: Sequence[float], others: Sequence[Sequence[float]] = ()
) -> Verdict:
    """Student's t of two samples of runs, their spread pooled with that of other rows.

    A run is the primary metric of one seed, averaged over brackets and classifiers, so that whatever the
    trainings of one seed share is part of the spread. Runs with the same seeds are taken for independent:
    where they are alike, the test is the more cautious. Other rows are taken to spread as this one does.

    Args:
        reported: (n,) values of the bundle.
        again: (m,) values of trainings done again.
        others: values of other rows of the same protocol, each row by itself.
    Source: two-sample t with pooled variance; power by the noncentral t.
    """
    n, m = len(reported), len(again)
    groups = [reported, again, *others]
    df = sum(max(len(g) - 1, 0) for g in groups)
    means = _mean(reported), _mean(again)
    difference = means[0] - means[1]
    if not df:
        return Verdict(*means, difference, None, 0, None, None)
    spread = math.sqrt(sum((v - _mean(g)) ** 2 for g in groups for v in g) / df)
    error = spread * math.sqrt(1 / n + 1 / m)
    return Verdict(
        *means, difference, spread, df, _two_sided(difference, error, df), error * _noncentrality(df)
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _two_sided(difference: float, error: float, df: int) -> float:
    """p of the difference; without any spread, equal is equal and different is different."""
    from scipy.stats import t

    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * t.sf(abs(difference) / error, df))


@cache
def _noncentrality(df: int) -> float:
    """The true difference, in standard errors, that the test at ``ALPHA`` finds with ``POWER``.

    On its own side, that is; the other side adds less than 1e-6.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = t.isf(ALPHA / 2, df)

    return float(brentq(lambda shift: nct.sf(limit, df, shift) - POWER, 0.0, 4 * limit + 10))
