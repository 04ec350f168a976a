"""The schema of ``bundle.json``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from benchmark.intake.card import SubmissionCard
from benchmark.tasks.schema import PrimaryMetric, Statistics

Hash = Annotated[str, Field(pattern=r"^[0-9A-Za-z:._-]{1,128}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """Frozen, and refuses unknown fields, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


NOT_RUN = re.compile(r"no (plug-in|generator) named '.*' is installed")  # what a row was left out for
SCHEMA = 5


def was_not_run(error: str) -> bool:
    """Whether an error says that what the row needs is not installed, so that nothing of it was run."""
    return NOT_RUN.match(error) is not None


class RowCard(Part):
    """What the row is."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", max_length=64)
    role: Literal["generator", "control"]
    title: str
    description: str
    citation: str
    license: str
    version: str = Field("", max_length=64, description="of the plug-in that made the images")
    params: dict[str, Any] = {}


class SplitCard(Part):
    """Size and content hash of one split."""

    images: int = Field(ge=0)
    patients: int = Field(ge=0)
    counts: dict[str, int]
    hash: Hash


class DataCard(Part):
    """Which data, and the proof that its splits are disjoint."""

    fingerprint: Hash
    splits: dict[str, SplitCard]
    proof: dict[str, Any] = {}
    notes: list[str] = []


class Measure(Part):
    """One figure over a row's images; further keys say more about it."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    value: FiniteFloat
    floor: FiniteFloat | None
    n: int = Field(ge=1, description="images on each side")
    direction: Literal["minimize", "maximize"]


class Memorization(Part):
    """The memorization gate; further keys say more about it."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    rate: float = Field(ge=0, le=1)
    expected: float = Field(ge=0, le=1)
    threshold: FiniteFloat
    n: int = Field(ge=1)
    interval: tuple[float, float]
    planted_recall: float = Field(ge=0, le=1)
    gated: bool
    blind: bool = False


class RunValues(Part):
    """A reported metric of every run, in the order of the sorted runs, and their mean."""

    mean: FiniteFloat
    runs: tuple[FiniteFloat, ...] = Field(min_length=1)


class SamplesCard(Part):
    """The row's synthetic images: how many, the hash of all, and how many the bundle shows."""

    images: int = Field(ge=0)
    hash: Hash
    shown: int = Field(ge=0)


class FilterRate(Part):
    """What the quality filter did to a row's images of one class, over all folds."""

    drawn: int = Field(ge=0)
    accepted: int = Field(ge=0)
    requested: int = Field(ge=0, description="by the largest bracket")
    retained: int = Field(ge=0)


class Costs(Part):
    """Measured, so different from run to run; nothing else on the leaderboard depends on them."""

    fit_seconds: float | None = Field(ge=0)
    sample_seconds: float | None = Field(ge=0)
    classify_seconds: float | None = Field(ge=0)
    peak_memory_mb: float | None = Field(ge=0)


class WeightsCard(Part):
    """Where a classifier began: at random, at ImageNet weights (tag and hash), or at a file (hash)."""

    kind: Literal["none", "imagenet", "file"]
    tag: str | None = Field(None, pattern=r"^[0-9A-Za-z_]{1,64}$")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _named_by_content(self) -> WeightsCard:
        if (self.sha256 is None) != (self.kind == "none") or (self.tag is None) != (self.kind != "imagenet"):
            raise ValueError("ImageNet weights have a tag and a sha256, a file a sha256, others neither")
        return self


class Parameters(Part):
    """How many parameters a network has, and how many of them were trained."""

    total: int = Field(ge=1)
    trained: int = Field(ge=1)


class ClassifierCard(Part):
    """What a classifier was, and how it was trained; ``parameters`` is None where none was."""

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
    parameters: Parameters | None = None


class Manifest(Part):
    """The content of ``bundle.json``, schema 5.

    Attributes:
        way: how the row came to be: run by the project itself (``suite``), or handed in as a generator that
            the suite trained and judged, as samples that it judged, or as a bundle made elsewhere.
        submission: who hands it in, and what it was made from; of every way but ``suite``.
        labels: whether an image has one class or may have several.
        positive: the last class of a binary task, where the task gives it that role.
        folds: of the cross-validation; 1 where a part was held out.
        scenario: the rules that made the training data what they are (imbalance, labels, masks, view).
        mix: how synthetic images are added to the real ones.
        classifier_cards: of the classifiers, in the same order.
        subgroups: the columns of the predictions by which the primary metric is shown.
        quality_filter: by class, where implausible images were dropped.
        curve: shares of the training patients of ``curve.parquet``; of ``real_only`` alone.
        results: every reported metric by split, bracket and metric; comes out again from the predictions.
        samples: of rows with synthetic images.
        files: SHA-256 of every other file of the bundle, by its name.
    """

    schema_: Literal[5] = Field(5, alias="schema")
    submission_type: Literal["suite", "generator", "samples", "bundle"] = "suite"
    submission: SubmissionCard | None = None
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
    samples: SamplesCard | None = None
    files: dict[str, Sha256] = {}
    costs: Costs
    software: dict[str, Any]
    hardware: dict[str, Any]
    device: str
    precision: str

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if (self.status == "failed") != (self.error is not None):
            raise ValueError("a failed row, and no other, has an error")
        if self.status == "failed" and self.results:
            raise ValueError("a failed row has no results")
        if (self.submission_type == "suite") != (self.submission is None):
            raise ValueError("a row that is handed in, and no other, has a submission card")
        if self.submission is not None and self.submission.name != self.row.name:
            raise ValueError("submission.name must be row.name")
        if self.primary_bracket not in self.brackets:
            raise ValueError("primary_bracket must be one of brackets")
        if self.positive is not None and self.positive != self.classes[-1]:
            raise ValueError("positive must be the last of classes")
        if tuple(card.name for card in self.classifier_cards) != self.classifiers:
            raise ValueError("classifier_cards must be those of classifiers, in the same order")
        metric = self.primary_metric.name
        if self.labels == "multilabel" and metric != "auroc":
            raise ValueError(
                f"primary_metric '{metric}' is not defined where an image may have several labels"
            )
        if metric == "f1" and len(self.classes) != 2:
            raise ValueError("primary_metric 'f1' needs two classes, the positive one last")
        for name in ("seeds", "classifiers", "brackets", "classes", "subgroups", "curve"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} holds a value twice")
        return self

    @property
    def not_run(self) -> bool:
        """Whether the row was left out because what it needs is not installed."""
        return self.error is not None and was_not_run(self.error)

    def record(self) -> dict[str, Any]:
        """As JSON values, under the names that the file has."""
        return self.model_dump(mode="json", by_alias=True)
