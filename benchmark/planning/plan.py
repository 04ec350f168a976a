"""Run plan: every choice made and validated before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.stages.metrics import MetricReference
from benchmark.tasks.profile import Profile
from benchmark.tasks.schema import SplitRule, Task


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard: a generator or a control.

    Attributes:
        plugin: name and origin of the plug-in, or None for rows without images.
        target: where to import the plug-in from; part of no cache key.
        params: canonical parameters, defaults filled in.
        per_class: fit once per class.
        trained: fitting takes time (for the progress bar alone).
        absent: why the row cannot be run here, or empty.
        submission_type: ``suite``, or ``generator`` or ``samples`` of a submission.
        submission: card of a submission, as JSON; None for the suite's own rows.
    """

    name: str
    role: str
    card: Mapping[str, str]
    plugin: Mapping[str, str] | None = None
    target: str = ""
    version: str = "1"
    params: Mapping[str, Any] = field(default_factory=dict)
    per_class: bool = False
    trained: bool = False
    absent: str = ""
    submission_type: str = "suite"
    submission: Mapping[str, Any] | None = None

    @property
    def has_images(self) -> bool:
        """Return whether this row adds images."""
        return self.plugin is not None


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a run starts.

    Attributes:
        task: with the run's choices made.
        source_paths: the parameters of the source that are paths; the fingerprint stands for them in cache
            keys.
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
        return self.task.protocol_hash(self.profile_name, self.source, self.extractor)
