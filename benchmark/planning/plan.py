"""Run plan: every choice made and validated before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmark.errors import TaskError
from benchmark.planning.protocol_hash import protocol_hash
from benchmark.stages.metrics import MetricReference
from benchmark.stages.plugin import AssetReference
from benchmark.tasks.profile import FitUnit, GeneratorEntry, Profile
from benchmark.tasks.schema import SplitRule, Task


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a generator or a control.

    Attributes:
        plugin: name and origin of the plug-in, or None for rows without images.
        target: where to import the plug-in from; part of no cache key.
        params: canonical parameters, defaults filled in; without ``paths``, for which the assets' hashes
            stand.
        unit: what one fit learns.
        conditions: columns of a request that the generator reads.
        needs_classifier: a classifier of real images guides the fit.
        entry: how the task uses the generator.
        assets: base checkpoints.
        formats: in which the generator's folder is saved, of ``plugins.generator.FORMATS``.
        trained: fitting takes time (for the progress bar alone).
        absent: why the row cannot be run here, or empty.
        submission_type: ``suite``, or ``generator`` or ``samples`` of a submission.
        submission: card of a submission, as JSON; None for the suite's own rows.
        attempts: trials of the study that chose the parameters, or 1.
    """

    name: str
    role: str
    card: Mapping[str, str]
    plugin: Mapping[str, str] | None = None
    target: str = ""
    version: str = "1"
    params: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    unit: FitUnit = "joint"
    conditions: tuple[str, ...] = ()
    needs_classifier: bool = False
    entry: GeneratorEntry = field(default_factory=GeneratorEntry)
    assets: tuple[AssetReference, ...] = ()
    formats: tuple[str, ...] = ()
    trained: bool = False
    absent: str = ""
    submission_type: str = "suite"
    submission: Mapping[str, Any] | None = None
    attempts: int = 1

    @property
    def has_images(self) -> bool:
        """Return whether this row adds images."""
        return self.plugin is not None

    def precision(self, of_run: str, device: str) -> str:
        """Return the precision of fitting and sampling, given that of the run.

        Raises:
            TaskError: float16 on a CPU.
        """
        own = self.entry.precision
        if own == "float16" and device == "cpu":
            where, problem = (
                f"generator '{self.name}': precision",
                "is float16, which a CPU does not train in",
            )
            raise TaskError(where, problem, "Use bfloat16 or float32 in the task, or --device cuda.")
        return of_run if own == "auto" else own

    def fit_seeds(self, profile: Profile) -> tuple[int, ...]:
        """Return the seeds of the row's fits; submitted samples are of one fit."""
        return (
            profile.fit_seeds[:1]
            if self.submission_type == "samples" or not self.has_images
            else profile.fit_seeds
        )


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run starts.

    Attributes:
        task: with the run's choices made.
        source_paths: the parameters of the source that are paths; the fingerprint stands for them in cache
            keys.
        settings: of ``--set``, where they differ from the task, by name; part of the task too.
        metrics: of the images of rows: the profile's, then those that the run adds.
    """

    task: Task
    profile_name: str
    source: str
    source_target: str
    source_params: Mapping[str, Any]
    source_paths: Mapping[str, str]
    source_fingerprint: str
    source_version: str
    rows: tuple[Row, ...]
    extractor: str
    extractor_hash: str
    device: str
    precision: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[MetricReference, ...] = ()

    @property
    def profile(self) -> Profile:
        """The chosen profile."""
        return self.task.profile(self.profile_name)

    @property
    def split(self) -> SplitRule:
        """The division of the source's images."""
        return self.task.source(self.source).split

    @property
    def data_kind(self) -> Literal["phantom", "real"]:
        """Return whether the images are of phantoms or of patients."""
        return "phantom" if self.source.startswith("phantom.") else "real"

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds of the run; one for a hold-out."""
        return tuple(range(max(self.split.folds, 1)))

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The scenario's rules, as JSON values."""
        rules = self.task.steps(self.profile_name, self.source)
        return {name: rule.model_dump(mode="json") for name, rule in rules.items()}

    @property
    def chosen(self) -> dict[str, Any]:
        """The value of every choice of the task, by ``step.field``."""
        steps = {**self.steps, "mix": self.task.mix.model_dump(mode="json")}
        return {
            path: steps[step][name]
            for path in self.task.choices
            for step, _, name in [path.partition(".")]
            if step in steps
        }

    @property
    def protocol_hash(self) -> str:
        """Hash of all that two results must share to be compared."""
        return protocol_hash(self.task, self.profile_name, self.source, self.extractor)
