"""Rebuild the protocol that a bundle claims from its task, and compare everything that rows share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmark.bundles.assemble import task_fields
from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError, TaskError, unknown_name
from benchmark.metrics.extractor.features import EXTRACTORS, PHANTOM
from benchmark.planning.protocol_hash import protocol_hash
from benchmark.planning.request import RunRequest
from benchmark.planning.requests import with_read_files
from benchmark.planning.source import setting_words, with_settings
from benchmark.plugins.registry import find
from benchmark.plugins.source import load_source
from benchmark.stages.records import REAL_ONLY
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.profile import Profile
from benchmark.tasks.schema import Source, Task
from benchmark.verification.check import Check, Fault, checks_of, difference, differences


@dataclass(frozen=True)
class Protocol:
    """A task with the choices, the profile, the source and the extractor of a bundle.

    Attributes:
        file: name or path of the task.
        source_file: Python file of the source; empty for an installed one.
    """

    task: Task
    file: str
    profile_name: str
    source: str
    extractor: str
    scenario: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    source_file: str = ""

    @property
    def profile(self) -> Profile:
        """The chosen profile."""
        return self.task.profile(self.profile_name)

    @property
    def folds(self) -> int:
        """Folds of the cross-validation, or 1."""
        return max(self.task.source(self.source).split.folds, 1)

    @property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The scenario's rules, as JSON values."""
        steps = self.task.steps(self.profile_name, self.source)
        return {name: rule.model_dump(mode="json") for name, rule in steps.items()}

    def request(self, root: Path | None, extractor: str) -> RunRequest:
        """Return the request of a run of this protocol without any generator."""
        return RunRequest(
            task=self.file, profile=self.profile_name, source=self.source_file or self.source, root=root,
            generators=(), extractor=extractor, scenario=self.scenario or None,
            set=tuple(setting_words(self.settings)),
        )  # fmt: skip

    def hash(self, extractor: str) -> str:
        """Return the protocol's hash with an extractor."""
        return protocol_hash(self.task, self.profile_name, self.source, extractor)


def claimed_protocol(
    manifest: Manifest, task_file: Path | None = None, source_file: Path | None = None
) -> Protocol:
    """Return the protocol that a bundle claims.

    Args:
        task_file: the task; by default the suite's task of the claimed name.
        source_file: Python file of the source; by default it is installed, and the task names it.
    Raises:
        SubmissionError: no such task, profile, source or choice; names the field of the bundle.
    """
    if task_file is None and manifest.task not in task_names():
        unknown = unknown_name("task", manifest.task, task_names())
        remedy = f"{unknown.remedy} Or give the task's file with --task."
        raise SubmissionError("task", unknown.problem, remedy)
    file = str(task_file) if task_file else manifest.task
    task = with_read_files(load_task(file))
    if task.name != manifest.task:
        raise SubmissionError("task", f"is '{manifest.task}', the given file is of '{task.name}'")
    if source_file is not None:
        if source_file.stem != manifest.source:
            raise SubmissionError("source", f"is '{manifest.source}', the given file is {source_file.name}")
        task = task.with_source(manifest.source, task.sources.get(manifest.source, Source()))
    protocol = Protocol(
        task, file, manifest.profile, manifest.source, PHANTOM, "", source_file=str(source_file or "")
    )
    place = "profile"
    try:
        profile = protocol.profile
        place = "source"
        task.source(manifest.source)
        if manifest.settings:
            place = "settings"
            protocol = _with_settings(protocol, manifest)
        place, choices = "scenario", _choices(protocol, manifest)
        task = protocol.task.variant(choices)
    except TaskError as error:
        raise SubmissionError(place, f"{error.where}: {error.problem}", error.remedy) from None
    classifiers = tuple(_classifier_config(c, k, manifest) for k, c in enumerate(profile.classifiers))
    scenario = ",".join(f"{path}={json.dumps(value)}" for path, value in choices.items())
    protocol = replace(protocol, task=task.with_classifiers(manifest.profile, classifiers), scenario=scenario)
    return replace(protocol, extractor=_extractor(manifest, protocol))


def _with_settings(protocol: Protocol, manifest: Manifest) -> Protocol:
    """Return the protocol with the bundle's settings of source and split; a path is refused.

    Raises:
        TaskError: an unknown setting, or one that a bundle cannot have.
    """
    module = load_source(find("sources", [protocol.source_file or manifest.source])[0])
    task, settings = with_settings(
        protocol.task, manifest.profile, manifest.source, module, manifest.settings
    )
    if ignored := sorted(manifest.settings.keys() - settings.keys()):
        raise TaskError(ignored[0], "is a path, or is the task's own value", "Leave it out.")
    return replace(protocol, task=task, settings=settings)


def _choices(protocol: Protocol, manifest: Manifest) -> dict[str, Any]:
    """Return the task's choices in which the bundle's rules differ from the task's defaults."""
    task = protocol.task
    reported = {**manifest.scenario, "mix": manifest.mix}
    default = {**protocol.rules, "mix": task.mix.model_dump(mode="json")}
    choices = {}
    for path in task.choices:
        step, _, name = path.partition(".")
        rule = reported.get(step)
        if (
            isinstance(rule, Mapping)
            and step in default
            and name in rule
            and rule[name] != default[step][name]
        ):
            choices[path] = rule[name]
    return choices


def _classifier_config(classifier: ClassifierConfig, index: int, manifest: Manifest) -> ClassifierConfig:
    """Return the task's classifier with the initial weights that the bundle names by their content."""
    if index >= len(manifest.classifier_cards):
        return classifier
    content = {**manifest.classifier_cards[index].weights.model_dump(), "path": None}
    return classifier.model_copy(update={"weights": classifier.weights.model_copy(update=content)})


def _extractor(manifest: Manifest, protocol: Protocol) -> str:
    """Return the extractor that the bundle's measures name, or that fits its protocol hash."""
    named = [m.removeprefix("fid_") for m in manifest.measures if m.startswith("fid_")]
    known = [n for n in named if n in EXTRACTORS] or list(EXTRACTORS)
    return next((n for n in known if protocol.hash(n) == manifest.protocol_hash), known[0])


def check_protocol(manifest: Manifest, protocol: Protocol) -> list[Check]:
    """Check the protocol's hash, and every field of the bundle that states a part of it."""
    record, expected = manifest.record(), _expected_fields(manifest, protocol)
    cards = {
        card["name"]: {k: v for k, v in card.items() if k not in ("parameters", "weights")}
        for card in record["classifier_cards"]
    }
    reported = {**{name: record[name] for name in expected}, "classifier_cards": cards}
    faults = differences(reported, expected)
    faults += [*_weights_faults(manifest, protocol), *_class_faults(manifest, protocol.task.classes)]
    name = f"task {protocol.task.name}, profile {protocol.profile_name} and source {protocol.source}"
    expected_hash = protocol.hash(protocol.extractor)
    if manifest.protocol_hash != expected_hash:
        problem = (
            f"is {manifest.protocol_hash[:12]}…, that of {name} is {expected_hash[:12]}… in this version: "
        )
        faults.append(("protocol_hash", f"{problem}a protocol from another version, or a changed one"))
    return checks_of("protocol", faults, f"{name}, hash {expected_hash[:12]}…")


def _expected_fields(manifest: Manifest, protocol: Protocol) -> dict[str, Any]:
    """Return the values that the bundle must state, by field."""
    profile = protocol.profile
    classifiers = {
        c.name: {
            **c.model_dump(mode="json", exclude={"plateau_patience", "weights"}),
            "batch_size": c.batch_size or profile.budget.batch_size,
        }
        for c in profile.classifiers
    }
    return {
        **task_fields(protocol.task, profile),
        "data_kind": "phantom" if protocol.source.startswith("phantom.") else "real",
        "folds": protocol.folds,
        "scenario": protocol.rules,
        "classifier_cards": classifiers,
        "curve": list(profile.learning_curve) if manifest.row.name == REAL_ONLY else [],
    }


def _weights_faults(manifest: Manifest, protocol: Protocol) -> list[Fault]:
    """Compare weights that the task names by their content; others are part of the hash."""
    classifiers = load_task(protocol.file).profile(protocol.profile_name).classifiers
    faults: list[Fault] = []
    for own, card in zip(classifiers, manifest.classifier_cards, strict=False):
        if own.weights.sha256:
            field = f"classifier_cards.{own.name}.weights.sha256"
            faults += difference(field, card.weights.sha256, own.weights.sha256)
    return faults


def _class_faults(manifest: Manifest, classes: tuple[str, ...]) -> list[Fault]:
    """Expect the task's classes in its order; one with too few images may be absent."""
    faults = difference("classes", list(manifest.classes), [c for c in classes if c in manifest.classes])
    positive = manifest.classes[-1] if manifest.primary_metric.name == "f1" else None
    return faults + difference("positive", manifest.positive, positive)
