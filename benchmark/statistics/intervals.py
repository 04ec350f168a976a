"""Intervals for a row's mean and for paired differences: test patients and training runs both vary.

The design is that of a reader study with many cases: every run (a classifier with a seed, and with a fold
where each fold's model reads all images) of every row scores the same test images. The variance is that of
Obuchowski and Rockette (1995), with the degrees of freedom by Satterthwaite, as Hillis (2007) proposes for
it, and two cautions of our own; see docs/statistics.md, which shows the simulations that the choice rests on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np
from scipy import stats

from benchmark.errors import MetricError
from benchmark.statistics.power import VarianceParts, smallest_detectable

ROUNDING = 1e-9


@dataclass(frozen=True)
class RunVariance:
    """Variance of one run's value (or difference) around its row, pooled over rows, with its df."""

    variance: float
    df: int


@dataclass(frozen=True)
class Interval:
    """An estimate with what is known about its error.

    Attributes:
        estimate: in the unit of the values (1 is the best value of every metric).
        low, high: two-sided interval of level 1 - alpha.
        se: standard error.
        df: degrees of freedom of the t distribution.
        p: two-sided, of the hypothesis that the estimated quantity is 0.
        detectable: smallest true difference that would be found with the task's power.
        runs, images, patients: how many stand behind it.
        parts: what the variance is made of, for ``power.needed``; None with one run. Not in the record.
    """

    estimate: float
    low: float
    high: float
    se: float
    df: float
    p: float
    detectable: float
    runs: int
    images: int
    patients: int
    parts: VarianceParts | None = field(default=None, repr=False)

    def record(self) -> dict[str, float]:
        """As JSON values."""
        return {name: value for name, value in asdict(self).items() if name != "parts"}


def sampling_variance(values: np.ndarray, patient: np.ndarray) -> np.ndarray:
    """(...) variance of the mean of ``values`` over draws of patients, by its influence function.

    An image's influence is (value - mean) / n; influences are summed by patient, squared, summed, and
    multiplied by P / (P - 1). With one image per patient and plain correctness this is the textbook s^2 / n.

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
    influence = (values - values.mean(-1, keepdims=True)) / values.shape[-1]
    by_patient = np.add.reduceat(influence[..., order], first, axis=-1)
    return np.asarray((by_patient**2).sum(-1) * count / (count - 1))


def pooled_difference(run_values: np.ndarray) -> RunVariance | None:
    """Between-run variance of a paired difference of two rows, pooled over all rows.

    Twice the row-by-run interaction mean square, with (T - 1)(R - 1) degrees of freedom.

    Args:
        run_values: (T, R) values of T rows in the same R runs.
    Returns:
        None where there are fewer than two rows or two runs.
    """
    t, r = run_values.shape
    if t < 2 or r < 2:
        return None
    residual = run_values - run_values.mean(0) - run_values.mean(1, keepdims=True) + run_values.mean()
    df = (t - 1) * (r - 1)
    return RunVariance(2 * float((residual**2).sum()) / df, df)


def pooled_mean(run_values: np.ndarray) -> RunVariance | None:
    """Between-run variance of one run's value around its row's mean, pooled over all rows.

    Args:
        run_values: (T, R).
    Returns:
        None where there are fewer than two runs.
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
) -> Interval:
    """Interval of the mean over runs of a metric.

    Variance: between-run part, the larger of the pooled variance and the row's (or pair's) own,
    divided by R; plus the sampling covariance of two runs on the same patients (not below 0); and
    never less than the sampling variance of the run average. With one run: the sampling variance alone.

    Args:
        values: (R, n) values per image of each run, whose mean is the metric (see ``metrics``), or the
            difference of those of two rows run by run.
        patient: (n,) labels.
        pooled: from ``pooled_mean`` or ``pooled_difference``; None to use the own variance alone.
    Raises:
        MetricError: fewer than two patients.
    """
    runs, images = values.shape
    run_values = values.mean(-1)
    estimate = float(run_values.mean())
    test = float(sampling_variance(values.mean(0), patient))
    patients = len(np.unique(patient))
    parts = None
    if runs == 1:
        variance, df = test, float(patients - 1)
    else:
        each = float(sampling_variance(values, patient).mean())
        shared = max((runs * test - each) / (runs - 1), 0.0)
        own = float(run_values.var(ddof=1))
        between = max(own, pooled.variance) / runs if pooled else own / runs
        between_df = pooled.df if pooled else runs - 1
        parts = VarianceParts(shared, runs * (test - shared), runs * between, between_df, runs, patients)
        total = shared + between
        spread = shared**2 / (patients - 1) + between**2 / between_df
        # runs that agree but for rounding leave the patients' df, whatever the order of the sums
        df = total**2 / spread if total > ROUNDING * test and spread > 0 else float(patients - 1)
        variance = max(total, test)
    se = float(np.sqrt(variance))
    t = float(stats.t.ppf(1 - alpha / 2, df))
    return Interval(
        estimate=estimate,
        low=estimate - t * se,
        high=estimate + t * se,
        se=se,
        df=float(df),
        p=_p_value(estimate, se, df),
        detectable=smallest_detectable(se, df, alpha, power),
        runs=runs,
        images=images,
        patients=patients,
        parts=parts,
    )


def _p_value(estimate: float, se: float, df: float) -> float:
    if se < 1e-12:  # nothing varied, neither between runs nor between images
        return 1.0 if abs(estimate) < 1e-12 else 0.0
    return float(2 * stats.t.sf(abs(estimate) / se, df))
