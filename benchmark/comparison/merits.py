"""All figures of merit of the rows at one bracket, with bootstrap intervals, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.comparison.panel import Panel
from benchmark.comparison.rows import Protocol
from benchmark.statistics import bootstrap, intervals, weighted
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples
from benchmark.statistics.metrics import members
from benchmark.statistics.quality import FIGURES, Reading, columns

BASELINE = "real_only"
TOP = {"binary": 1.0, "multiclass": 2.0, "multilabel": 1.0}  # of the Brier score overall
OF_ALL = ("accuracy", "brier", "ece")  # figures that rest on all images, not on those of a class
Record = dict[str, Any]


def describe(protocol: Protocol) -> list[Record]:
    """What a page needs to know of every figure that the kind of task has."""
    positive = protocol.classes[-1]
    return [f.record(protocol.kind, positive) for f in FIGURES if f.per_class or protocol.kind in f.overall]


def readings(panel: Panel, name: str) -> list[Reading]:
    """The runs of a row."""
    return [Reading(panel.protocol.kind, panel.label, s) for s in panel.scores[name]]


class Merits:
    """The figures of all rows at one bracket of a split, every row in the same resamples of patients.

    Args:
        panel: the rows.
        per_class: whether figures of each class are asked for.
    """

    def __init__(self, panel: Panel, per_class: bool = True) -> None:
        self.protocol = panel.protocol
        every = columns(self.protocol.kind, len(self.protocol.classes))
        self._kept = np.array([i for i, c in enumerate(every) if per_class or c[1] is None])
        self._columns = [every[i] for i in self._kept]
        self._limits = np.array([self._ends(name, k) for name, k in self._columns])
        self._patients = np.array(self._behind(panel))
        self.resamples = Resamples(panel.patient)
        self._panel = panel
        self._estimates = {name: bootstrap.estimates(readings(panel, name)) for name in panel.rows}
        by_run = np.array(list(self._estimates.values()))[..., self._kept]
        self._pooled = Pooled.of(by_run, intervals.pooled_mean)
        self._pooled_difference = Pooled.of(by_run, intervals.pooled_difference)

    def records(self) -> dict[str, Record]:
        """By row: ``overall``, ``per_class``, ``versus_real_only`` (overall; None for the baseline)."""
        baseline = self._replicates(BASELINE) if BASELINE in self._panel.rows else None
        found = {}
        for name in self._panel.rows:
            own = baseline if baseline is not None and name == BASELINE else self._replicates(name)
            found[name] = self._record(own)
            if baseline is not None and name != BASELINE:
                found[name]["versus_real_only"] = self._versus(own - baseline)
        return found

    def _replicates(self, name: str) -> Replicates:
        found = bootstrap.replicate(readings(self._panel, name), self.resamples, self._estimates[name])
        return found.only(self._kept)

    def _record(self, own: Replicates) -> Record:
        record: Record = {
            "overall": {},
            "per_class": {c: {} for c in self.protocol.classes},
            "versus_real_only": None,
        }
        for (name, k), found in zip(
            self._columns, self._intervals(own, self._pooled, self._limits), strict=True
        ):
            into = record["overall"] if k is None else record["per_class"][self.protocol.classes[k]]
            into[name] = found
        return record

    def _versus(self, difference: Replicates) -> Record:
        """Overall alone."""
        widest = (self._limits[:, 1] - self._limits[:, 0])[:, None] * np.array([-1.0, 1.0])
        found = self._intervals(difference, self._pooled_difference, widest)
        return {name: f for (name, k), f in zip(self._columns, found, strict=True) if k is None}

    def _intervals(self, own: Replicates, pooled: Pooled | None, limits: np.ndarray) -> list[Record]:
        """``estimate``, ``low`` and ``high`` of every figure, cut where it ends; None where there is none."""
        low, high = bootstrap.bounds(own, self.resamples, pooled, self._patients, self.protocol.alpha)
        estimate = own.estimate.mean(0)
        low, high = (np.clip(v, limits[:, 0], limits[:, 1]) for v in (low, high))
        numbers = zip(estimate, np.minimum(low, estimate), np.maximum(high, estimate), strict=True)
        return [
            {
                k: float(v) if np.isfinite(v) else None
                for k, v in zip(("estimate", "low", "high"), own, strict=True)
            }
            for own in numbers
        ]

    def _behind(self, panel: Panel) -> list[int]:
        """The patients that each figure rests on: all, or those of the smaller side of its rarest class."""
        every = len(np.unique(panel.patient))
        of_class = [_smaller_side(panel, k) for k in range(len(self.protocol.classes))]
        overall = of_class[1] if self.protocol.kind == "binary" else min(of_class)
        return [
            every if name in OF_ALL else overall if k is None else of_class[k] for name, k in self._columns
        ]

    def _ends(self, name: str, k: int | None) -> tuple[float, float]:
        """The smallest and the largest value that a figure can take."""
        top = TOP[self.protocol.kind] if name == "brier" and k is None else 1.0
        return (-1.0 if name == "cohen_kappa" else 0.0), top


def _smaller_side(panel: Panel, k: int) -> int:
    """Patients with images of class k, or with images without it: the fewer."""
    inside = members(panel.label, k)
    return min(len(np.unique(panel.patient[side])) for side in (inside, ~inside))


def calibration(own: list[Reading], classes: int) -> Record:
    """The bins of a reliability diagram, all runs together.

    Of the predicted class; where an image may have several labels, of every class's own score.

    Returns:
        ``bins``, of equal width: ``low`` and ``high`` of the confidence, ``weight`` as a share of all, mean
        ``confidence`` and ``accuracy``, the share that came true (None in an empty bin).
    """
    multilabel = own[0].kind == "multilabel"
    pairs = [
        (r.scores[:, k], r.actual[:, k]) if multilabel else r.top_label()
        for r in own
        for k in range(classes if multilabel else 1)
    ]
    confidence, outcome = (np.concatenate(part) for part in zip(*pairs, strict=True))
    code, edges = weighted.bin_of(confidence), np.arange(weighted.BINS + 1) / weighted.BINS
    count = np.bincount(code, minlength=weighted.BINS)
    sums = [np.bincount(code, v.astype(np.float64), minlength=weighted.BINS) for v in (confidence, outcome)]
    means = [[float(s / n) if n else None for s, n in zip(part, count, strict=True)] for part in sums]
    return {
        "bins": [
            {
                "low": float(edges[m]),
                "high": float(edges[m + 1]),
                "weight": float(count[m] / count.sum()),
                "confidence": means[0][m],
                "accuracy": means[1][m],
            }
            for m in range(weighted.BINS)
        ]
    }


def merits(panel: Panel) -> dict[str, Record]:
    """By row: the records of ``Merits`` and ``calibration``."""
    classes = len(panel.protocol.classes)
    return {
        name: {**record, "calibration": calibration(readings(panel, name), classes)}
        for name, record in Merits(panel).records().items()
    }


def without_interval(found: Mapping[str, Record], split: str) -> list[str]:
    """A note where resamples lack a class too often for an interval."""
    first = next(iter(found.values()))
    classes = [c for c, own in first["per_class"].items() if any(f["low"] is None for f in own.values())]
    if not classes:
        return []
    return [
        f"More than {bootstrap.MOST_EMPTY:.0%} of the resamples of the patients of split {split} have no "
        f"image with, or none without, {', '.join(classes)}: figures that need it have no bootstrap interval."
    ]
