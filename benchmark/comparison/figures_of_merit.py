"""All figures of merit of the rows at one bracket, with bootstrap intervals."""

from typing import Any

import numpy as np

from benchmark.comparison.aligned_rows import Protocol
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.comparison.figures import BASELINE
from benchmark.comparison.row_records import Calibration, CalibrationBin, RowQuality
from benchmark.statistics import bootstrap, intervals, weighted
from benchmark.statistics.bootstrap import Pooled, Replicates, Resamples
from benchmark.statistics.quality import FIGURES, Column, Reading, columns
from benchmark.statistics.sides import FEWEST, too_few, with_and_without

TOP = {"binary": 1.0, "multiclass": 2.0, "multilabel": 1.0}  # of the Brier score overall
OF_ALL = ("accuracy", "brier", "ece")  # figures that rest on all images, not on those of a class
BOUNDS = ("estimate", "low", "high")
Record = dict[str, Any]


def quality_cards(protocol: Protocol) -> list[Record]:
    """Return ``records.QualityCard`` of every figure that the kind of task has."""
    positive = protocol.classes[-1]
    return [f.record(protocol.kind, positive) for f in FIGURES if f.per_class or protocol.kind in f.overall]


class FiguresOfMerit:
    """The figures of all rows at one bracket of a split, every row in the same resamples of patients.

    ``per_class`` includes the figures of each class.
    """

    def __init__(self, compared: ComparedRows, per_class: bool = True) -> None:
        self.protocol = compared.protocol
        every = columns(self.protocol.kind, len(self.protocol.classes))
        self._chosen = np.array([i for i, c in enumerate(every) if per_class or c[1] is None])
        self._columns = [every[i] for i in self._chosen]
        self._limits = np.array([self._range(name, k) for name, k in self._columns])
        names = enumerate(self.protocol.classes)
        both = (with_and_without(compared.label, compared.patient, k, name) for k, name in names)
        self._sides = [side for sides in both for side in sides]
        self._patients = np.array(self._supporting_patients(compared))
        self.resamples = Resamples(compared.patient)
        self.readings = {
            name: [Reading(self.protocol.kind, compared.label, s) for s in scores]
            for name, scores in compared.scores.items()
        }
        self._rows = {name: row for name, (row, _) in compared.rows.items()}
        self._estimates = {name: bootstrap.estimates(runs) for name, runs in self.readings.items()}
        tables = {
            name: e[:, self._chosen].reshape(len(self._rows[name].fits), -1, len(self._chosen))
            for name, e in self._estimates.items()
        }
        self._pooled_fits = {
            role: Pooled.of_fits([t for name, t in tables.items() if self._rows[name].role == role])
            for role in {row.role for row in self._rows.values()}
        }
        by_run = np.array([table.mean(0) for table in tables.values()])
        self._pooled = Pooled.of(by_run, intervals.pooled_mean)
        self._pooled_difference = Pooled.of(by_run, intervals.pooled_difference)

    def records(self) -> dict[str, Record]:
        """Return the fields of ``records.RowQuality`` by row, except ``calibration``."""
        baseline = self._replicates(BASELINE) if BASELINE in self.readings else None
        records = {}
        for name in self.readings:
            if baseline is not None and name == BASELINE:
                records[name] = self._record(name, baseline)
                continue
            own = self._replicates(name)
            records[name] = self._record(name, own)
            if baseline is not None:
                records[name]["versus_real_only"] = self._versus(name, own - baseline)
        return records

    def _replicates(self, name: str) -> Replicates:
        fits = len(self._rows[name].fits)
        drawn = bootstrap.replicate(self.readings[name], self.resamples, self._estimates[name], fits)
        return drawn.only(self._chosen)

    def _record(self, name: str, own: Replicates) -> Record:
        per_class: dict[str, Record] = {c: {} for c in self.protocol.classes}
        record: Record = {"overall": {}, "per_class": per_class, "versus_real_only": None}
        bounds = self._intervals(name, own, self._pooled, self._limits)
        for (metric, k), figure in zip(self._columns, bounds, strict=True):
            into = record["overall"] if k is None else per_class[self.protocol.classes[k]]
            into[metric] = figure
        return record

    def _versus(self, name: str, difference: Replicates) -> Record:
        """Differences to the baseline over all classes."""
        widest = (self._limits[:, 1] - self._limits[:, 0])[:, None] * np.array([-1.0, 1.0])
        bounds = self._intervals(name, difference, self._pooled_difference, widest)
        return {metric: f for (metric, k), f in zip(self._columns, bounds, strict=True) if k is None}

    def _intervals(
        self, name: str, own: Replicates, pooled: Pooled | None, limits: np.ndarray
    ) -> list[Record]:
        """Return the fields of ``records.Bounds`` of every figure, cut at its range."""
        estimate, fits = own.estimate.mean(0), self._pooled_fits[self._rows[name].role]
        bounds = bootstrap.bounds(own, self.resamples, pooled, self._patients, self.protocol.alpha, fits)
        low, high = (np.clip(end, limits[:, 0], limits[:, 1]) for end in bounds)
        numbers = np.stack([estimate, np.minimum(low, estimate), np.maximum(high, estimate)], axis=1)
        return [
            {
                **{k: float(v) if np.isfinite(v) else None for k, v in zip(BOUNDS, each, strict=True)},
                "reason": None if np.isfinite(each).all() else self._missing(column, patients, each[0]),
            }
            for column, patients, each in zip(self._columns, self._patients, numbers, strict=True)
        ]

    def _missing(self, column: Column, patients: int, estimate: float) -> str:
        """Return why a figure has no interval."""
        if not np.isfinite(estimate):
            return "the figure is not defined for these predictions"
        if patients < FEWEST:
            sides = self._sides if column[1] is None else self._sides[2 * column[1] : 2 * column[1] + 2]
            return too_few(sides) or f"fewer than {FEWEST} patients"
        return "no resample of the patients differs"

    def _supporting_patients(self, compared: ComparedRows) -> list[int]:
        """Patients that support each figure: all, or those of the smaller side of its rarest class."""
        every = len(np.unique(compared.patient))
        pairs = zip(self._sides[::2], self._sides[1::2], strict=True)
        of_class = [min(inside.patients, outside.patients) for inside, outside in pairs]
        overall = of_class[1] if self.protocol.kind == "binary" else min(of_class)
        return [
            every if name in OF_ALL else overall if k is None else of_class[k] for name, k in self._columns
        ]

    def _range(self, name: str, k: int | None) -> tuple[float, float]:
        """The smallest and the largest value of a figure."""
        top = TOP[self.protocol.kind] if name == "brier" and k is None else 1.0
        return (-1.0 if name == "cohen_kappa" else 0.0), top


def calibration(runs: list[Reading], classes: int) -> Calibration:
    """Return the reliability diagram of all runs together, in bins of equal width.

    Of the predicted class; for multi-label tasks, of every class's own score.
    """
    multilabel = runs[0].kind == "multilabel"
    pairs = [
        (r.scores[:, k], r.actual[:, k]) if multilabel else r.top_label()
        for r in runs
        for k in range(classes if multilabel else 1)
    ]
    confidence, outcome = (np.concatenate(part) for part in zip(*pairs, strict=True))
    code, edges = weighted.bin_of(confidence), np.arange(weighted.BINS + 1) / weighted.BINS
    count = np.bincount(code, minlength=weighted.BINS)
    sums = [np.bincount(code, v.astype(np.float64), minlength=weighted.BINS) for v in (confidence, outcome)]
    bins = [
        CalibrationBin(
            low=edges[m], high=edges[m + 1], weight=n / count.sum(),
            confidence=sums[0][m] / n if n else None, accuracy=sums[1][m] / n if n else None,
        )
        for m, n in enumerate(count)
    ]  # fmt: skip
    return Calibration(bins=bins)


def figures_of_merit(compared: ComparedRows) -> dict[str, RowQuality]:
    figures, classes = FiguresOfMerit(compared), len(compared.protocol.classes)
    return {
        name: RowQuality(**record, calibration=calibration(figures.readings[name], classes))
        for name, record in figures.records().items()
    }
