"""All figures of merit of the rows at one bracket, with bootstrap intervals, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.compare import bootstrap, intervals, weighted
from benchmark.compare.bootstrap import Replicates, Resamples
from benchmark.compare.metrics import members
from benchmark.compare.panel import Panel
from benchmark.compare.quality import FIGURES, Reading, columns
from benchmark.compare.rows import Protocol

BASELINE = "real_only"
TOP = {"binary": 1.0, "multiclass": 2.0, "multilabel": 1.0}  # of the Brier score overall
OF_ALL = ("accuracy", "brier", "ece")  # figures that rest on all images, not on those of a class
Record = dict[str, Any]


def describe(protocol: Protocol) -> list[Record]:
    """What a page needs to know of every figure that the kind of task has."""
    positive = protocol.classes[-1]
    return [f.record(protocol.kind, positive) for f in FIGURES if f.per_class or protocol.kind in f.overall]


def readings(panel: Panel) -> dict[str, list[Reading]]:
    """The runs of every row."""
    kind = panel.protocol.kind
    return {name: [Reading(kind, panel.label, s) for s in scores] for name, scores in panel.scores.items()}


class Merits:
    """The figures of all rows at one bracket of a split, every row in the same resamples of patients.

    Args:
        panel: the rows.
        per_class: whether figures of each class are asked for.
    """

    def __init__(self, panel: Panel, per_class: bool = True) -> None:
        self.protocol = panel.protocol
        self._every = columns(self.protocol.kind, len(self.protocol.classes))
        self.columns = [(i, c) for i, c in enumerate(self._every) if per_class or c[1] is None]
        self.resamples = Resamples(panel.patient)
        self._patients = len(np.unique(panel.patient))
        self._of_class = [_smaller_side(panel, k) for k in range(len(self.protocol.classes))]
        self.readings = readings(panel)
        self._estimates = np.array([bootstrap.estimates(r) for r in self.readings.values()])

    def records(self) -> dict[str, Record]:
        """By row: ``overall``, ``per_class``, ``versus_real_only`` (overall; None for the baseline)."""
        baseline = self._replicates(BASELINE) if BASELINE in self.readings else None
        found = {}
        for name in self.readings:
            own = baseline if baseline is not None and name == BASELINE else self._replicates(name)
            record = self._record(own)
            compared = baseline is not None and name != BASELINE
            record["versus_real_only"] = self._versus(own - baseline) if compared and baseline else None
            found[name] = record
        return found

    def _replicates(self, name: str) -> Replicates:
        return bootstrap.replicate(self.readings[name], self.resamples)

    def _record(self, own: Replicates) -> Record:
        record: Record = {"overall": {}, "per_class": {c: {} for c in self.protocol.classes}}
        for i, (name, k) in self.columns:
            pooled = intervals.pooled_mean(self._estimates[..., i])
            found = self._interval(own, i, pooled)
            into = record["overall"] if k is None else record["per_class"][self.protocol.classes[k]]
            into[name] = found
        return record

    def _versus(self, difference: Replicates) -> Record:
        found = {}
        for i, (name, k) in self.columns:
            if k is None:
                pooled = intervals.pooled_difference(self._estimates[..., i])
                found[name] = self._interval(difference, i, pooled, difference=True)
        return found

    def _interval(
        self, own: Replicates, i: int, pooled: intervals.RunVariance | None, difference: bool = False
    ) -> Record:
        column = self._every[i]
        low, high = self._limits(*column)
        return bootstrap.interval(
            own,
            i,
            self.resamples,
            pooled,
            patients=self._behind(*column),
            alpha=self.protocol.alpha,
            limits=(low - high, high - low) if difference else (low, high),
        )

    def _behind(self, name: str, k: int | None) -> int:
        """The patients that a figure rests on: all, or those of the smaller side of its rarest class."""
        if name in OF_ALL:
            return self._patients
        if k is None and self.protocol.kind == "binary":
            k = 1
        return self._of_class[k] if k is not None else min(self._of_class)

    def _limits(self, name: str, k: int | None) -> tuple[float, float]:
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
    several = own[0].kind == "multilabel"
    pairs = [
        (r.scores[:, k], r.actual[:, k]) if several else r.top_label()
        for r in own
        for k in range(classes if several else 1)
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
    found = Merits(panel)
    classes = len(panel.protocol.classes)
    return {
        name: {**record, "calibration": calibration(found.readings[name], classes)}
        for name, record in found.records().items()
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
