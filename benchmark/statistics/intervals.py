"""Intervals of a row's mean and of paired differences: test patients, training runs and fits vary.

The design is that of a multi-reader multi-case study, with runs as readers: every run (a classifier, a seed
and, if each fold's model reads all images, a fold) of every row scores the same test images. The variance is
that of Obuchowski and Rockette (1995), with Satterthwaite's degrees of freedom as proposed by Hillis (2007),
and two conservative maxima. Several fits of a generator add the variance of ``fits``. docs/statistics.md
shows the simulations behind this choice.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from benchmark.errors import MetricError
from benchmark.statistics.power import (
    FitVariance,
    VarianceParts,
    joined_fits,
    satterthwaite,
    smallest_detectable,
)
from benchmark.statistics.sides import FEW, Side, all_patients, too_few

ROUNDING = 1e-12  # of a standard error
CONSTANT = "all test patients have the same value, which does not show how others vary"


@dataclass(frozen=True)
class RunVariance:
    """Variance of one run's value (or difference) around its row's mean, pooled over rows, with its df."""

    variance: float
    df: int


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval and test, or with the reason why it has none."""

    estimate: float  # in the unit of the values (1 is the best value of every metric)
    runs: int  # this and the next two: sample sizes
    images: int
    patients: int
    low: float | None = None  # this and the next: two-sided interval of level 1 - alpha
    high: float | None = None
    se: float | None = None  # standard error
    df: float | None = None  # degrees of freedom of the t distribution
    p: float | None = None  # two-sided, of the hypothesis that the estimated quantity is 0
    detectable: float | None = None  # smallest true difference that is detected with the given power
    reason: str | None = None  # why there are none of the above; else None
    # components of the variance, for ``power.needed``; None with one run. Not in the record.
    parts: VarianceParts | None = field(default=None, repr=False)

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "parts"}


def sampling_variance(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(...) variance of the mean of ``values`` over draws of patients, by its influence function.

    The influence of an image is (value - mean) / n; influences are summed by patient, squared, summed, and
    multiplied by P / (P - 1). For accuracy with one image per patient this is the textbook s^2 / n.

    Args:
        values: (..., n) values per image, see ``metrics``.
        patient: (n,) labels.
    Raises:
        MetricError: fewer than two patients.
    """
    order = np.argsort(patient, kind="stable")
    first = np.unique(patient[order], return_index=True)[1]
    count = len(first)
    if count < 2:
        raise MetricError("interval", "the test split has one patient", "At least two are needed.")
    by_patient = np.add.reduceat(_influence(values)[..., order], first, axis=-1)
    return np.asarray((by_patient**2).sum(-1) * count / (count - 1))


def patients_df(values: np.ndarray, patient: np.ndarray, sides: Sequence[Side]) -> float:
    """Degrees of freedom of ``sampling_variance``: P - 1, or fewer where a side has few patients.

    The squared influences of a side with m < ``FEW`` patients are a variance with m - 1 degrees of freedom;
    the sum with the rest has those of Satterthwaite 1946, as ``delong`` does for both sides.

    Args:
        values: (n,) values per image.
    """
    count = len(np.unique(patient))
    few = [side for side in sides if side.patients < min(FEW, count)]
    parts = [float(sampling_variance(values, patient)), *(_of_side(values, patient, side) for side in few)]
    terms = [(part, side.patients - 1) for part, side in zip(parts[1:], few, strict=True)]
    rest = max(parts[0] - sum(parts[1:]), 0.0)
    return min(satterthwaite(parts[0], [(rest, count - 1), *terms], None), count - 1)


def _of_side(values: np.ndarray, patient: np.ndarray, side: Side) -> float:
    """Part of the variance that the patients of a side cause."""
    own = np.bincount(np.unique(patient, return_inverse=True)[1], _influence(values) * side.inside)
    return float((own**2).sum()) * side.patients / (side.patients - 1)


def _influence(values: np.ndarray) -> np.ndarray:
    """(..., n) derivative of the mean with respect to the weight of an image."""
    return np.asarray((values - values.mean(-1, keepdims=True)) / values.shape[-1])


def pooled_difference(run_values: np.ndarray) -> RunVariance | None:
    """Between-run variance of a paired difference of two rows, pooled over (T, R) values of T rows in R runs.

    Twice the row-by-run interaction mean square, with (T - 1)(R - 1) degrees of freedom; None with fewer than
    two rows or two runs.
    """
    t, r = run_values.shape
    if t < 2 or r < 2:
        return None
    residual = run_values - run_values.mean(0) - run_values.mean(1, keepdims=True) + run_values.mean()
    df = (t - 1) * (r - 1)
    return RunVariance(2 * float((residual**2).sum()) / df, df)


def pooled_mean(run_values: np.ndarray) -> RunVariance | None:
    """Between-run variance of one run's value around its row's mean, pooled over (T, R) values.

    None with fewer than two runs.
    """
    t, r = run_values.shape
    if r < 2:
        return None
    return RunVariance(float(run_values.var(axis=1, ddof=1).mean()), t * (r - 1))


def interval(
    values: np.ndarray,
    patient: np.ndarray,
    pooled: RunVariance | None,
    *,
    alpha: float,
    power: float,
    fits: Sequence[FitVariance] = (),
    sides: Sequence[Side] = (),
) -> Interval:
    """Interval of the mean over runs of a metric.

    Variance: the between-run part, which is the larger of the pooled variance and that of this row (or
    pair), divided by R; plus the sampling covariance of two runs on the same patients (at least 0); at least
    the sampling variance of the mean over runs. With one run: the sampling variance alone. The variance
    between fits is added. There is an estimate alone where a side has fewer than ``FEWEST`` patients, or
    where nothing varies, since no variation in a sample does not show that there is none.

    Args:
        values: (R, n) values per image of each run, whose mean is the metric (see ``metrics``), or the
            difference of those of two rows run by run; means over the fits of a row.
        patient: (n,) labels.
        pooled: from ``pooled_mean`` or ``pooled_difference``; None to use the variance of this row alone.
        fits: of every row in ``values`` that has several fits.
        sides: of the metric; empty for a mean over all images.
    """
    runs, images = values.shape
    estimate = float(values.mean(-1).mean())
    size = {"runs": runs, "images": images, "patients": len(np.unique(patient))}
    if reason := too_few(sides or all_patients(patient)):
        return Interval(estimate, **size, reason=reason)
    variance, df, parts = _variance(values, patient, pooled, joined_fits(fits), sides)
    se = float(np.sqrt(variance))
    if se < ROUNDING:
        return Interval(estimate, **size, reason=CONSTANT)
    t = float(stats.t.ppf(1 - alpha / 2, df))
    return Interval(
        estimate,
        **size,
        low=estimate - t * se,
        high=estimate + t * se,
        se=se,
        df=float(df),
        p=float(2 * stats.t.sf(abs(estimate) / se, df)),
        detectable=smallest_detectable(se, df, alpha, power),
        parts=parts,
    )


def _variance(
    values: np.ndarray,
    patient: np.ndarray,
    pooled: RunVariance | None,
    fits: FitVariance | None,
    sides: Sequence[Side],
) -> tuple[float, float, VarianceParts | None]:
    """Variance of the mean over runs, its degrees of freedom, and its components (None with one run)."""
    runs, patients = len(values), len(np.unique(patient))
    test = float(sampling_variance(values.mean(0), patient))
    test_df = patients_df(values.mean(0), patient, sides)
    added = fits.added if fits else 0.0
    if runs == 1:
        return test + added, satterthwaite(test, [(test, test_df)], fits), None
    each = float(sampling_variance(values, patient).mean())
    shared = max((runs * test - each) / (runs - 1), 0.0)
    of_row = float(values.mean(-1).var(ddof=1))
    between = max(of_row, pooled.variance) / runs if pooled else of_row / runs
    between_df = pooled.df if pooled else runs - 1
    parts = VarianceParts(
        shared, runs * (test - shared), runs * between, between_df, runs, patients, fits,
        test_df / (patients - 1),
    )  # fmt: skip
    variance = max(shared + between, test)
    df = satterthwaite(variance, [(shared, test_df), (between, between_df)], fits)
    return variance + added, df, parts
