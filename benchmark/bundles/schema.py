"""The schema of ``bundle.json``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt, model_validator

from benchmark.intake.card import CardOfSchema5, SubmissionCard
from benchmark.stages.records import FilterRate, Hash, Measure, NetworkSize, SplitSummary
from benchmark.tasks.profile import FitUnit
from benchmark.tasks.schema import PrimaryMetric, Statistics

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """Base of the records: frozen, without unknown fields, NaN or infinity."""


def _is_none(value: Any) -> bool:
    """Return whether a field is left out of the JSON."""
    return value is None


NOT_RUN = re.compile(r"no (plug-in|generator) named '.*' is installed")  # error of a row that was left out
SCHEMA = 6


def was_not_run(error: str) -> bool:
    """True for the error of a row whose plug-in is not installed, so that no stage ran."""
    return NOT_RUN.match(error) is not None


class RowCard(Part):
    """Name, role, description and parameters of a row.

    Attributes:
        image_size: side of the images that the generator learned and drew, before they were resized.
        fit_unit: what one fit learned.
        assets: SHA-256 of each base checkpoint, by name.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$", max_length=64)
    role: Literal["generator", "control"]
    title: str
    description: str
    citation: str
    license: str
    version: str = Field("", max_length=64, description="of the plug-in that generated the images")
    params: dict[str, Any] = {}
    image_size: PositiveInt | None = None
    fit_unit: FitUnit | None = None
    assets: dict[str, Sha256] = {}


class DataCard(Part):
    """Identity of the data, and the proof that its splits are disjoint."""

    fingerprint: Hash
    splits: dict[str, SplitSummary]
    proof: dict[str, Any] = {}
    notes: list[str] = []


class CopyShare(Part):
    """The share of a row's images that count as copies of images of a split, or of one another."""

    rate: Share
    expected: Share
    n: int = Field(ge=1)
    interval: tuple[Share, Share]
    excess: bool


class Memorization(Part, extra="allow"):
    """Result of the memorization gate; further keys are details of it."""

    rate: float = Field(ge=0, le=1)
    expected: float = Field(ge=0, le=1)
    threshold: FiniteFloat
    n: int = Field(ge=1)
    interval: tuple[float, float]
    planted_recall: float = Field(ge=0, le=1)
    gated: bool
    blind: bool = False
    fit: int | None = Field(None, exclude_if=_is_none)  # this and the next: see ``stages.measure``
    by_fit: dict[int, Share] | None = Field(None, exclude_if=_is_none)
    # absent from rows whose images were compared by the detector before this one:
    recall: dict[str, Share] | None = Field(None, exclude_if=_is_none)
    blind_to: tuple[str, ...] | None = Field(None, exclude_if=_is_none)
    copies: dict[str, CopyShare] | None = Field(None, exclude_if=_is_none)


class RunValues(Part):
    """A reported metric of every training, sorted by fit, classifier, seed and fold, and their mean."""

    mean: FiniteFloat
    runs: tuple[FiniteFloat, ...] = Field(min_length=1)


class SamplesCard(Part):
    """The row's synthetic images: their number, their hash, and the number that the bundle shows."""

    images: int = Field(ge=0)
    hash: Hash
    shown: int = Field(ge=0)


class StageSeconds(Part):
    """Seconds of the stages of a row."""

    fit_seconds: float | None = Field(ge=0)
    sample_seconds: float | None = Field(ge=0)
    classify_seconds: float | None = Field(ge=0)


class FitCurve(Part):
    """Figures of the previews of one fit, by which its checkpoint is chosen.

    Attributes:
        fit, fold: seed of the fit, and its fold.
        of_class, number: what it learned, where one fit learns one class or one image of it.
        step: of each preview.
        figures: by name, one value per preview; None where a preview has no such figure.
    """

    fit: int
    fold: int = 0
    of_class: str = ""
    number: int = 0
    step: tuple[int, ...] = Field(min_length=1, max_length=10_000)
    figures: dict[str, tuple[FiniteFloat | None, ...]]

    @model_validator(mode="after")
    def _one_value_per_step(self) -> FitCurve:
        if any(len(values) != len(self.step) for values in self.figures.values()):
            raise ValueError("figures must have one value per step")
        return self


class Costs(StageSeconds):
    """Measured costs, sums over fits. They differ from run to run, and no other figure depends on them."""

    peak_memory_mb: float | None = Field(ge=0)
    by_fit: dict[int, StageSeconds] = Field({}, exclude_if=lambda fits: not fits)  # empty for one fit


class WeightsCard(Part):
    """Initial weights of a classifier: random, ImageNet (tag and hash), or from a file (hash)."""

    kind: Literal["none", "imagenet", "file"]
    tag: str | None = Field(None, pattern=r"^[0-9A-Za-z_]{1,64}$")
    sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _named_by_content(self) -> WeightsCard:
        if (self.sha256 is None) != (self.kind == "none") or (self.tag is None) != (self.kind != "imagenet"):
            raise ValueError("ImageNet weights need a tag and a sha256, a file a sha256, none neither")
        return self


class ClassifierCard(Part):
    """Architecture and training of a classifier; ``parameters`` is None where none was trained."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", max_length=64)
    timm: str = Field(pattern=r"^[a-z0-9_]+$", max_length=64)
    timm_kwargs: dict[str, Any] = {}
    head: Literal["linear", "sigmoid", "pocovid"]
    trained: Literal["all"] | PositiveInt
    weights: WeightsCard
    learning_rate: FiniteFloat = Field(gt=0)
    weight_decay: FiniteFloat = Field(ge=0)
    schedule: Literal["cosine", "plateau", "constant"]
    batch_size: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    augmentation: str = Field(pattern=r"^[a-z0-9_]+$", max_length=64)
    parameters: NetworkSize | None = None


class Provenance(Part):
    """The places where the stages of a row differ in software or hardware.

    Attributes:
        mixed: by package or property of the machine, the stages that had each value.
        unrecorded: stages with a stored result that names neither software nor hardware.
        isolation: the weakest of the row's fits and drawings, for a generator from outside; ``none`` where
            its code ran in a process of the suite. None for other rows.
    """

    mixed: dict[str, dict[str, tuple[str, ...]]] = {}
    unrecorded: tuple[str, ...] = ()
    isolation: Literal["bubblewrap", "namespaces", "process", "none"] | None = Field(
        None, exclude_if=_is_none
    )


class Manifest(Part):
    """The content of ``bundle.json``, schema 6.

    Attributes:
        submission_type: ``suite`` for a row that the project ran itself; ``generator`` for a submitted
            generator that the suite trained and evaluated; ``samples`` for submitted samples that it
            evaluated; ``bundle`` for a bundle from elsewhere.
        submission: the submission card, of every type except ``suite``.
        attempts: trials of the study that chose the parameters of a row of the suite, or 1; a submission's
            card has its own.
        positive: the last class of a binary task that ranks by F1.
        folds: of the cross-validation; 1 for a hold-out split.
        settings: of the source and of its split, where a run differs from the task.
        fit_seeds: of the fits of the row's generator; (0,) for a row without one, and in older bundles.
        scenario: the rules that shape the training data (imbalance, labels, masks, view).
        mix: how synthetic images are added to the real ones.
        classifier_cards: in the order of ``classifiers``.
        subgroups: columns of the predictions by which the primary metric is broken down.
        quality_filter: by class, where the quality filter dropped images.
        curve: shares of the training patients in ``curve.parquet``; only for ``real_only``.
        results: every reported metric by split, bracket and metric, reproducible from the predictions.
        fit_curves: of every fit with previews; none in older bundles.
        samples: only for rows with synthetic images.
        files: SHA-256 of every other file of the bundle, by name.
        software, hardware: recorded by the workers of the row's stages; a list where they differ.
        device: ``cuda`` where a stage used one, else ``cpu``.
        provenance: None in an older bundle, whose software and hardware are those that assembled it.
    """

    schema_: Literal[6] = Field(6, alias="schema")
    submission_type: Literal["suite", "generator", "samples", "bundle"] = "suite"
    submission: SubmissionCard | None = None
    attempts: PositiveInt = Field(1, exclude_if=lambda attempts: attempts == 1)
    task: str
    profile: str
    question: str
    citation: str
    protocol_hash: Hash
    source: str
    data_kind: Literal["phantom", "real"]
    classes: tuple[str, ...] = Field(min_length=2)
    labels: Literal["single", "multilabel"] = "single"
    positive: str | None = None
    folds: int = Field(1, ge=1, le=100)
    settings: dict[str, Any] = Field({}, exclude_if=lambda settings: not settings)
    fit_seeds: tuple[int, ...] = Field((0,), min_length=1, exclude_if=lambda seeds: seeds == (0,))
    scenario: dict[str, Any] = {}
    mix: dict[str, Any] = {}
    subgroups: tuple[Literal["sex", "age", "view", "site"], ...] = ()
    image_size: int = Field(ge=1)
    primary_metric: PrimaryMetric
    primary_bracket: int = Field(ge=0)
    brackets: tuple[int, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    classifiers: tuple[str, ...] = Field(min_length=1)
    classifier_cards: tuple[ClassifierCard, ...] = Field(min_length=1)
    statistics: Statistics
    row: RowCard
    status: Literal["complete", "failed"]
    error: str | None = None
    data: DataCard
    measures: dict[str, Measure] = {}
    memorization: Memorization | None = None
    quality_filter: dict[str, FilterRate] | None = None
    curve: tuple[float, ...] = ()
    results: dict[str, dict[str, dict[str, RunValues]]] = {}
    fit_curves: tuple[FitCurve, ...] = Field((), exclude_if=lambda curves: not curves)
    samples: SamplesCard | None = None
    files: dict[str, Sha256] = {}
    costs: Costs
    software: dict[str, Any]
    hardware: dict[str, Any]
    device: str
    precision: str
    provenance: Provenance | None = Field(None, exclude_if=lambda mixed: mixed is None)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        metric = self.primary_metric.name
        failed, suite = self.status == "failed", self.submission_type == "suite"
        cards = tuple(card.name for card in self.classifier_cards)
        wrong = {
            "a failed row has an error, a complete one has none": failed != (self.error is not None),
            "a failed row has no results": failed and bool(self.results),
            "a submitted row has a submission card, a row of the suite has none": suite
            != (self.submission is None),
            "submission.name must be row.name": self.submission is not None
            and self.submission.name != self.row.name,
            "primary_bracket must be one of brackets": self.primary_bracket not in self.brackets,
            "positive must be the last of classes": self.positive not in (None, self.classes[-1]),
            "classifier_cards must be those of classifiers, in the same order": cards != self.classifiers,
            f"primary_metric '{metric}' is not defined for a multi-label task": self.labels == "multilabel"
            and metric != "auroc",
            "primary_metric 'f1' needs two classes, the positive one last": metric == "f1"
            and len(self.classes) != 2,
        }
        for name in ("seeds", "fit_seeds", "classifiers", "brackets", "classes", "subgroups", "curve"):
            values = getattr(self, name)
            wrong[f"{name} holds a value twice"] = len(set(values)) != len(values)
        for problem, holds in wrong.items():
            if holds:
                raise ValueError(problem)
        return self

    @property
    def not_run(self) -> bool:
        """True for a row that was left out because its plug-in is not installed."""
        return self.error is not None and was_not_run(self.error)

    def record(self) -> dict[str, Any]:
        """Convert to JSON values, under the keys of the file."""
        return self.model_dump(mode="json", by_alias=True)


class ManifestOfSchema5(Manifest):
    """The content of a ``bundle.json`` of schema 5, whose card declares less."""

    schema_: Literal[5] = Field(5, alias="schema")  # type: ignore[assignment]
    submission: CardOfSchema5 | None = None  # type: ignore[assignment]
