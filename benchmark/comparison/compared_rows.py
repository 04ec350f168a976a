"""The rows compared at one bracket of one split, and any metric of them with its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.comparison.aligned_rows import AlignedRows, Protocol
from benchmark.statistics import fits, intervals, metrics, selection
from benchmark.statistics.power import FitVariance
from benchmark.statistics.sides import Side, all_patients, sides_of, with_and_without

DIGITS = 12  # of a run's value; the last bits of a sum would break ties in tests on ranks
IDENTICAL = "the predictions are identical in this metric"


@dataclass(frozen=True, eq=False)
class MetricValues:
    """One metric of all rows."""

    # (R, n) values per image by row, see ``statistics.metrics``; means over the row's fits
    values: Mapping[str, np.ndarray]
    patient: np.ndarray  # (n,) codes
    protocol: Protocol  # for the error rates
    sides: tuple[Side, ...] = ()  # of the metric; empty for a mean over all images
    lowest: float = 0.0  # the smallest value that the metric can take; the largest is 1
    # (F, R, n) values by row with several fits
    by_fit: Mapping[str, np.ndarray] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)  # of these rows

    @cached_property
    def _by_run(self) -> np.ndarray:
        return np.array([v.mean(-1) for v in self.values.values()])

    @cached_property
    def _pooled_mean(self) -> intervals.RunVariance | None:
        return intervals.pooled_mean(self._by_run)

    @cached_property
    def _pooled_difference(self) -> intervals.RunVariance | None:
        return intervals.pooled_difference(self._by_run)

    @cached_property
    def _fit_variances(self) -> dict[str, FitVariance]:
        """Variance between fits of every row with several, pooled over the rows of its role."""
        variances: dict[str, FitVariance] = {}
        for role in set(self.roles.values()):
            own = {n: v for n, v in self.by_fit.items() if self.roles[n] == role}
            pooled = fits.between_fits([v.mean(-1) for v in own.values()])
            assert pooled is not None
            variances |= {n: fits.fit_variance(v, self.patient, pooled) for n, v in own.items()}
        return variances

    def fit_variances(self, *names: str) -> list[FitVariance]:
        """Return the variance between fits of those of the rows that have several."""
        return [self._fit_variances[name] for name in names if name in self._fit_variances]

    def _interval(
        self, values: np.ndarray, pooled: intervals.RunVariance | None, *rows: str
    ) -> intervals.Interval:
        alpha, power, between = self.protocol.alpha, self.protocol.power, self.fit_variances(*rows)
        return intervals.interval(
            values, self.patient, pooled, alpha=alpha, power=power, fits=between, sides=self.sides
        )

    def mean(self, name: str) -> dict[str, Any]:
        """Return a row's mean with its interval, cut at the metric's range.

        The test against zero and its power mean nothing here, so ``p`` and ``detectable`` are left out.
        """
        record = self._interval(self.values[name], self._pooled_mean, name).record()
        del record["p"], record["detectable"]
        if record["reason"]:
            return record
        return {**record, "low": max(self.lowest, record["low"]), "high": min(1.0, record["high"])}

    def over_fits(self, name: str) -> dict[str, Any]:
        """Return the value of every fit, and the sources of the interval's variance; empty with one fit."""
        if name not in self.by_fit:
            return {}
        parts = self._interval(self.values[name], self._pooled_mean, name).parts
        values = [round(float(v), DIGITS) for v in self.by_fit[name].mean((1, 2))]
        return {"fit_values": values, "sources": parts.shares() if parts else None}

    def difference(self, a: str, b: str) -> intervals.Interval:
        """Return the paired difference a minus b."""
        values = self.values[a] - self.values[b]
        difference = self._interval(values, self._pooled_difference, a, b)
        alike = difference.reason == intervals.CONSTANT and not values.any()
        return replace(difference, reason=IDENTICAL) if alike else difference

    def versus(self, name: str, base: str) -> intervals.Interval | None:
        """Return the paired difference to a baseline; None for the baseline itself, or without it."""
        return self.difference(name, base) if name != base and base in self.values else None

    def run_values(self, name: str) -> list[float]:
        """Return the value of every run of a row, mean over its fits."""
        return [round(float(v), DIGITS) for v in self.values[name].mean(-1)]

    def training_values(self, name: str) -> list[float]:
        """Return the value of every training of a row: of every run, fit by fit."""
        if name not in self.by_fit:
            return self.run_values(name)
        return [round(float(v), DIGITS) for v in self.by_fit[name].mean(-1).ravel()]

    def attempt_error(self, name: str) -> float | None:
        """Return the standard error of a row's mean between attempts, see ``selection.attempt_error``."""
        own = self._fit_variances.get(name)
        return selection.attempt_error(self._by_run, own.total if own else None)

    def of_runs(self, runs: list[int]) -> MetricValues:
        """Return the same metric over some of the runs."""
        values = {row: v[runs] for row, v in self.values.items()}
        by_fit = {row: v[:, runs] for row, v in self.by_fit.items()}
        return replace(self, values=values, by_fit=by_fit)


class ComparedRows:
    """The rows compared at a bracket of a split, over all images or those of a mask ``keep`` (n,)."""

    def __init__(
        self, aligned: AlignedRows, split: str, bracket: int, keep: np.ndarray | None = None
    ) -> None:
        self.protocol, self.images = aligned.protocol, aligned.splits[split]
        chosen = slice(None) if keep is None else keep
        self.label, self.patient = self.images.label[chosen], self.images.patient[chosen]
        # each row with its own bracket, and its (F * R, n, K) scores
        self.rows = {row.name: (row, own) for row, own in aligned.beside(split, bracket)}
        self.scores = {name: row.scores[split, own][:, chosen] for name, (row, own) in self.rows.items()}
        self._values: dict[str, MetricValues] = {}

    def metric(self, name: str) -> MetricValues:
        """One of the protocol's metrics."""
        if name not in self._values:
            metric = self.protocol.metrics[name]
            sides = sides_of(name, self.label, self.patient, self.protocol.classes)
            self._values[name] = self._of(metric.values, sides, metric.lowest)
        return self._values[name]

    @property
    def primary(self) -> MetricValues:
        """The metric that ranks."""
        return self.metric(self.protocol.primary.name)

    def recall(self, k: int) -> MetricValues:
        """Share of the images of class k that are predicted as it."""
        inside = metrics.members(self.label, k)
        values = {
            n: metrics.findings(self.label, s, k)[:, inside].astype(np.float64)
            for n, s in self.scores.items()
        }
        patient = self.patient[inside]
        sides = all_patients(patient, f"patients of class {self.protocol.classes[k]}")
        return self._metric_values(values, patient, sides)

    def class_auroc(self, k: int) -> MetricValues:
        """AUROC of class k against the rest."""
        return self._of(lambda label, scores: metrics.class_auroc(label, scores, k), self._against_rest(k))

    def class_metric(self, name: str, k: int) -> MetricValues:
        """``precision``, ``recall`` or ``f1`` of class k."""
        if name == "recall":
            return self.recall(k)
        values = precision_values if name == "precision" else metrics.f1_of
        actual = metrics.members(self.label, k)
        return self._of(
            lambda label, scores: values(actual, metrics.findings(label, scores, k)), self._against_rest(k)
        )

    def _against_rest(self, k: int) -> tuple[Side, ...]:
        return with_and_without(self.label, self.patient, k, self.protocol.classes[k])

    def per_class(self, k: int) -> dict[str, dict[str, Any]]:
        """Precision and F1 of class k, means over runs, and its number of images, by row."""
        actual = metrics.members(self.label, k)
        predicted = {n: metrics.findings(self.label, s, k) for n, s in self.scores.items()}
        return {
            n: {
                "precision": float(metrics.precision_of(actual, p).mean()),
                "f1": float(metrics.f1_of(actual, p).mean()),
                "images": int(actual.sum()),
            }
            for n, p in predicted.items()
        }

    def _of(
        self,
        values: Callable[[np.ndarray, np.ndarray], np.ndarray],
        sides: tuple[Side, ...],
        lowest: float = 0.0,
    ) -> MetricValues:
        by_row = {n: values(self.label, s) for n, s in self.scores.items()}
        return self._metric_values(by_row, self.patient, sides, lowest)

    def _metric_values(
        self,
        trainings: Mapping[str, np.ndarray],
        patient: np.ndarray,
        sides: tuple[Side, ...],
        lowest: float = 0.0,
    ) -> MetricValues:
        """Return the metric of (F * R, n) values by row, fit by fit."""
        by_fit = {n: v.reshape(len(self.rows[n][0].fits), -1, v.shape[-1]) for n, v in trainings.items()}
        values = {n: v.mean(0) for n, v in by_fit.items()}
        refitted = {n: v for n, v in by_fit.items() if len(v) > 1}
        roles = {n: self.rows[n][0].role for n in refitted}
        return MetricValues(values, patient, self.protocol, sides, lowest, refitted, roles)


def precision_values(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return values per image for precision = TP / predicted positives, 0 to 1, by the delta method.

    Without a positive prediction, precision and all values are 0.

    Args:
        actual: (n,) bool.
        predicted: (..., n) bool.
    Returns:
        (..., n).
    """
    both, positive = (predicted & actual).astype(np.float64), predicted.astype(np.float64)
    share = positive.mean(-1, keepdims=True)
    share = np.where(share > 0, share, 1.0)
    precision = both.mean(-1, keepdims=True) / share
    return np.asarray(precision + (both - precision * positive) / share)
