"""The rows of one leaderboard as aligned arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.statistics.metrics import Kind, Metric

Run = tuple[str, int, int | None]  # classifier, seed, and fold where every fold's model reads all images
NOT_RECORDED = "not recorded"  # a subgroup


@dataclass(frozen=True, eq=False)
class SplitImages:
    """The test images of a split and the runs that read them, the same for every row."""

    image_id: np.ndarray  # (n,) str, sorted
    label: np.ndarray  # (n,) class index, or (n, K) 0 or 1 for multi-label tasks
    patient: np.ndarray  # (n,) int code
    runs: tuple[Run, ...]  # sorted
    joined: bool  # True if the held-out parts of a cross-validation's folds are joined into one run
    groups: Mapping[str, np.ndarray]  # (n,) str by subgroup field of the predictions

    @property
    def patients(self) -> int:
        return len(np.unique(self.patient))


@dataclass(frozen=True, eq=False)
class Row:
    """One row of the leaderboard."""

    name: str
    role: str  # ``generator`` or ``control``
    error: str | None  # reason of a failure, or None
    memorization: Mapping[str, Any] | None  # record of the gate, or None
    # (fits * runs, n, classes) float64 by split and bracket, fit by fit; empty for a failed row
    scores: Mapping[tuple[str, int], np.ndarray]
    fits: tuple[int, ...] = (0,)  # seeds of the generator's fits; (0,) for a row without images
    test_access: str = "none"  # of the authors, as the submission card declares it

    def brackets(self, split: str) -> list[int]:
        """The row's brackets on a split; [0] for a row without added images."""
        return sorted(b for s, b in self.scores if s == split)

    def at(self, split: str, bracket: int) -> int | None:
        """The row's own bracket when rows are compared at ``bracket``, or None."""
        own = self.brackets(split)
        if bracket in own:
            return bracket
        return 0 if own == [0] else None


@dataclass(frozen=True, eq=False)
class Protocol:
    """The choices that all rows share."""

    classes: tuple[str, ...]
    kind: Kind
    metrics: Mapping[str, Metric]  # by name; the first is the primary metric
    folds: int  # of the cross-validation; 1 with a held-out part
    subgroups: tuple[str, ...]
    primary_bracket: int
    brackets: tuple[int, ...]
    seeds: tuple[int, ...]
    classifiers: tuple[str, ...]
    alpha: float
    correction: str
    power: float
    margin: float = 0.02
    # the row that ``oracle`` must beat if the task can measure anything: ``real_only``, or ``noise`` where
    # classifiers train on synthetic images alone and ``real_only`` is the ceiling
    yardstick: str = "real_only"
    # True if synthetic images change how frequent the classes are. Then ``noise`` changes it too and may
    # help, so a generator's benefit must exceed that of ``noise``.
    rebalances: bool = False

    @property
    def primary(self) -> Metric:
        """The metric that ranks."""
        return next(iter(self.metrics.values()))


@dataclass(frozen=True, eq=False)
class AlignedRows:
    """All rows of one leaderboard: the same images in the same order for the same runs."""

    protocol: Protocol
    splits: Mapping[str, SplitImages]
    rows: tuple[Row, ...]

    def complete(self) -> list[Row]:
        """The rows that did not fail."""
        return [r for r in self.rows if r.error is None]

    def failed(self) -> dict[str, str]:
        """The error of each failed row."""
        return {r.name: r.error for r in self.rows if r.error is not None}

    def generators(self) -> list[str]:
        """Names of the complete rows that are generators."""
        return sorted(r.name for r in self.complete() if r.role == "generator")

    def beside(self, split: str, bracket: int) -> list[tuple[Row, int]]:
        """The rows that are compared at a bracket, each with its own bracket."""
        pairs = [(row, row.at(split, bracket)) for row in self.complete()]
        return [(row, own) for row, own in pairs if own is not None]
