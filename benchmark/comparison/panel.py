"""The rows at one bracket of one split, beside each other: any metric of them, with its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.comparison.rows import Protocol, Row, SplitImages, Study
from benchmark.statistics import intervals, metrics

DIGITS = 12  # of a run's value; the last bits of a sum would break ties in tests on ranks


@dataclass(frozen=True, eq=False)
class Measured:
    """One metric of all rows.

    Attributes:
        values: (R, n) values per image by row, see ``metrics``.
        patient: (n,) codes.
        protocol: for the error rates.
        lowest: the smallest value that the metric can take; the largest is 1.
    """

    values: Mapping[str, np.ndarray]
    patient: np.ndarray
    protocol: Protocol
    lowest: float = 0.0

    @cached_property
    def _by_run(self) -> np.ndarray:
        return np.array([v.mean(-1) for v in self.values.values()])

    @cached_property
    def _pooled_mean(self) -> intervals.RunVariance | None:
        return intervals.pooled_mean(self._by_run)

    @cached_property
    def _pooled_difference(self) -> intervals.RunVariance | None:
        return intervals.pooled_difference(self._by_run)

    def _interval(self, values: np.ndarray, pooled: intervals.RunVariance | None) -> intervals.Interval:
        alpha, power = self.protocol.alpha, self.protocol.power
        return intervals.interval(values, self.patient, pooled, alpha=alpha, power=power)

    def mean(self, name: str) -> dict[str, float]:
        """A row's mean with its interval, cut where the metric ends.

        A test against zero and its power say nothing about it, so ``p`` and ``detectable`` are left out.
        """
        record = self._interval(self.values[name], self._pooled_mean).record()
        kept = {k: v for k, v in record.items() if k not in ("p", "detectable")}
        return {**kept, "low": max(self.lowest, record["low"]), "high": min(1.0, record["high"])}

    def difference(self, a: str, b: str) -> intervals.Interval:
        """The paired difference a minus b."""
        return self._interval(self.values[a] - self.values[b], self._pooled_difference)

    def run_values(self, name: str) -> list[float]:
        """The value of every run of a row."""
        return [round(float(v), DIGITS) for v in self.values[name].mean(-1)]


class Panel:
    """The rows that are compared at a bracket of a split.

    Args:
        keep: (n,) bool, the images to look at; None for all.
    """

    def __init__(self, study: Study, split: str, bracket: int, keep: np.ndarray | None = None) -> None:
        images = study.splits[split]
        self.protocol = study.protocol
        self.images: SplitImages = images
        self.keep = np.full(len(images.image_id), True) if keep is None else keep
        self.label, self.patient = images.label[self.keep], images.patient[self.keep]
        self.rows: dict[str, tuple[Row, int]] = {r.name: (r, b) for r, b in study.beside(split, bracket)}
        self.scores = {n: row.scores[split, own][:, self.keep] for n, (row, own) in self.rows.items()}
        self._measured: dict[str, Measured] = {}

    def metric(self, name: str) -> Measured:
        """One of the protocol's metrics."""
        if name not in self._measured:
            metric = self.protocol.metrics[name]
            self._measured[name] = self._measure(metric.values, metric.lowest)
        return self._measured[name]

    @property
    def primary(self) -> Measured:
        """The metric that ranks."""
        return self.metric(self.protocol.primary.name)

    def recall(self, k: int) -> Measured:
        """Share of the images of class k that are found."""
        inside = metrics.members(self.label, k)
        found = {n: metrics.findings(self.label, s, k)[:, inside] for n, s in self.scores.items()}
        values = {n: f.astype(np.float64) for n, f in found.items()}
        return Measured(values, self.patient[inside], self.protocol)

    def class_auroc(self, k: int) -> Measured:
        """AUROC of class k against the rest."""
        return self._measure(lambda label, scores: metrics.class_auroc(label, scores, k))

    def per_class(self, k: int) -> dict[str, dict[str, Any]]:
        """Precision and F1 of class k, means over runs, by row."""
        actual = metrics.members(self.label, k)
        said = {n: metrics.findings(self.label, s, k) for n, s in self.scores.items()}
        return {
            n: {
                "precision": float(metrics.precision_of(actual, s).mean()),
                "f1": float(metrics.f1_of(actual, s).mean()),
                "images": int(actual.sum()),
            }
            for n, s in said.items()
        }

    def _measure(
        self, values: Callable[[np.ndarray, np.ndarray], np.ndarray], lowest: float = 0.0
    ) -> Measured:
        found = {n: values(self.label, s) for n, s in self.scores.items()}
        return Measured(found, self.patient, self.protocol, lowest)
