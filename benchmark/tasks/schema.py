"""The schema of a task: its question, data, protocol and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from benchmark.errors import TaskError, unknown_name
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.profile import Profile
from benchmark.tasks.requests import Requests
from benchmark.tasks.rules import Mix, Rule, Strict, parse_rules
from benchmark.utils.hashing import sha256_of

ClassName = Annotated[str, Field(pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$")]  # names folders of images
PROFILES = ("demo", "lite", "paper")


class PrimaryMetric(Strict):
    """The metric that ranks a leaderboard; ``f1`` is of the last class, ``auroc`` a mean over classes."""

    name: Literal["balanced_accuracy", "accuracy", "f1", "auroc"] = "balanced_accuracy"
    direction: Literal["maximize"] = "maximize"


class Statistics(Strict):
    """Error rates of every test and interval.

    Attributes:
        margin: of equivalence, as a share (0.02 is two points); declared before anything is measured.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5)
    correction: Literal["holm", "bonferroni"] = "holm"
    power: float = Field(0.8, gt=0.5, lt=1)
    margin: float = Field(0.02, gt=0, lt=0.5)


class SplitRule(Strict):
    """Shares of the images, split by patient, or folds; splits that a source provides stay unchanged.

    Attributes:
        too_few: what happens to a class with fewer than ``min_patients`` patients.
        folds: number of folds of a cross-validation; 0 for a hold-out.
        fold: index of the fold; each run sets it, a task never does.
    """

    by: Literal["patient"] = "patient"
    test: float = Field(0.2, gt=0, lt=1)
    val: float = Field(0.15, gt=0, lt=1)
    reserve: float = Field(0.1, gt=0, lt=1)
    too_few: Literal["error", "exclude"] = "error"
    min_patients: int = Field(4, ge=4)
    folds: int = Field(0, ge=0, le=20)
    fold: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> SplitRule:
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError("folds is 0 or at least 2, and fold below it")
        if self.test + self.val + self.reserve >= 0.9:
            raise ValueError("test + val + reserve leave less than a tenth for training")
        return self


class Source(Strict):
    """Use of one data source; ``skip_steps`` names the scenario's steps that it cannot take."""

    split: SplitRule = SplitRule()
    params: dict[str, Any] = {}
    skip_steps: tuple[str, ...] = ()


class Published(Strict):
    """A published figure to compare with: the quantity, its value, and its table, figure or section."""

    quantity: str
    value: str
    location: str


class Task(Strict):
    """A question, its protocol, and the sizes in which it can be run.

    Attributes:
        title: as boards show it, a few words; its name where it is empty.
        labels: ``single``, or ``multilabel`` if an image may have several classes.
        scenario: named steps that every run takes, in this order; a profile may change their fields.
        choices: fields (``step.field``, or ``mix.field``) that a run may set, with the values on offer; each
            combination is a separate protocol with its own leaderboard.
        mix: how synthetic images join the training images.
        requests: how the conditions of synthetic images are drawn; ``empirical``, from *train*, by default.
        subgroups: columns by which results are also broken down.
        published: figures of the paper.
        deviations: differences from the paper's protocol, with reasons.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field("", max_length=60)
    question: str
    citation: str
    classes: tuple[ClassName, ...] = Field(min_length=2)
    labels: Literal["single", "multilabel"] = "single"
    primary_metric: PrimaryMetric = PrimaryMetric()
    statistics: Statistics = Statistics()
    default_source: str
    sources: dict[str, Source]
    scenario: dict[str, Rule] = {}
    choices: dict[str, tuple[Any, ...]] = {}
    mix: Mix = Mix()
    requests: Requests = {}
    subgroups: tuple[Literal["sex", "age", "view", "site"], ...] = ()
    controls: tuple[str, ...]
    profiles: dict[Literal["demo", "lite", "paper"], Profile] = Field(min_length=1)
    published: tuple[Published, ...] = ()
    deviations: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if self.default_source not in self.sources:
            raise ValueError(f"default_source '{self.default_source}' is not among sources")
        if "real_only" not in self.controls:
            raise ValueError("controls lack 'real_only', the baseline of every difference")
        self._check_labels()
        self._check_mix()
        self._check_scenario()
        self._check_classifiers()
        return self

    def _check_labels(self) -> None:
        metric = self.primary_metric.name
        if self.labels == "multilabel" and metric != "auroc":
            raise ValueError(f"primary_metric '{metric}' is not defined for labels 'multilabel', 'auroc' is")
        if self.labels == "multilabel" and "class_weights" in self.controls:
            raise ValueError(
                "controls: 'class_weights' has no effect with labels 'multilabel': they are always weighted"
            )
        if metric == "f1" and len(self.classes) != 2:
            raise ValueError("primary_metric 'f1' needs two classes, the positive one last")

    def _check_classifiers(self) -> None:
        for name, profile in self.profiles.items():
            for classifier in profile.classifiers:
                where = f"profiles.{name}.classifiers: '{classifier.name}'"
                if (classifier.weights.kind == "file") != (classifier.weights.path is not None):
                    raise ValueError(f"{where}: weights of kind 'file', and no others, need a path")
                if classifier.head == "sigmoid" and self.labels == "single" and len(self.classes) != 2:
                    raise ValueError(f"{where}: head 'sigmoid' needs two classes, or labels 'multilabel'")

    def _check_mix(self) -> None:
        mix = self.mix
        if unknown := {*(mix.classes or ()), *mix.factor} - set(self.classes):
            raise ValueError(f"mix names '{min(unknown)}', which is not among classes")
        if mix.unit != "class" and any(p.reserve is None for p in self.profiles.values()):
            raise ValueError(f"mix.unit '{mix.unit}' needs a reserve in every profile")
        if mix.unit == "deficit" and mix.training == "synthetic":
            raise ValueError("mix.unit 'deficit' gives the largest class nothing: mix.training must be 'add'")
        if mix.fit_on == "misclassified" and self.labels == "multilabel":
            raise ValueError(
                "mix.fit_on 'misclassified' needs labels 'single': an image has one predicted class"
            )

    def _check_scenario(self) -> None:
        for where, steps in (
            *((f"sources.{n}.skip_steps", s.skip_steps) for n, s in self.sources.items()),
            *((f"profiles.{n}.scenario", p.scenario) for n, p in self.profiles.items()),
        ):
            if unknown := [step for step in steps if step not in self.scenario]:
                raise ValueError(f"{where} names '{unknown[0]}', which is not a step of scenario")
        for path, values in self.choices.items():
            for value in values:
                self.variant({path: value})
        for name in self.profiles:
            self.steps(name, self.default_source)

    def variant(self, chosen: Mapping[str, Any]) -> Task:
        """Return this task with some of its choices made.

        Args:
            chosen: by ``step.field``, a value that ``choices`` offers.
        Raises:
            ValueError: an unknown step or field, or a value that the field does not have.
            UnknownNameError: a field that is not a choice of the task.
            TaskError: a value that the task does not offer, or values that exclude each other.
        """
        scenario = {name: rule.model_dump() for name, rule in self.scenario.items()}
        mix = self.mix.model_dump()
        for path, value in chosen.items():
            if path not in self.choices:
                raise unknown_name("choice", path, list(self.choices), f"task {self.name}: scenario")
            if value not in self.choices[path]:
                offered = ", ".join(map(str, self.choices[path]))
                raise TaskError(f"task {self.name}: {path}", f"is {value!r}", f"Choose one of: {offered}.")
            step, _, field = path.partition(".")
            target = mix if step == "mix" else scenario.get(step, {})
            if field not in target:
                raise ValueError(f"choices names '{path}', which is not a field of a step")
            target[field] = value
        task = self.model_copy(update={"scenario": parse_rules(scenario), "mix": Mix.model_validate(mix)})
        try:
            task._check_mix()
        except ValueError as error:  # each value is valid, the combination is not
            raise TaskError(f"task {self.name}: mix", str(error), "Make another choice.") from None
        return task

    def steps(self, profile: str, source: str) -> dict[str, Rule]:
        """The rules of a run, in order: the task's, changed by the profile, without skipped steps."""
        changes = self.profile(profile).scenario
        skipped = self.source(source).skip_steps
        rules = {name: rule.model_dump() for name, rule in self.scenario.items() if name not in skipped}
        return parse_rules({name: {**rule, **changes.get(name, {})} for name, rule in rules.items()})

    def profile(self, name: str) -> Profile:
        """The profile with this name."""
        if name not in self.profiles:
            raise unknown_name("profile", name, list(self.profiles), f"task {self.name}")
        return self.profiles[name]

    def with_classifiers(self, profile: str, classifiers: tuple[ClassifierConfig, ...]) -> Task:
        """Return this task with other classifiers in one of its profiles."""
        return self._with_profile(profile, classifiers=classifiers)

    def with_seeds(self, profile: str, seeds: tuple[int, ...]) -> Task:
        """Return this task with other seeds of the trainings in one of its profiles.

        Raises:
            TaskError: a seed is named twice.
        """
        if len(set(seeds)) != len(seeds):
            raise TaskError("--seeds", "names a seed twice", "Name each once.")
        return self._with_profile(profile, seeds=seeds)

    def _with_profile(self, name: str, **changes: Any) -> Task:
        changed = self.profile(name).model_copy(update=changes)
        return self.model_copy(update={"profiles": {**self.profiles, name: changed}})

    def with_source(self, name: str, source: Source) -> Task:
        """Return this task with another, or one more, source."""
        return self.model_copy(update={"sources": {**self.sources, name: source}})

    def with_data(self, profile: str, source: str, params: Mapping[str, Any]) -> Task:
        """Return this task with further parameters of a source in one of its profiles."""
        data = self.profile(profile).data
        data = {**data, source: {**data.get(source, {}), **params}}
        return self._with_profile(profile, data=data)

    def source(self, name: str) -> Source:
        """The settings of the source with this name."""
        if name not in self.sources:
            raise unknown_name("source", name, list(self.sources), f"task {self.name}")
        return self.sources[name]

    def settings_hash(self, profile: str, source: str, extractor: str) -> str:
        """SHA-256 of the settings that two comparable results share; a protocol has code too.

        Generators and the learning curve are left out, and so are metrics that a run adds. Initial weights
        count by kind, tag and content, once a run has located them; their path does not count. A single fit,
        requests that all are empirical and the default metrics are left out, so that hashes from before these
        fields stand.
        """
        size = self.profile(profile).model_dump(
            mode="json", exclude={"generators", "scenario", "learning_curve"}
        )
        size["measures"] = self.profile(profile).measures.hashed(extractor)
        if len(size["fit_seeds"]) == 1:
            del size["fit_seeds"]
        shared = self.model_dump(
            mode="json",
            include={"name", "classes", "labels", "primary_metric", "statistics", "mix", "subgroups"},
        )
        if self.requests:
            shared["requests"] = self.model_dump(mode="json", include={"requests"})["requests"]
        steps = {name: rule.model_dump(mode="json") for name, rule in self.steps(profile, source).items()}
        return sha256_of([shared, profile, size, source, self.source(source).model_dump(mode="json"), steps])
