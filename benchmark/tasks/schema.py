"""The schema of a task, and the only reader of task files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from benchmark.errors import TaskError, unknown_name
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Mix, Rule, Strict, parse_rules
from benchmark.utils.hashing import sha256_of

PROFILES = ("demo", "lite", "paper")


class PrimaryMetric(Strict):
    """What the leaderboard ranks by; ``f1`` is of the last class, ``auroc`` a mean over the classes."""

    name: Literal["balanced_accuracy", "accuracy", "f1", "auroc"] = "balanced_accuracy"
    direction: Literal["maximize"] = "maximize"


class Statistics(Strict):
    """Error rates of every test and interval, and the largest difference that counts as none.

    Attributes:
        margin: of equivalence, as a share (0.02 is two points); declared before anything is measured.
    """

    alpha: float = Field(0.05, gt=0, lt=0.5)
    correction: Literal["holm", "bonferroni"] = "holm"
    power: float = Field(0.8, gt=0.5, lt=1)
    margin: float = Field(0.02, gt=0, lt=0.5)


class SplitRule(Strict):
    """Shares of the images, divided by patient, or folds; splits that a source gives stay as they are.

    ``fold`` is set by the run, one after the other, never by a task.
    """

    by: Literal["patient"] = "patient"
    test: float = Field(0.2, gt=0, lt=1)
    val: float = Field(0.15, gt=0, lt=1)
    reserve: float = Field(0.1, gt=0, lt=1)
    too_few: Literal["error", "exclude"] = "error"
    min_patients: int = Field(4, ge=4)
    folds: int = Field(0, ge=0, le=20, description="0 for a hold-out")
    fold: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _leave_some_for_training(self) -> SplitRule:
        if self.folds == 1 or self.fold >= max(self.folds, 1):
            raise ValueError("folds is 0 or at least 2, and fold below it")
        if self.test + self.val + self.reserve >= 0.9:
            raise ValueError("test + val + reserve leave less than a tenth for training")
        return self


class Source(Strict):
    """How one data source serves this task; ``without`` names the steps of the scenario that it cannot do."""

    split: SplitRule = SplitRule()
    params: dict[str, Any] = {}
    without: tuple[str, ...] = ()


class Measures(Strict):
    """How generated images are measured."""

    extractor: str = "auto"
    preview: int = Field(250, ge=10, description="images of a preview during a fit")
    ms_ssim_images: int = Field(50, ge=2, description="per class; 50 in Schaudt et al. 2023, section 4.1")


class GeneratorEntry(Strict):
    """How a task trains one generator; ``plugin`` where the row has another name than the plug-in."""

    fit: Literal["joint", "per_class"] = "joint"
    params: dict[str, Any] = {}
    plugin: str | None = None


class Profile(Strict):
    """One size of a task."""

    image_size: int = Field(ge=16, le=1024)
    data: dict[str, dict[str, Any]] = {}
    generators: dict[str, GeneratorEntry]
    brackets: tuple[int, ...]
    primary_bracket: int
    classifiers: tuple[ClassifierConfig, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    budget: Budget
    measures: Measures = Measures()
    scenario: dict[str, dict[str, Any]] = {}
    curve: tuple[float, ...] = Field(
        (),
        description="shares of the training patients on which real_only is trained too; see sampling.subset",
    )
    reserve: int | None = Field(
        None, ge=1, description="images per class for oracle; else the largest bracket"
    )

    @field_validator("brackets", "seeds")
    @classmethod
    def _distinct(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(values)) != len(values) or any(v < 0 for v in values):
            raise ValueError("expected distinct numbers, none negative")
        return values

    @field_validator("curve")
    @classmethod
    def _shares(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) != len(values) or any(not 0 < v < 1 for v in values):
            raise ValueError("expected distinct shares between 0 and 1, neither included")
        return values

    @model_validator(mode="after")
    def _primary_is_a_bracket(self) -> Profile:
        if self.primary_bracket not in self.brackets or min(self.brackets) < 1:
            raise ValueError("primary_bracket must be one of brackets, all at least 1")
        return self


class Published(Strict):
    """A figure of the paper, to stand beside ours: what it is of, its value, where it is printed."""

    what: str
    value: str
    where: str


class Task(Strict):
    """A question, its protocol, and the sizes in which it can be run.

    Attributes:
        labels: ``single``, or ``multilabel`` where an image may have several classes.
        scenario: named steps that every run takes, in this order; a profile may change their fields.
        choices: fields of steps (``step.field``, or ``mix.field``) that a run may set, with the values
            that it may set them to; each combination is a protocol and a leaderboard of its own.
        mix: how synthetic images join the training images.
        subgroups: columns by which results are also broken down.
        published: figures of the paper.
        deviations: where this protocol leaves the paper's, and why.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    question: str
    citation: str
    classes: tuple[str, ...] = Field(min_length=2)
    labels: Literal["single", "multilabel"] = "single"
    primary_metric: PrimaryMetric = PrimaryMetric()
    statistics: Statistics = Statistics()
    default_source: str
    sources: dict[str, Source]
    scenario: dict[str, Rule] = {}
    choices: dict[str, tuple[Any, ...]] = {}
    mix: Mix = Mix()
    subgroups: tuple[Literal["sex", "age", "view", "site"], ...] = ()
    controls: tuple[str, ...]
    profiles: dict[Literal["demo", "lite", "paper"], Profile]
    published: tuple[Published, ...] = ()
    deviations: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if self.default_source not in self.sources:
            raise ValueError(f"default_source '{self.default_source}' is not among sources")
        if "real_only" not in self.controls:
            raise ValueError("controls lack 'real_only', the baseline of every difference")
        missing = [p for p in PROFILES if p not in self.profiles]
        if missing:
            raise ValueError(f"profiles lack {', '.join(missing)}")
        metric = self.primary_metric.name
        if self.labels == "multilabel" and metric != "auroc":
            raise ValueError(f"primary_metric '{metric}' is not defined for labels 'multilabel', 'auroc' is")
        if self.labels == "multilabel" and "class_weights" in self.controls:
            raise ValueError(
                "controls: 'class_weights' changes nothing where labels are 'multilabel': always weighted"
            )
        if metric == "f1" and len(self.classes) != 2:
            raise ValueError("primary_metric 'f1' needs two classes, the positive one last")
        self._check_mix()
        self._check_scenario()
        self._check_classifiers()
        return self

    def _check_classifiers(self) -> None:
        for name, profile in self.profiles.items():
            for classifier in profile.classifiers:
                where = f"profiles.{name}.classifiers: '{classifier.name}'"
                if (classifier.weights.kind == "file") != (classifier.weights.path is not None):
                    raise ValueError(f"{where}: weights of kind 'file', and no others, need a path")
                if classifier.head == "sigmoid" and self.labels == "single" and len(self.classes) != 2:
                    raise ValueError(f"{where}: head 'sigmoid' needs two classes, or labels 'multilabel'")

    def _check_mix(self) -> None:
        odd = {*(self.mix.classes or ()), *self.mix.factor} - set(self.classes)
        if odd:
            raise ValueError(f"mix names '{min(odd)}', which is not among classes")
        if self.mix.unit != "class" and any(p.reserve is None for p in self.profiles.values()):
            raise ValueError(f"mix.unit '{self.mix.unit}' needs a reserve in every profile")
        if self.mix.unit == "deficit" and self.mix.training == "synthetic":
            raise ValueError("mix.unit 'deficit' gives the largest class nothing: mix.training must be 'add'")
        if self.mix.fit_on == "misclassified" and self.labels == "multilabel":
            raise ValueError(
                "mix.fit_on 'misclassified' needs labels 'single': an image has one predicted class"
            )

    def _check_scenario(self) -> None:
        for where, steps in (
            *((f"sources.{n}.without", s.without) for n, s in self.sources.items()),
            *((f"profiles.{n}.scenario", p.scenario) for n, p in self.profiles.items()),
        ):
            odd = [step for step in steps if step not in self.scenario]
            if odd:
                raise ValueError(f"{where} names '{odd[0]}', which is no step of scenario")
        for path, values in self.choices.items():
            for value in values:
                self.variant({path: value})
        for name in self.profiles:
            self.steps(name, self.default_source)

    def variant(self, chosen: Mapping[str, Any]) -> Task:
        """This task with some of its choices made.

        Args:
            chosen: by ``step.field``, a value that ``choices`` admits.
        Raises:
            ValueError: an unknown step or field, or a value that the field does not have.
            UnknownNameError: a field that is no choice of the task.
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
                raise ValueError(f"choices names '{path}', which is no field of a step")
            target[field] = value
        made = self.model_copy(update={"scenario": parse_rules(scenario), "mix": Mix.model_validate(mix)})
        try:
            made._check_mix()
        except ValueError as error:  # values that are right one by one
            raise TaskError(f"task {self.name}: mix", str(error), "Make another choice.") from None
        return made

    def steps(self, profile: str, source: str) -> dict[str, Rule]:
        """The rules of a run, in order: the task's, changed by the profile, without what the source lacks."""
        changed = self.profile(profile).scenario
        given = {
            name: {**rule.model_dump(), **changed.get(name, {})}
            for name, rule in self.scenario.items()
            if name not in self.source(source).without
        }
        return parse_rules(given)

    def profile(self, name: str) -> Profile:
        """The profile of this name."""
        if name not in self.profiles:
            raise unknown_name("profile", name, list(self.profiles), f"task {self.name}")
        return self.profiles[name]

    def with_classifiers(self, profile: str, classifiers: tuple[ClassifierConfig, ...]) -> Task:
        """This task with other classifiers in one of its profiles."""
        changed = self.profile(profile).model_copy(update={"classifiers": classifiers})
        return self.model_copy(update={"profiles": {**self.profiles, profile: changed}})

    def source(self, name: str) -> Source:
        """How the source of this name serves the task."""
        if name not in self.sources:
            raise unknown_name("source", name, list(self.sources), f"task {self.name}")
        return self.sources[name]

    def protocol_hash(self, profile: str, source: str, extractor: str) -> str:
        """SHA-256 of everything that makes two results comparable; generators and the curve are left out.

        Initial weights count by kind, tag and content, once a run has found them; where they lie does not.
        """
        chosen = self.profile(profile).model_dump(mode="json", exclude={"generators", "scenario", "curve"})
        chosen["measures"]["extractor"] = extractor
        own = self.model_dump(
            mode="json",
            include={"name", "classes", "labels", "primary_metric", "statistics", "mix", "subgroups"},
        )
        steps = {name: rule.model_dump(mode="json") for name, rule in self.steps(profile, source).items()}
        return sha256_of([own, profile, chosen, source, self.source(source).model_dump(mode="json"), steps])


class _NoDuplicates(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool)) and key is not None:
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a plain value", key_node.start_mark
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key '{key}', first in line {seen[key]}", key_node.start_mark
            )
        seen[key] = key_node.start_mark.line + 1
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping: plain data only, no key twice.

    Raises:
        TaskError: missing, not YAML, a tag, a duplicate key, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(
            str(path), f"cannot be read: {error}", "Give the path of a UTF-8 YAML file."
        ) from None
    try:
        value = yaml.load(text, Loader=_NoDuplicates)  # noqa: S506 - a SafeLoader with one more rule
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f": line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise TaskError(f"{path}{line}", problem, "Mend the YAML; tags are not allowed.") from None
    except (ValueError, RecursionError) as error:  # a date that is none, a number of a thousand digits
        raise TaskError(str(path), f"is no plain YAML: {error}", "Quote texts; nest less.") from None
    if not isinstance(value, dict):
        raise TaskError(str(path), f"expected a mapping, got {type(value).__name__}")
    return value


def explain(error: ValidationError, where: str, model: type[BaseModel]) -> TaskError:
    """One line for the first fault that pydantic found, with a "did you mean" for unknown fields."""
    faults = error.errors()
    first = next(
        (f for f in faults if f["type"] == "extra_forbidden"), faults[0]
    )  # a misspelling explains most
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, first["loc"][:-1])
        if known:
            return unknown_name("field", str(first["loc"][-1]), known, f"{where}: {field}")
        return TaskError(f"{where}: {field}", "unknown field", "Remove it.")
    got = "" if isinstance(first.get("input"), (dict, list)) else f", got {first.get('input')!r}"
    more = f" ({error.error_count() - 1} more faults follow)" if error.error_count() > 1 else ""
    return TaskError(f"{where}: {field}" if field else where, f"{first['msg']}{got}{more}")


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The fields that the schema knows at a place; empty where the place is not a model."""
    schema = model.model_json_schema()
    here: Any = schema
    for part in path:
        here = _resolve(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
        if not isinstance(here, dict):
            return []
    return list(_resolve(here, schema).get("properties", {}))


def _resolve(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in here:
        here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
    return here


def parse(model: type[BaseModel], value: Mapping[str, Any], where: str) -> Any:
    """Validate plain data against a model; faults become a TaskError that names the field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise explain(error, where, model) from None


def task_folder() -> Path:
    """Where the task files lie: ``tasks/`` of the checkout, or what an installed package brought along."""
    checkout = Path(__file__).resolve().parent.parent.parent / "tasks"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "synththorax" / "tasks"


def task_names() -> list[str]:
    """The names of the packaged tasks."""
    return sorted(p.stem for p in task_folder().glob("*.yaml"))


def load_task(name: str) -> Task:
    """Load a task by name, or from the path of a YAML file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else task_folder() / f"{name}.yaml"
    if not path.is_file():
        if name.endswith((".yaml", ".yml")):
            raise TaskError(name, "no such task file", "Give a path, or one of: " + ", ".join(task_names()))
        raise unknown_name("task", name, task_names())
    task: Task = parse(Task, read_yaml(path), str(path))
    if task.name != path.stem:
        raise TaskError(f"{path}: name", f"is '{task.name}', expected '{path.stem}', the file's name")
    return task
