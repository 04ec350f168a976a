"""Bootstrap by patient of all metrics of a row, and of paired differences of rows.

Every row and run sees the same resamples of patients. A few runs are too few to resample trainings; their
contribution is drawn from a t distribution whose variance is pooled over the rows, and so is that of a few
fits. docs/statistics.md shows the simulations behind this choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.fits import added_by_fits, between_fits, chance
from benchmark.statistics.intervals import RunVariance
from benchmark.statistics.quality import Reading
from benchmark.statistics.sides import FEWEST

REPLICATES = 1000
SEED = 20_231
MOST_EMPTY = 0.05  # largest share of the replicates that may lack a class; above, there is no interval
FIT_STREAM = 1000  # added to the stream of the trainings, so that fits have draws of their own
ROUNDING = 1e-12  # of draws that do not vary
AT_ONCE = 500_000  # weights at a time, so that they stay in the processor's cache


class Resamples:
    """Number of times each image occurs in each resample of patients with replacement.

    Args:
        patient: (n,) labels.
        replicates: B.
        seed: of the draws; the same patients, replicates and seed give the same resamples.
    Raises:
        MetricError: fewer than two patients.
    """

    def __init__(self, patient: np.ndarray, replicates: int = REPLICATES, seed: int = SEED) -> None:
        names, self._code = np.unique(patient, return_inverse=True)
        if len(names) < 2:
            raise MetricError("bootstrap", "there is one patient", "At least two are needed.")
        rng = np.random.default_rng(seed)
        self._count = np.empty((len(names), replicates), dtype=np.uint16)
        for b in range(replicates):
            self._count[:, b] = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
        self.replicates = replicates
        self._seed = seed
        self._trainings: dict[tuple[int, int], np.ndarray] = {}

    def weights(self) -> Iterator[np.ndarray]:
        """(b, n) weights of the images, in batches of replicates."""
        step = max(1, AT_ONCE // len(self._code))
        for start in range(0, self.replicates, step):
            yield self._count[self._code, start : start + step].astype(np.float64).T

    def trainings(self, df: int, stream: int = 0) -> np.ndarray:
        """(B,) draws of a t distribution: its quantiles in equal steps, in the random order of the stream."""
        from scipy import stats

        if (df, stream) not in self._trainings:
            order = np.random.default_rng([self._seed, stream]).permutation(self.replicates)
            self._trainings[df, stream] = np.asarray(stats.t.ppf((order + 0.5) / self.replicates, df))
        return self._trainings[df, stream]


@dataclass(frozen=True, eq=False)
class Replicates:
    """M metrics of F fits in R runs, fit by fit: of the original images, and of B resamples."""

    estimate: np.ndarray  # (F * R, M)
    drawn: np.ndarray  # (F * R, B, M), NaN where a metric is not defined on a resample
    fits: int = 1

    def __sub__(self, other: Replicates) -> Replicates:
        """Paired difference: of the same runs in the same resamples, for each fit of the first; the other has
        one."""
        return Replicates(
            self.estimate - np.tile(other.estimate, (self.fits, 1)),
            self.drawn - np.tile(other.drawn, (self.fits, 1, 1)),
            self.fits,
        )

    def only(self, chosen: np.ndarray) -> Replicates:
        """Select metrics."""
        return Replicates(self.estimate[:, chosen], self.drawn[..., chosen], self.fits)

    def by_fit(self) -> tuple[np.ndarray, np.ndarray]:
        """(F, R, M) estimates and (F, R, B, M) draws."""
        estimate, drawn = (a.reshape(self.fits, -1, *a.shape[1:]) for a in (self.estimate, self.drawn))
        return estimate, drawn

    def over_fits(self) -> Replicates:
        """Return the (R, ...) means over fits."""
        return self if self.fits == 1 else Replicates(*(a.mean(0) for a in self.by_fit()))


def estimates(readings: Sequence[Reading]) -> np.ndarray:
    """(R, M) metrics of R runs, every image counting once."""
    one = np.ones((1, len(readings[0].scores)))
    return np.concatenate([r.figures(one) for r in readings])


def replicate(
    readings: Sequence[Reading], resamples: Resamples, estimate: np.ndarray | None = None, fits: int = 1
) -> Replicates:
    """Metrics of runs, of all fits in turn, in every resample; ``estimate`` saves computing it again."""
    parts = [np.stack([r.figures(w) for r in readings]) for w in resamples.weights()]
    estimate = estimates(readings) if estimate is None else estimate
    return Replicates(estimate, np.concatenate(parts, axis=1), fits)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Variance between runs, or between fits, of M metrics, pooled over rows."""

    variance: np.ndarray  # (M,)
    df: int  # degrees of freedom

    @classmethod
    def of(cls, run_values: np.ndarray, rule: Callable[[np.ndarray], RunVariance | None]) -> Pooled | None:
        """Pool T rows in R runs, (T, R, M), by a rule of ``intervals``; None if the rule returns None."""
        pooled = [rule(run_values[..., i]) for i in range(run_values.shape[-1])]
        known = [p for p in pooled if p is not None]
        return cls(np.array([p.variance for p in known]), known[0].df) if known else None

    @classmethod
    def of_fits(cls, tables: Sequence[np.ndarray]) -> Pooled | None:
        """Pool the (F, R, M) values of fits and runs of several rows; None where no row has two fits."""
        pooled = between_fits(tables)
        return cls(*pooled) if pooled else None

    def only(self, chosen: np.ndarray) -> Pooled:
        """Select metrics."""
        return Pooled(self.variance[chosen], self.df)


def added_by_trainings(replicates: Replicates, pooled: Pooled | None) -> np.ndarray:
    """(M,) variance of the mean of R runs between trainings, in addition to that between resamples.

    The analysis of ``intervals``, with covariances from the bootstrap: the variance is C + B, where C is the
    covariance of two runs and B the variance between runs divided by R, at least that of the resamples. The
    variance between runs is the larger of the pooled one and that of this row.
    """
    runs = len(replicates.estimate)
    if runs == 1:
        return np.zeros(replicates.estimate.shape[1])
    test = replicates.drawn.mean(0).var(0, ddof=1)
    shared = np.maximum((runs * test - replicates.drawn.var(1, ddof=1).mean(0)) / (runs - 1), 0)
    of_row = replicates.estimate.var(0, ddof=1)
    between = (np.maximum(of_row, pooled.variance) if pooled else of_row) / runs
    return np.asarray(np.maximum(shared + between - test, 0))


def between_fits_of(replicates: Replicates, pooled: Pooled) -> np.ndarray:
    """(M,) variance of the mean between fits, in addition to patients and trainings, see ``fits``."""
    table, drawn = replicates.by_fit()
    each, of_fit, of_run = (
        v.reshape(-1, *v.shape[-2:]).var(1, ddof=1).mean(0) for v in (drawn, drawn.mean(1), drawn.mean(0))
    )
    of_all = drawn.mean((0, 1)).var(0, ddof=1)
    return added_by_fits(table, pooled.variance, chance(table, each, of_fit, of_run, of_all))[0]


@cache
def widening(patients: int, alpha: float) -> float:
    """Factor by which percentiles of resamples are too narrow, for a mean over few patients.

    The variance of resamples lacks the factor P / (P - 1), and their quantiles are normal instead of t.

    Source: Hesterberg 2015, section 5.3, who widens the levels of the quantiles to the same effect.
    """
    from scipy import stats

    level = 1 - alpha / 2
    t = stats.t.ppf(level, patients - 1)
    return float(np.sqrt(patients / (patients - 1)) * t / stats.norm.ppf(level))


def draws(
    replicates: Replicates,
    resamples: Resamples,
    pooled: Pooled | None,
    *,
    widened: np.ndarray,
    stream: int = 0,
    fits: Pooled | None = None,
) -> np.ndarray:
    """(b, M) draws of the means over fits and runs of the metrics, over new patients, trainings and fits.

    The bias of the bootstrap (mean of the resamples minus the estimate) is removed. Resamples in which any
    of the metrics is not defined are dropped, so b <= B.

    Args:
        widened: (M,) factor of the distance of the resamples from their mean, see ``widening``.
        stream: of the draws of trainings; different trainings need different streams.
        fits: variance between fits; needed where there are several.
    """
    whole = np.isfinite(replicates.drawn).all((0, 2))
    defined = replace(replicates, drawn=replicates.drawn[:, whole])
    over_fits = defined.over_fits()
    mean = over_fits.drawn.mean(0)
    centered = over_fits.estimate.mean(0) + widened * (mean - mean.mean(0))
    df = pooled.df if pooled else max(len(over_fits.estimate) - 1, 1)
    spread = np.sqrt(added_by_trainings(over_fits, pooled))
    drawn = np.asarray(centered + resamples.trainings(df, stream)[whole, None] * spread)
    if replicates.fits == 1:
        return drawn
    assert fits is not None
    of_fits = resamples.trainings(fits.df, FIT_STREAM + stream)[whole, None]
    return np.asarray(drawn + of_fits * np.sqrt(between_fits_of(defined, fits)))


def bounds(
    replicates: Replicates,
    resamples: Resamples,
    pooled: Pooled | None,
    patients: np.ndarray,
    alpha: float,
    fits: Pooled | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(M,) ``low`` and ``high``: the quantiles alpha / 2 and 1 - alpha / 2 of ``draws`` of each metric.

    NaN if a metric is not defined on the images, or on more than 5 % of the resamples, if it is the same in
    all of them, or if fewer than ``FEWEST`` patients support it.

    Args:
        patients: (M,) effective number for each metric: of the smaller side of a class, for its metrics.
        fits: variance between fits; needed where there are several.
    """
    missing = ~np.isfinite(replicates.drawn).all(0)
    defined = np.isfinite(replicates.estimate).all(0) & (missing.mean(0) <= MOST_EMPTY) & (patients >= FEWEST)
    limits = np.full((2, len(defined)), np.nan)
    columns = np.flatnonzero(defined)
    group = np.unique(missing[:, columns], axis=1, return_inverse=True)[1]
    for g in range(group.max(initial=-1) + 1):  # metrics that are missing on the same resamples
        chosen = columns[group == g]
        widened = np.array([widening(max(int(p), 2), alpha) for p in patients[chosen]])
        own_pool, own_fits = (p.only(chosen) if p else None for p in (pooled, fits))
        drawn = draws(replicates.only(chosen), resamples, own_pool, widened=widened, fits=own_fits)
        ends = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=0)
        limits[:, chosen] = np.where(np.ptp(drawn, axis=0) < ROUNDING, np.nan, ends)
    return limits[0], limits[1]


def percentile_interval(drawn: np.ndarray, alpha: float) -> tuple[float, float] | None:
    """Quantiles alpha / 2 and 1 - alpha / 2 of (B,) resamples; None if more than 5 % of them are NaN."""
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - MOST_EMPTY) * len(drawn):
        return None
    low, high = np.quantile(defined, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)
