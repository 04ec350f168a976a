"""Bootstrap by patient of all figures of merit of a row, and of paired differences of rows.

Every row and run sees the same resamples of patients. What trainings add is too little known from a few runs
to be resampled; it is drawn from a t distribution whose variance is pooled over the rows, see
docs/statistics.md, which shows the simulations that the choice rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.compare.intervals import RunVariance
from benchmark.compare.quality import Reading
from benchmark.errors import MetricError

REPLICATES = 1000
SEED = 20_231
MOST_EMPTY = 0.05  # of the replicates may lack a class; more, and there is no interval
AT_ONCE = 500_000  # weights at a time, so that they stay in the processor's cache
ROUNDING = 1e-12


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
        drawn = rng.integers(0, len(names), (replicates, len(names)))
        count = [np.bincount(d, minlength=len(names)) for d in drawn]
        self._count = np.stack(count, axis=1).astype(np.uint16)  # (P, B)
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


def estimates(readings: Sequence[Reading]) -> np.ndarray:
    """(R, M) the figures of R runs, every image counting once."""
    one = np.ones((1, len(readings[0].scores)))
    return np.concatenate([r.figures(one) for r in readings])


def replicate(readings: Sequence[Reading], resamples: Resamples) -> Replicates:
    """The figures of R runs in every resample."""
    parts = [np.stack([r.figures(w) for r in readings]) for w in resamples.weights()]
    return Replicates(estimates(readings), np.concatenate(parts, axis=1))


def added_by_trainings(estimate: np.ndarray, drawn: np.ndarray, pooled: RunVariance | None) -> float:
    """What R trainings add to the variance that the resamples of patients show of the mean of R runs.

    The analysis of ``intervals``, with the covariances from the bootstrap: the variance is C + B, where C is
    what two runs share and B the variance between runs divided by R, never less than that of the resamples.

    Args:
        estimate: (R,) values of the runs.
        drawn: (R, B) in the resamples.
        pooled: of all rows; the own variance counts where it is larger.
    """
    runs = len(estimate)
    if runs == 1:
        return 0.0
    test = float(drawn.mean(0).var(ddof=1))
    shared = max((runs * test - float(drawn.var(axis=1, ddof=1).mean())) / (runs - 1), 0.0)
    own = float(estimate.var(ddof=1))
    between = max(own, pooled.variance if pooled else 0.0) / runs
    return max(shared + between - test, 0.0)


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
    column: int,
    resamples: Resamples,
    pooled: RunVariance | None,
    *,
    widened: float = 1.0,
    stream: int = 0,
) -> np.ndarray | None:
    """Draws of one figure's mean over runs: patients resampled, and what trainings add.

    The bootstrap's own bias (mean of the resamples minus the estimate) is taken out, so that the draws are
    about the estimate. Resamples that lack a class are left out.

    Args:
        widened: by which the resamples' distance from their mean is multiplied, see ``widening``.
        stream: of the draws of trainings; figures of different trainings take different ones.
    Returns:
        (b,), b at most B; None where more than 5 % of the resamples lack what the figure needs.
    """
    estimate, drawn = found.estimate[:, column], found.drawn[..., column]
    whole = np.isfinite(drawn).all(0)
    if not np.isfinite(estimate).all() or (~whole).mean() > MOST_EMPTY:
        return None
    drawn = drawn[:, whole]
    mean = drawn.mean(0)
    centered = estimate.mean() + widened * (mean - mean.mean())
    added = added_by_trainings(estimate, drawn, pooled)
    if added <= ROUNDING:
        return np.asarray(centered)
    df = pooled.df if pooled else len(estimate) - 1
    return np.asarray(centered + np.sqrt(added) * resamples.trainings(df, stream)[whole])


def interval(
    found: Replicates,
    column: int,
    resamples: Resamples,
    pooled: RunVariance | None,
    *,
    patients: int,
    alpha: float,
    limits: tuple[float, float],
) -> dict[str, float | None]:
    """``estimate``, and ``low`` and ``high``: the quantiles alpha / 2 and 1 - alpha / 2 of ``draws``.

    Args:
        patients: behind the figure: those of the smaller side of a class, for a figure of a class.
        limits: the smallest and the largest value that the figure, or the difference, can take.
    Returns:
        ``low`` and ``high`` are None where too many resamples lack a class, ``estimate`` too where the images
        themselves do.
    """
    estimate = float(found.estimate[:, column].mean())
    widened = widening(max(patients, 2), alpha)
    drawn = draws(found, column, resamples, pooled, widened=widened)
    if drawn is None:
        return {"estimate": estimate if np.isfinite(estimate) else None, "low": None, "high": None}
    low, high = np.clip(np.quantile(drawn, [alpha / 2, 1 - alpha / 2]), *limits)
    return {"estimate": estimate, "low": min(float(low), estimate), "high": max(float(high), estimate)}
