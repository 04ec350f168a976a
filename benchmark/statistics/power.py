"""What a comparison could have seen: smallest detectable differences, and what it would take to see less."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.errors import MetricError

MOST = 1_000_000  # runs, or patients, that are looked for
ROUNDING = 1e-9


def smallest_detectable(se: float, df: float, alpha: float, power: float) -> float:
    """The true difference that a two-sided t test finds with the power, in the unit of ``se``.

    The noncentrality of the t distribution whose upper tail beyond the critical value is the power, times
    the standard error; the other tail is left out.

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
    """The gain in accuracy that McNemar's test finds with the power.

    Solves the equation of ``needed_mcnemar`` for the difference.

    Args:
        images: of the test set.
        discordant_share: of the images that one classifier has right and the other wrong, above 0 to 1.
        design_effect: by which clustering multiplies the variance, see ``paired.mcnemar_clustered``.
    Returns:
        0 to ``discordant_share``; None where not even a row that loses no image would be found.
    Raises:
        MetricError: a share outside 0 to 1, or no images.
    """
    _check(discordant_share, design_effect)
    if images < 1:
        raise MetricError("power", f"{images} test images", "Give at least one.")
    n = images / design_effect
    za, zb = _normal(1 - alpha / 2), _normal(power)
    inner = n + zb**2 - za**2
    if inner < 0:
        return None
    found = math.sqrt(discordant_share) * (za * math.sqrt(n) + zb * math.sqrt(inner)) / (n + zb**2)
    return found if found <= discordant_share else None


def needed_mcnemar(
    difference: float, discordant_share: float, alpha: float, power: float, design_effect: float = 1.0
) -> int:
    """Test images with which McNemar's test finds a gain in accuracy with the power.

    ((z(1 - alpha / 2) sqrt(share) + z(power) sqrt(share - difference^2)) / difference)^2, rounded up.

    Args:
        difference: of the accuracies, not 0, at most ``discordant_share`` in size.
        discordant_share: of the images, above 0 to 1.
        design_effect: by which clustering multiplies the number.
    Raises:
        MetricError: a share outside 0 to 1, or a difference of 0 or beyond the share.
    Source: Miettinen 1968 (Biometrics 24:339), in the form of Connor 1987 (Biometrics 43:207), page 209.
    """
    _check(discordant_share, design_effect)
    if not 0 < abs(difference) <= discordant_share:
        raise MetricError(
            "power",
            f"a difference of {difference:g} with {discordant_share:g} discordant images",
            "The difference is above 0 and at most the share of discordant images.",
        )
    spread = math.sqrt(discordant_share - difference**2)
    root = (_normal(1 - alpha / 2) * math.sqrt(discordant_share) + _normal(power) * spread) / difference
    return math.ceil(root**2 * design_effect)


@dataclass(frozen=True)
class VarianceParts:
    """What the variance of a mean over runs is made of, see ``intervals.interval``.

    Attributes:
        shared: what any two runs share because they see the same patients; falls with the patients.
        chance: of single predictions, of one run; falls with patients and with runs.
        between: of one run's value between runs, chance included; the rest falls with the runs.
        between_df: degrees of freedom of ``between``.
        runs, patients: at which these were found; at least two each.
    """

    shared: float
    chance: float
    between: float
    between_df: float
    runs: int
    patients: int

    def at(self, runs: float, patients: float) -> tuple[float, float]:
        """Standard error and degrees of freedom with other numbers of runs and patients; either may be inf.

        Test images per patient, classes and discordance are taken as they are. At the numbers found, it
        is the error of the interval itself.
        """
        fewer = self.patients / patients
        shared, chance = self.shared * fewer, self.chance * fewer
        trained = max(self.between - self.chance, 0.0) + min(self.between, self.chance) * fewer
        variance = shared + max(trained, chance) / runs
        between_df = self.between_df * (runs - 1) / (self.runs - 1)
        spread = shared**2 / (patients - 1) + (trained / runs) ** 2 / between_df
        total = shared + trained / runs
        df = total**2 / spread if total > ROUNDING * variance and spread > 0 else patients - 1
        return math.sqrt(variance), df


def study_power(
    parts: VarianceParts, alpha: float, power: float, runs: float | None = None, patients: float | None = None
) -> float:
    """The smallest true difference found with the power, in the unit of the metric.

    Args:
        parts: of the paired difference.
        runs, patients: None for those of the study; ``math.inf`` for the limit.
    """
    se, df = parts.at(runs or parts.runs, patients or parts.patients)
    return smallest_detectable(se, df, alpha, power) if se > 0 else 0.0


def needed(parts: VarianceParts | None, difference: float, alpha: float, power: float) -> dict[str, Any]:
    """How many runs, or how many test patients, it takes to find a difference.

    Args:
        parts: of the paired difference; None where one run leaves them unknown.
        difference: above 0, in the unit of the metric.
    Returns:
        ``difference`` and ``power`` as given; ``runs`` with the patients at hand and ``patients`` with the
        runs at hand, the least that suffice, each None where no number does; ``with_endless_runs`` and
        ``with_endless_patients``, the smallest detectable differences in these limits; and ``reason`` why
        a number is missing, or None.
    Raises:
        MetricError: the difference is not above 0.
    """
    if not difference > 0:
        raise MetricError("power", f"a difference of {difference:g}", "Give one above 0.")
    asked = {"difference": float(difference), "power": float(power)}
    if parts is None:
        return {**asked, "runs": None, "patients": None, "with_endless_runs": None,
                "with_endless_patients": None, "reason": "one run does not show how runs differ"}  # fmt: skip
    runs = _needed(parts, difference, alpha, power, "runs")
    patients = _needed(parts, difference, alpha, power, "patients")
    return {
        **asked,
        "runs": runs.least,
        "patients": patients.least,
        "with_endless_runs": runs.limit,
        "with_endless_patients": patients.limit,
        "reason": "; ".join(r for r in (runs.reason, patients.reason) if r) or None,
    }


@dataclass(frozen=True)
class _Needed:
    least: int | None
    limit: float
    reason: str | None


def _needed(parts: VarianceParts, difference: float, alpha: float, power: float, what: str) -> _Needed:
    """The least number of runs, or of patients."""

    def seen(number: float) -> float:
        return study_power(parts, alpha, power, **{what: number})

    limit = seen(math.inf)
    if limit >= difference:
        other = "the test patients" if what == "runs" else "the trainings"
        return _Needed(None, limit, f"no number of {what} suffices, since {other} alone vary too much")
    least = _least(seen, difference)
    return _Needed(least, limit, None if least else f"more than {MOST:,} {what}")


def _least(seen: Callable[[float], float], difference: float) -> int | None:
    """The smallest number from 2 at which what is detectable is at most the difference."""
    low, high = 1, 2
    while seen(high) > difference:
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seen(middle) <= difference else (middle, high)
    return high


def _normal(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(level))


def _check(share: float, design_effect: float) -> None:
    if not 0 < share <= 1:
        raise MetricError("power", f"a share of {share:g} discordant images", "It is above 0 and at most 1.")
    if not design_effect > 0:
        raise MetricError("power", f"a design effect of {design_effect:g}", "It is above 0.")
