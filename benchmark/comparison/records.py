"""The record of a comparison: everything that a leaderboard's pages and the papers' tables show of it."""

from typing import Literal

from pydantic import Field

from benchmark.comparison import significance_records as significance
from benchmark.comparison.record_base import Estimate, Number, Record, is_none
from benchmark.comparison.row_records import RowFigures, RowQuality, Subgroup


class Card(Record):
    """A metric or figure of merit as pages describe it."""

    name: str  # in tasks and records
    title: str  # of a column
    meaning: str  # one sentence
    percent: bool  # printed in percent, else as a decimal


class MetricCard(Card):
    """A reported metric."""

    noun: str  # within a sentence, after "points of"


class QualityCard(Card):
    """A figure of merit with a bootstrap interval."""

    direction: Literal["maximize", "minimize"]
    overall: bool  # defined over all classes for this kind of task
    per_class: bool  # defined for each class


class Settings(Record):
    """The protocol's choices that shape the comparison."""

    alpha: Number  # error rate of every test and interval, 0 to 1
    correction: str  # for the number of tests: holm, bonferroni, fdr_bh or none
    power: Number  # 0 to 1
    margin: Number  # smallest difference that matters, in the metric
    classes: tuple[str, ...]
    kind: Literal["binary", "multiclass", "multilabel"]
    metrics: tuple[MetricCard, ...]  # the primary metric first
    quality_metrics: tuple[QualityCard, ...]
    replicates: int  # resamples of the bootstrap
    primary_metric: MetricCard
    folds: int  # of the cross-validation; 1 with a held-out part
    yardstick: str  # the row that ``oracle`` must beat
    primary_bracket: int
    brackets: tuple[int, ...]  # synthetic images added per class


class TrainingRun(Record):
    """One training."""

    classifier: str
    seed: int
    fold: int | None = Field(None, exclude_if=is_none)  # where every fold's model reads all images


class SplitSummary(Record):
    """A test split."""

    images: int
    patients: int
    counts: dict[str, int]  # images by class
    runs: tuple[TrainingRun, ...]  # of every row, sorted
    joined_folds: bool  # the folds' test parts are joined into one run


class CurvePoint(Estimate):
    """The primary metric of ``real_only`` trained on a number of real images."""

    images: Number  # mean over runs


class Law(Record):
    """The law f(n) = a - b n^-c."""

    a: Number
    b: Number
    c: Number
    residual: Number  # root mean square distance of the points


class LearningCurve(Record):
    """The learning curve of ``real_only``."""

    metric: str  # the primary metric
    runs: int  # trainings at each point
    points: tuple[CurvePoint, ...]  # ascending in images
    law: Law | None  # None with fewer than three points
    images: int  # real training images of the whole
    farthest: Number  # images up to which the law is extrapolated


class ImageEquivalent(Record):
    """The number of real images that bring the same gain as a row's synthetic images."""

    bracket: int  # of the row
    difference: Number  # to ``real_only``, in the primary metric
    total: Number | None  # real images with the row's performance; None with a reason
    images: Number | None  # how many more than now
    low: Number | None
    high: Number | None
    bounds: dict[str, str | None]  # ``more than`` or ``at most`` where a number stands at the law's limit
    reason: str | None
    # the bracket, on test patients
    chosen_by_result: bool = Field(False, exclude_if=lambda chosen: not chosen)


class RowEquivalent(Record):
    """The equivalents of a row."""

    primary: ImageEquivalent
    best: ImageEquivalent | None  # at the bracket with the best result; None where it is the primary one


class RankedRow(Record):
    """A ranked row."""

    rank: int  # 1 + the number of better rows
    letters: str  # rows that share a letter do not differ significantly
    tied_with: tuple[str, ...]  # the other rows of the tie group


class RankedPair(Estimate):
    """The paired difference of row ``a`` to row ``b`` in the primary metric."""

    a: str
    b: str
    p_adjusted: Number | None  # over all pairs; None without an interval


class Ranking(Record):
    """Tie groups at the primary bracket."""

    rows: dict[str, RankedRow]
    unranked: dict[str, str]  # the reason, by row
    pairs: tuple[RankedPair, ...]  # of all ranked rows
    compared: int  # number of pairs


class ControlOutcome(Record):
    """One claim about a control."""

    id: str
    claim: str
    held: bool | None  # None where it cannot be judged
    evidence: str  # one sentence
    decisive: bool  # False where the claim is for information


class Comparison(Record):
    """Everything compared over the rows of one leaderboard; docs/statistics.md explains each part."""

    schema_: Literal[3] = Field(3, alias="schema")
    settings: Settings
    splits: dict[str, SplitSummary]
    figures: dict[str, dict[int, dict[str, RowFigures]]]  # by split, bracket and row
    quality: dict[str, RowQuality]  # by row, on ``test`` at the primary bracket
    quality_of: dict[str, dict[str, RowQuality]]  # by further split and row
    subgroups: dict[str, dict[str, dict[str, Subgroup]]]  # by row, field and value
    learning_curve: LearningCurve | None
    equivalent: dict[str, RowEquivalent]  # by row; empty without a learning curve
    ranking: Ranking
    # by row with images: standard error between attempts that differ only in random numbers; None where
    # nothing shows it
    attempt_se: dict[str, Number | None] = {}
    kruskal_wallis: (
        significance.KruskalWallis
    )  # this and the next two over the run values of the primary metric
    dunn: tuple[significance.DunnPair, ...]
    friedman: significance.Friedman
    variance: significance.Variance
    association: dict[str, significance.Association]  # by image measure
    power: significance.Power
    controls: tuple[ControlOutcome, ...]
    can_measure: bool | None  # outcome of the first claim
    failed: dict[str, str]  # the error, by row
    notes: tuple[str, ...]  # sentences for the reader

    @property
    def primary(self) -> dict[str, RowFigures]:
        """The figures by row that rank: of ``test`` at the primary bracket."""
        return self.figures["test"][self.settings.primary_bracket]

    @property
    def quality_metrics(self) -> list[QualityCard]:
        """The figures of merit that some row has over all classes."""
        rows = self.quality.values()
        return [m for m in self.settings.quality_metrics if any(m.name in q.overall for q in rows)]
