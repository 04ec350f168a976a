"""The record of a comparison: everything that a leaderboard's pages and the papers' tables show of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benchmark.comparison.record_base import Number, Record
from benchmark.comparison.row_records import RowFigures, RowQuality, Subgroup, _is_none
from benchmark.comparison.significance_records import (
    Association,
    DunnPair,
    Friedman,
    KruskalWallis,
    Power,
    Variance,
)


class MetricCard(Record):
    """A reported metric.

    Attributes:
        name: in tasks and records.
        title: for a column; ``noun``: within a sentence, after "points of".
        meaning: one sentence.
        percent: True where pages show percent, False where they show decimals.
    """

    name: str
    title: str
    noun: str
    meaning: str
    percent: bool


class QualityCard(Record):
    """A figure of merit with a bootstrap interval.

    Attributes:
        name, title, meaning, percent: as in ``MetricCard``.
        direction: of better values.
        overall: True if the kind of task has it over all classes; ``per_class``: for each class.
    """

    name: str
    title: str
    meaning: str
    direction: Literal["maximize", "minimize"]
    percent: bool
    overall: bool
    per_class: bool


class Settings(Record):
    """The protocol's choices that shape the comparison.

    Attributes:
        alpha: error rate of every test and interval, 0 to 1.
        correction: for the number of tests: ``holm``, ``bonferroni``, ``fdr_bh`` or ``none``.
        power: 0 to 1.
        margin: smallest difference that matters, in the metric.
        metrics: all reported metrics; the first is ``primary_metric``.
        replicates: resamples of the bootstrap.
        folds: of the cross-validation; 1 with a held-out part.
        yardstick: the row that ``oracle`` must beat.
        brackets: synthetic images added per class.
    """

    alpha: Number
    correction: str
    power: Number
    margin: Number
    classes: tuple[str, ...]
    kind: Literal["binary", "multiclass", "multilabel"]
    metrics: tuple[MetricCard, ...]
    quality_metrics: tuple[QualityCard, ...]
    replicates: int
    primary_metric: MetricCard
    folds: int
    yardstick: str
    primary_bracket: int
    brackets: tuple[int, ...]


class TrainingRun(Record):
    """One training; ``fold`` where every fold's model reads all images, else left out."""

    classifier: str
    seed: int
    fold: int | None = Field(None, exclude_if=_is_none)


class SplitSummary(Record):
    """Size of a test split.

    Attributes:
        counts: images by class.
        runs: trainings of every row, sorted.
        joined_folds: True where the folds' test parts are joined into one run.
    """

    images: int
    patients: int
    counts: dict[str, int]
    runs: tuple[TrainingRun, ...]
    joined_folds: bool


class CurvePoint(Record):
    """The primary metric of ``real_only`` trained on a number of real images (a mean over runs)."""

    images: Number
    estimate: Number
    low: Number
    high: Number


class Law(Record):
    """f(n) = a - b n^-c, and the root mean square ``residual`` of the points."""

    a: Number
    b: Number
    c: Number
    residual: Number


class LearningCurve(Record):
    """The learning curve of ``real_only``.

    Attributes:
        metric: name of the primary metric.
        runs: trainings at each point.
        points: ascending in images.
        law: None with fewer than three points.
        images: real training images of the whole.
        farthest: images up to which the law is extrapolated.
    """

    metric: str
    runs: int
    points: tuple[CurvePoint, ...]
    law: Law | None
    images: int
    farthest: Number


class ImageEquivalent(Record):
    """The number of real images that would bring the same gain as a row's synthetic images.

    Attributes:
        bracket: of the row.
        difference: to ``real_only``, in the primary metric.
        total: real images with the row's performance; ``images``: how many more than now, with ``low`` and
            ``high``. All are None with a ``reason``.
        bounds: ``more than`` or ``at most`` for each of ``images``, ``low`` and ``high`` that stands at the
            limit of the law.
        chosen_by_result: True for a bracket that was chosen by its test result; left out elsewhere.
    """

    bracket: int
    difference: Number
    total: Number | None
    images: Number | None
    low: Number | None
    high: Number | None
    bounds: dict[str, str | None]
    reason: str | None
    chosen_by_result: bool = Field(False, exclude_if=lambda chosen: not chosen)


class RowEquivalent(Record):
    """Equivalents at the primary bracket, and at the one with the best result (None where it is the same)."""

    primary: ImageEquivalent
    best: ImageEquivalent | None


class RankedRow(Record):
    """A ranked row.

    Attributes:
        rank: 1 + the number of better rows.
        letters: rows that share a letter do not differ significantly.
        tied_with: the other rows of the tie group.
    """

    rank: int
    letters: str
    tied_with: tuple[str, ...]


class RankedPair(Record):
    """The paired difference of row ``a`` to row ``b`` in the primary metric."""

    a: str
    b: str
    estimate: Number
    low: Number
    high: Number
    p_adjusted: Number


class Ranking(Record):
    """Tie groups at the primary bracket.

    Attributes:
        rows: by row.
        unranked: the reason, by row.
        pairs: of all ranked rows; ``compared``: their number.
    """

    rows: dict[str, RankedRow]
    unranked: dict[str, str]
    pairs: tuple[RankedPair, ...]
    compared: int


class ControlOutcome(Record):
    """One claim about a control.

    Attributes:
        held: None where it cannot be judged.
        evidence: one sentence.
        decisive: False where the claim is for information.
    """

    id: str
    claim: str
    held: bool | None
    evidence: str
    decisive: bool


class Comparison(Record):
    """Everything that is compared over the rows of one leaderboard; docs/statistics.md explains each part.

    Attributes:
        splits: by test split.
        figures: by split, bracket and row.
        quality: figures of merit by row, on ``test`` at the primary bracket; ``quality_of``: by other split.
        subgroups: by row, field and value.
        learning_curve: None without one; ``equivalent``: by row.
        kruskal_wallis, dunn, friedman: over the run values of the primary metric.
        variance, power: of the primary metric; ``association``: by image measure.
        controls: one record per claim; ``can_measure``: the first claim's outcome.
        failed: the error, by row.
        notes: sentences for the reader.
    """

    schema_: Literal[3] = Field(3, alias="schema")
    settings: Settings
    splits: dict[str, SplitSummary]
    figures: dict[str, dict[int, dict[str, RowFigures]]]
    quality: dict[str, RowQuality]
    quality_of: dict[str, dict[str, RowQuality]]
    subgroups: dict[str, dict[str, dict[str, Subgroup]]]
    learning_curve: LearningCurve | None
    equivalent: dict[str, RowEquivalent]
    ranking: Ranking
    kruskal_wallis: KruskalWallis
    dunn: tuple[DunnPair, ...]
    friedman: Friedman
    variance: Variance
    association: dict[str, Association]
    power: Power
    controls: tuple[ControlOutcome, ...]
    can_measure: bool | None
    failed: dict[str, str]
    notes: tuple[str, ...]

    @property
    def primary(self) -> dict[str, RowFigures]:
        """The figures by row that rank: of ``test`` at the primary bracket."""
        return self.figures["test"][self.settings.primary_bracket]

    @property
    def quality_metrics(self) -> list[QualityCard]:
        """The figures of merit that some row has over all classes."""
        return [
            m
            for m in self.settings.quality_metrics
            if any(m.name in q.overall for q in self.quality.values())
        ]


def quality_metrics(comparison: Comparison) -> list[QualityCard]:
    return comparison.quality_metrics
