"""DeLong's test of two ROC curves of the same images, of independent images or clustered by patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.metrics import auroc_components

ROUNDING = 1e-12


def delong(
    label: np.ndarray, a: np.ndarray, b: np.ndarray, patient: np.ndarray | None = None, alpha: float = 0.05
) -> dict[str, Any]:
    """Compare the areas under the ROC curves of two scores.

    Args:
        label: (n,) 0 or 1, or bool; both present.
        a, b: (n,) scores, higher is more likely 1; ties count half.
        patient: (n,) labels, to sum the structural components by patient; None for independent images.
            The standard error with one image per patient is the same.
        alpha: of the intervals of level 1 - alpha.
    Returns:
        ``difference`` of the areas a - b, with ``se``, ``low``, ``high``, ``z`` = difference / se and
        two-sided ``p``: normal; with patients from a t distribution with ``df`` (else None) by Satterthwaite
        from the patients on either side, since with few patients normal p-values are too small, see
        docs/statistics.md. ``a`` and ``b``: the areas, each {``auroc``, ``se``, ``low``,
        ``high``}, on the logit scale, which stays within 0 and 1; no interval for an area of 0 or 1.
        ``positives`` and ``negatives`` (images), ``patients`` (None if not given). ``reason``: if the
        components do not vary, ``low``, ``high``, ``z`` and ``p`` are None; this is why.
    Raises:
        MetricError: arrays of different length, a side with fewer than two images (or patients), or a score
            that is not finite.
    Source: DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837); midranks as in Sun and Xu 2014 (IEEE
        Signal Process Lett 21:1389); clustered as in Obuchowski 1997 (Biometrics 53:567).
    """
    actual = np.asarray(label) == 1
    group = np.arange(len(actual)) if patient is None else np.unique(patient, return_inverse=True)[1]
    _validate(actual, np.asarray(a), np.asarray(b), group)
    parts = auroc_components(actual, np.stack([a, b]).astype(np.float64))
    area_a, area_b, difference = (
        _Area.of(actual, part, group, clustered=patient is not None)
        for part in (parts[0], parts[1], parts[0] - parts[1])
    )
    return {
        "difference": difference.value,
        **difference.interval(alpha),
        "se": difference.se,
        **difference.test(),
        "a": area_a.record(alpha),
        "b": area_b.record(alpha),
        "positives": int(actual.sum()),
        "negatives": int((~actual).sum()),
        "patients": None if patient is None else int(group.max()) + 1,
    }


@dataclass(frozen=True)
class _Area:
    """An area, or a difference of two, with its standard error and degrees of freedom."""

    value: float
    se: float
    df: float

    @classmethod
    def of(cls, actual: np.ndarray, component: np.ndarray, group: np.ndarray, *, clustered: bool) -> _Area:
        """Estimate from the (n,) structural components of the images, summed by group.

        With m_i and n_i images of group i on each side and X_i, Y_i the sums of their components, the
        variance is the sum of squares of (X_i - m_i area) / m over the groups with positives, times
        G / (G - 1) for G of these; the same for the other side; and twice the sum of products over all.
        """
        value = float(component[actual].mean())
        residual = np.where(actual, 1 / actual.sum(), 1 / (~actual).sum()) * (component - value)
        size = int(group.max()) + 1
        x, y = (np.bincount(group[side], residual[side], size) for side in (actual, ~actual))
        groups = [len(np.unique(group[side])) for side in (actual, ~actual)]
        sides = [_unbiased(g) * float((v**2).sum()) for g, v in zip(groups, (x, y), strict=True)]
        variance = max(sum(sides) + 2 * _unbiased(size) * float((x * y).sum()), 0.0)
        spread = sum(v**2 / (g - 1) for g, v in zip(groups, sides, strict=True))
        df = sum(sides) ** 2 / spread if clustered and spread > 0 else np.inf
        return cls(value, float(np.sqrt(variance)), df)

    def reach(self, alpha: float) -> float:
        """Half the width of the symmetric interval."""
        from scipy.stats import t

        return float(t.ppf(1 - alpha / 2, self.df)) * self.se

    def interval(self, alpha: float) -> dict[str, float | None]:
        """Symmetric interval of a difference."""
        if self.se <= ROUNDING:
            return {"low": None, "high": None}
        return {"low": self.value - self.reach(alpha), "high": self.value + self.reach(alpha)}

    def test(self) -> dict[str, Any]:
        """Test of the hypothesis that the value is 0."""
        from scipy.stats import t

        df = float(self.df) if np.isfinite(self.df) else None
        if self.se > ROUNDING:
            z = self.value / self.se
            return {"z": z, "df": df, "p": float(2 * t.sf(abs(z), self.df)), "reason": None}
        alike = "the two order all images alike"
        reason = alike if abs(self.value) < ROUNDING else "the difference is the same for every image"
        return {"z": None, "df": df, "p": None, "reason": reason}

    def record(self, alpha: float) -> dict[str, Any]:
        """The area with the interval of its logit."""
        from scipy.special import expit, logit

        low = high = None
        if ROUNDING < self.value < 1 - ROUNDING:
            reach = self.reach(alpha) / (self.value * (1 - self.value))
            low, high = (float(expit(logit(self.value) + side * reach)) for side in (-1, 1))
        return {"auroc": self.value, "se": self.se, "low": low, "high": high}


def _unbiased(groups: int) -> float:
    return float(groups / (groups - 1))


def _validate(actual: np.ndarray, a: np.ndarray, b: np.ndarray, group: np.ndarray) -> None:
    if not actual.shape == a.shape == b.shape == group.shape:
        raise MetricError("delong", "labels, scores and patients differ in length", "Give one per image.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise MetricError("delong", "a score is not a finite number", "Give finite scores.")
    for side, name in ((actual, "1"), (~actual, "0")):
        if len(np.unique(group[side])) < 2:
            raise MetricError("delong", f"fewer than two images or patients of label {name}", "Add some.")
