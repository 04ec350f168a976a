"""Power analysis: smallest detectable differences, and the sample sizes that detect a given difference."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.errors import MetricError

MOST = 1_000_000  # runs or patients
ROUNDING = 1e-9


def smallest_detectable(se: float, df: float, alpha: float, power: float) -> float:
    """True difference that a two-sided t test detects with the given power, in the unit of ``se``.

    The standard error times the noncentrality at which the upper tail beyond the critical value equals the
    power; the other tail is neglected. The same equation as ``TTestPower.solve_power`` of statsmodels, whose
    root search takes forty times as long, too long for a value that every interval needs.

    Args:
        se: standard error of the difference, at least 0.
        df: of the t distribution, above 0; infinite for a normal statistic.
        alpha: 0 to 1, two-sided.
        power: 0 to 1.
    """
    from scipy import special, stats

    critical = stats.t.ppf(1 - alpha / 2, df)
    return float(special.nctdtrinc(df, 1 - power, critical) * se)


def detectable_mcnemar(
    images: int, discordant_share: float, alpha: float, power: float, design_effect: float = 1.0
) -> float | None:
    """Gain in accuracy that McNemar's test detects with the given power.

    Solves the equation of ``needed_mcnemar`` for the difference.

    Args:
        images: of the test set.
        discordant_share: share of the images that exactly one classifier gets right, above 0 to 1.
        design_effect: by which clustering multiplies the variance, see ``paired.mcnemar_clustered``.
    Returns:
        0 to ``discordant_share``; None if the test would miss even a row that loses no image.
    Raises:
        MetricError: a share outside 0 to 1, or no images.
    """
    za, zb = _quantiles(alpha, power, discordant_share, design_effect)
    if images < 1:
        raise MetricError("power", f"{images} test images", "Give at least one.")
    n = images / design_effect
    inner = n + zb**2 - za**2
    if inner < 0:
        return None
    difference = math.sqrt(discordant_share) * (za * math.sqrt(n) + zb * math.sqrt(inner)) / (n + zb**2)
    return difference if difference <= discordant_share else None


def needed_mcnemar(
    difference: float, discordant_share: float, alpha: float, power: float, design_effect: float = 1.0
) -> int:
    """Number of test images with which McNemar's test detects a gain in accuracy with the given power.

    ((z(1 - alpha / 2) sqrt(share) + z(power) sqrt(share - difference^2)) / difference)^2, rounded up.

    Args:
        difference: of the accuracies, not 0, at most ``discordant_share`` in size.
        discordant_share: of the images, above 0 to 1.
        design_effect: by which clustering multiplies the number.
    Raises:
        MetricError: a share outside 0 to 1, or a difference of 0 or beyond the share.
    Source: Miettinen 1968 (Biometrics 24:339), in the form of Connor 1987 (Biometrics 43:207), page 209.
    """
    za, zb = _quantiles(alpha, power, discordant_share, design_effect)
    if not 0 < abs(difference) <= discordant_share:
        raise MetricError(
            "power",
            f"a difference of {difference:g} with {discordant_share:g} discordant images",
            "The difference is above 0 and at most the share of discordant images.",
        )
    root = (za * math.sqrt(discordant_share) + zb * math.sqrt(discordant_share - difference**2)) / difference
    return math.ceil(root**2 * design_effect)


def _quantiles(alpha: float, power: float, share: float, design_effect: float) -> tuple[float, float]:
    """Normal quantiles of 1 - alpha / 2 and of the power."""
    from scipy.stats import norm

    if not 0 < share <= 1:
        raise MetricError("power", f"a share of {share:g} discordant images", "It is above 0 and at most 1.")
    if not design_effect > 0:
        raise MetricError("power", f"a design effect of {design_effect:g}", "It is above 0.")
    return float(norm.ppf(1 - alpha / 2)), float(norm.ppf(power))


@dataclass(frozen=True)
class FitVariance:
    """Variance of a row's mean between fits of its generator, see ``fits.fit_variance``."""

    added: float  # to the variance over patients and trainings
    total: float  # with the chance of patients and trainings, at least ``added``
    df: int  # degrees of freedom of ``total``, at least 1

    def __mul__(self, weight: float) -> FitVariance:
        """Return the variance of the mean times a weight."""
        return FitVariance(weight**2 * self.added, weight**2 * self.total, self.df)


def joined_fits(fits: Sequence[FitVariance]) -> FitVariance | None:
    """Return the variance of a sum over rows, whose estimates share one pool, so that their df do not add."""
    if not fits:
        return None
    return FitVariance(sum(f.added for f in fits), sum(f.total for f in fits), min(f.df for f in fits))


def satterthwaite(variance: float, terms: Sequence[tuple[float, float]], fits: FitVariance | None) -> float:
    """Degrees of freedom of a sum of independent variances and the variance between fits.

    Args:
        variance: reported over patients and trainings, at least the sum of the terms.
        terms: variances with their df, that of the patients first.
    Source: Satterthwaite 1946, at least the smallest df of the terms, which what ``fits`` subtracts would
        undercut.
    """
    total = sum(term for term, _ in terms)
    spread = sum(term**2 / df for term, df in terms)
    # runs that agree except for rounding leave the df of the patients, whatever the order of the sums
    defined = len(terms) > 1 and total > ROUNDING * variance and spread > 0
    df = total**2 / spread if defined else terms[0][1]
    if fits is None or not fits.total > ROUNDING * variance:
        return float(df)
    spread += fits.total**2 / fits.df
    return float(max((total + fits.added) ** 2 / spread, min(fits.df, *(df for _, df in terms))))


@dataclass(frozen=True)
class VarianceParts:
    """Components of the variance of a mean over runs, see ``intervals.interval``."""

    shared: float  # by any two runs, since they read the same patients; falls with the number of patients
    chance: float  # of single predictions, of one run; falls with patients and with runs
    between: float  # of one run's value between runs, chance included; the rest falls with the number of runs
    between_df: float  # degrees of freedom of ``between``
    runs: int  # this and the next: of the study that they were estimated from; at least two each
    patients: int
    fits: FitVariance | None = None  # falls with neither; None where refits are not known
    df_per_patient: float = 1.0  # of ``shared``, by number of patients - 1; below 1 where a class has few

    def shares(self) -> dict[str, float]:
        """Shares of the variance of the mean: ``patients``, and what ``trainings`` and ``fits`` add."""
        parts = {
            "patients": self.shared + self.chance / self.runs,
            "trainings": max(self.between - self.chance, 0.0) / self.runs,
            "fits": self.fits.added if self.fits else 0.0,
        }
        total = sum(parts.values())
        return {name: part / total if total else 0.0 for name, part in parts.items()}

    def at(self, runs: float, patients: float) -> tuple[float, float]:
        """Standard error and degrees of freedom of a study of other size; either number may be infinite.

        Images per patient, classes and discordance stay as they are. At the size of this study, it is the
        error of the interval itself.
        """
        scale = self.patients / patients
        shared, chance = self.shared * scale, self.chance * scale
        trained = max(self.between - self.chance, 0.0) + min(self.between, self.chance) * scale
        variance = shared + max(trained, chance) / runs
        between_df = self.between_df * (runs - 1) / (self.runs - 1)
        shared_df = (patients - 1) * self.df_per_patient
        df = satterthwaite(variance, [(shared, shared_df), (trained / runs, between_df)], self.fits)
        return math.sqrt(variance + (self.fits.added if self.fits else 0.0)), df


def study_power(
    parts: VarianceParts, alpha: float, power: float, runs: float | None = None, patients: float | None = None
) -> float:
    """Smallest true difference that a study detects with the given power, in the unit of the metric.

    Args:
        parts: of the paired difference.
        runs, patients: None for those of ``parts``; ``math.inf`` for the limit.
    """
    se, df = parts.at(runs or parts.runs, patients or parts.patients)
    return smallest_detectable(se, df, alpha, power) if se > 0 else 0.0


def needed(parts: VarianceParts | None, difference: float, alpha: float, power: float) -> dict[str, Any]:
    """Number of runs, or of test patients, that detects a difference.

    Args:
        parts: of the paired difference; None if one run leaves them unknown.
        difference: above 0, in the unit of the metric.
    Returns:
        ``difference`` and ``power`` as given; ``runs`` at the present number of patients and ``patients`` at
        the present number of runs, the smallest that suffices, each None if no number does;
        ``with_endless_runs`` and ``with_endless_patients``, the smallest detectable differences in these
        limits; and ``reason`` why a number is missing, or None.
    Raises:
        MetricError: the difference is not above 0.
    """
    if not difference > 0:
        raise MetricError("power", f"a difference of {difference:g}", "Give one above 0.")
    record: dict[str, Any] = {
        "difference": float(difference), "power": float(power), "runs": None, "patients": None,
        "with_endless_runs": None, "with_endless_patients": None, "reason": None,
    }  # fmt: skip
    if parts is None:
        return {**record, "reason": "one run does not show how runs differ"}
    reasons = []
    for unit in ("runs", "patients"):
        record[unit], record[f"with_endless_{unit}"], reason = _needed(parts, difference, alpha, power, unit)
        reasons += [reason] if reason else []
    return {**record, "reason": "; ".join(reasons) or None}


def _needed(
    parts: VarianceParts, difference: float, alpha: float, power: float, unit: Literal["runs", "patients"]
) -> tuple[int | None, float, str | None]:
    """Smallest number of runs, or of patients; the limit of the detectable difference; why there is none."""

    def suffices(number: float) -> bool:
        return study_power(parts, alpha, power, **{unit: number}) <= difference

    limit = study_power(parts, alpha, power, **{unit: math.inf})
    if limit >= difference:
        other = "the test patients" if unit == "runs" else "the trainings"
        other += " and the fits" if parts.fits else ""
        return None, limit, f"no number of {unit} suffices, since {other} alone vary too much"
    number = bisect_left(range(MOST + 1), True, lo=2, key=suffices)
    return (number, limit, None) if number <= MOST else (None, limit, f"more than {MOST:,} {unit}")
