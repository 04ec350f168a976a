"""Bootstrap by patient of all figures of merit of a row, and of paired differences of rows.

Every row and run sees the same resamples of patients. What trainings add is too little known from a few runs
to be resampled; it is drawn from a t distribution whose variance is pooled over the rows, see
docs/statistics.md, which shows the simulations that the choice rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.intervals import RunVariance
from benchmark.statistics.quality import Reading

REPLICATES = 1000
SEED = 20_231
MOST_EMPTY = 0.05  # of the replicates may lack a class; more, and there is no interval
AT_ONCE = 500_000  # weights at a time, so that they stay in the processor's cache


class Resamples:
    """How often each image is in each resample of patients with replacement.

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
        """(b, n) weights of the images, some replicates at a time."""
        step = max(1, AT_ONCE // len(self._code))
        for start in range(0, self.replicates, step):
            yield self._count[self._code, start : start + step].astype(np.float64).T

    def trainings(self, df: int, stream: int = 0) -> np.ndarray:
        """(B,) draws of a t distribution: its quantiles in equal steps, in an order that is the stream's."""
        from scipy import stats

        if (df, stream) not in self._trainings:
            order = np.random.default_rng([self._seed, stream]).permutation(self.replicates)
            self._trainings[df, stream] = np.asarray(stats.t.ppf((order + 0.5) / self.replicates, df))
        return self._trainings[df, stream]


@dataclass(frozen=True, eq=False)
class Replicates:
    """M figures of R runs: of the images as they are, and of B resamples.

    Attributes:
        estimate: (R, M).
        drawn: (R, B, M), NaN where a resample lacks what the figure needs.
    """

    estimate: np.ndarray
    drawn: np.ndarray

    def __sub__(self, other: Replicates) -> Replicates:
        """The paired difference: the same runs, the same resamples."""
        return Replicates(self.estimate - other.estimate, self.drawn - other.drawn)

    def only(self, chosen: np.ndarray) -> Replicates:
        """Some of the figures."""
        return Replicates(self.estimate[:, chosen], self.drawn[..., chosen])


def estimates(readings: Sequence[Reading]) -> np.ndarray:
    """(R, M) the figures of R runs, every image counting once."""
    one = np.ones((1, len(readings[0].scores)))
    return np.concatenate([r.figures(one) for r in readings])


def replicate(
    readings: Sequence[Reading], resamples: Resamples, estimate: np.ndarray | None = None
) -> Replicates:
    """The figures of R runs in every resample; ``estimate`` is that of ``estimates``, where it is known."""
    parts = [np.stack([r.figures(w) for r in readings]) for w in resamples.weights()]
    return Replicates(estimates(readings) if estimate is None else estimate, np.concatenate(parts, axis=1))


@dataclass(frozen=True, eq=False)
class Pooled:
    """Variance between runs of M figures, pooled over rows, see ``intervals.RunVariance``.

    Attributes:
        variance: (M,).
        df: degrees of freedom.
    """

    variance: np.ndarray
    df: int

    @classmethod
    def of(cls, run_values: np.ndarray, rule: Callable[[np.ndarray], RunVariance | None]) -> Pooled | None:
        """Of T rows in R runs, (T, R, M), by a rule of ``intervals``; None where it gives None."""
        found = [rule(run_values[..., i]) for i in range(run_values.shape[-1])]
        known = [f for f in found if f is not None]
        return cls(np.array([f.variance for f in known]), known[0].df) if known else None

    def only(self, chosen: np.ndarray) -> Pooled:
        """Some of the figures."""
        return Pooled(self.variance[chosen], self.df)


def added_by_trainings(found: Replicates, pooled: Pooled | None) -> np.ndarray:
    """(M,) what R trainings add to the variance that the resamples of patients show of the mean of R runs.

    The analysis of ``intervals``, with the covariances from the bootstrap: the variance is C + B, where C is
    what two runs share and B the variance between runs divided by R, never less than that of the resamples.
    The pooled variance between runs counts, or the own where it is larger.
    """
    runs = len(found.estimate)
    if runs == 1:
        return np.zeros(found.estimate.shape[1])
    test = found.drawn.mean(0).var(0, ddof=1)
    shared = np.maximum((runs * test - found.drawn.var(1, ddof=1).mean(0)) / (runs - 1), 0)
    own = found.estimate.var(0, ddof=1)
    between = (np.maximum(own, pooled.variance) if pooled else own) / runs
    return np.asarray(np.maximum(shared + between - test, 0))


@cache
def widening(patients: int, alpha: float) -> float:
    """What percentiles of resamples are too narrow by, for a mean over few patients.

    The resamples' variance lacks the factor P / (P - 1), and their quantiles are normal where those of the
    t distribution are due.

    Source: Hesterberg 2015, section 5.3, who widens the quantiles' levels likewise.
    """
    from scipy import stats

    level = 1 - alpha / 2
    t = stats.t.ppf(level, patients - 1)
    return float(np.sqrt(patients / (patients - 1)) * t / stats.norm.ppf(level))


def draws(
    found: Replicates,
    resamples: Resamples,
    pooled: Pooled | None,
    *,
    widened: np.ndarray,
    stream: int = 0,
) -> np.ndarray:
    """(b, M) draws of the figures' means over runs: patients resampled, and what trainings add.

    The bootstrap's own bias (mean of the resamples minus the estimate) is taken out, so that the draws are
    about the estimate. Resamples in which any of the figures is not defined are left out, so b <= B.

    Args:
        widened: (M,) by which the resamples' distance from their mean is multiplied, see ``widening``.
        stream: of the draws of trainings; figures of different trainings take different ones.
    """
    whole = np.isfinite(found.drawn).all((0, 2))
    kept = Replicates(found.estimate, found.drawn[:, whole])
    mean = kept.drawn.mean(0)
    centered = found.estimate.mean(0) + widened * (mean - mean.mean(0))
    df = pooled.df if pooled else max(len(found.estimate) - 1, 1)
    spread = np.sqrt(added_by_trainings(kept, pooled))
    return np.asarray(centered + resamples.trainings(df, stream)[whole, None] * spread)


def bounds(
    found: Replicates, resamples: Resamples, pooled: Pooled | None, patients: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """(M,) ``low`` and ``high``: the quantiles alpha / 2 and 1 - alpha / 2 of ``draws``, figure by figure.

    NaN where the images, or more than 5 % of the resamples, lack what the figure needs.

    Args:
        patients: (M,) behind each figure: those of the smaller side of a class, for a figure of a class.
    """
    missing = ~np.isfinite(found.drawn).all(0)
    given = np.isfinite(found.estimate).all(0) & (missing.mean(0) <= MOST_EMPTY)
    limits = np.full((2, len(given)), np.nan)
    if not given.any():
        return limits[0], limits[1]
    columns = np.flatnonzero(given)
    group = np.unique(missing[:, columns], axis=1, return_inverse=True)[1]
    for g in range(group.max() + 1):  # figures that the same resamples lack
        chosen = columns[group == g]
        widened = np.array([widening(max(int(p), 2), alpha) for p in patients[chosen]])
        drawn = draws(found.only(chosen), resamples, pooled.only(chosen) if pooled else None, widened=widened)
        limits[:, chosen] = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=0)
    return limits[0], limits[1]
