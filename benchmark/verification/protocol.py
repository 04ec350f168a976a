"""The protocol that a bundle claims, put together again from the task: everything that rows share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.bundles.assemble import task_fields
from benchmark.bundles.schema import Manifest, WeightsCard
from benchmark.errors import BenchmarkError, SubmissionError, TaskError, unknown_name
from benchmark.metrics.features import EXTRACTORS, PHANTOM
from benchmark.planning.resolve import RunRequest
from benchmark.stages.names import REAL_ONLY
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.profile import Profile
from benchmark.tasks.schema import Task
from benchmark.verification.check import Check, Fault, judged, refused, unlike

# What a bundle says of the protocol, compared with the task; the rest of it is compared elsewhere.
SETTINGS = (
    "question", "citation", "data_kind", "labels", "folds", "scenario", "mix", "subgroups", "image_size",
    "primary_metric", "primary_bracket", "brackets", "seeds", "classifiers", "classifier_cards", "statistics", "curve",
)  # fmt: skip


@dataclass(frozen=True)
class Protocol:
    """A task with the choices, the profile, the source and the extractor of a bundle."""

    task: Task
    file: str
    profile_name: str
    source: str
    extractor: str
    scenario: str

    @property
    def profile(self) -> Profile:
        """The chosen profile."""
        return self.task.profile(self.profile_name)

    @property
    def folds(self) -> int:
        """Of the cross-validation, or 1."""
        return max(self.task.source(self.source).split.folds, 1)

    def request(self, root: Path | None, extractor: str) -> RunRequest:
        """For planning a run of this protocol without any generator."""
        return RunRequest(
            task=self.file, profile=self.profile_name, source=self.source, root=root, generators=(),
            extractor=extractor, scenario=self.scenario or None,
        )  # fmt: skip


def protocol_of(manifest: Manifest, task_file: Path | None = None) -> Protocol:
    """The protocol that a bundle claims.

    Args:
        task_file: the task; without it, one of the suite's own, by its name.
    Raises:
        SubmissionError: no such task, profile, source or choice; names the field of the bundle.
    """
    if task_file is None and manifest.task not in task_names():
        meant = unknown_name("task", manifest.task, task_names())
        raise SubmissionError("task", meant.problem, f"{meant.remedy} Or give the task's file with --task.")
    file = str(task_file) if task_file else manifest.task
    task = load_task(file)
    if task.name != manifest.task:
        raise SubmissionError("task", f"is '{manifest.task}', the file given is of '{task.name}'")
    with _of_field("profile"):
        profile = task.profile(manifest.profile)
    with _of_field("source"):
        task.source(manifest.source)
    chosen = _choices(task, manifest)
    with _of_field("scenario"):
        task = task.variant(chosen)
    classifiers = tuple(_classifier_config(r, k, manifest) for k, r in enumerate(profile.classifiers))
    protocol = Protocol(
        task=task.with_classifiers(manifest.profile, classifiers),
        file=file,
        profile_name=manifest.profile,
        source=manifest.source,
        extractor=PHANTOM,
        scenario=",".join(f"{path}={json.dumps(value)}" for path, value in chosen.items()),
    )
    return replace(protocol, extractor=_extractor(manifest, protocol))


@contextmanager
def _of_field(field: str) -> Iterator[None]:
    """Names the field of the bundle that holds a value which the task does not know."""
    try:
        yield
    except TaskError as error:
        raise SubmissionError(field, f"{error.where}: {error.problem}", error.remedy) from None


def _choices(task: Task, manifest: Manifest) -> dict[str, Any]:
    """The choices of the task in which the bundle's rules differ from the task's own."""
    said = {**manifest.scenario, "mix": manifest.mix}
    own = {**_steps(task, manifest.profile, manifest.source), "mix": task.mix.model_dump(mode="json")}
    found = {}
    for path in task.choices:
        step, _, name = path.partition(".")
        rule = said.get(step)
        if isinstance(rule, Mapping) and step in own and name in rule and rule[name] != own[step][name]:
            found[path] = rule[name]
    return found


def _steps(task: Task, profile: str, source: str) -> dict[str, dict[str, Any]]:
    """The scenario's rules, as JSON values."""
    return {n: rule.model_dump(mode="json") for n, rule in task.steps(profile, source).items()}


def _classifier_config(classifier: ClassifierConfig, index: int, manifest: Manifest) -> ClassifierConfig:
    """The task's recipe with the initial weights that the bundle names by their content."""
    if index >= len(manifest.classifier_cards):
        return classifier
    card: WeightsCard = manifest.classifier_cards[index].weights
    return classifier.model_copy(
        update={"weights": classifier.weights.model_copy(update={**card.model_dump(), "path": None})}
    )


def _extractor(manifest: Manifest, protocol: Protocol) -> str:
    """The extractor that the bundle's measures name, or that its hash is of."""
    named = [m.removeprefix("fid_") for m in manifest.measures if m.startswith("fid_")]
    known = [n for n in named if n in EXTRACTORS] or list(EXTRACTORS)
    return next((n for n in known if _hash(protocol, n) == manifest.protocol_hash), known[0])


def _hash(protocol: Protocol, extractor: str) -> str:
    return protocol.task.protocol_hash(protocol.profile_name, protocol.source, extractor)


def check_protocol(manifest: Manifest, protocol: Protocol) -> list[Check]:
    """The protocol's hash, and every field that says a part of it."""
    faults: list[Fault] = [
        *unlike(_said(manifest), _true(manifest, protocol)),
        *_weights_faults(manifest, protocol),
        *_class_faults(manifest, protocol.task.classes),
    ]
    own = _hash(protocol, protocol.extractor)
    if own != manifest.protocol_hash:
        faults.append((
            "protocol_hash",
            f"is {manifest.protocol_hash[:12]}…, that of task {protocol.task.name}, profile "
            f"{protocol.profile_name} and source {protocol.source} is {own[:12]}… in this version: a "
            "protocol from another version, or a changed one",
        ))  # fmt: skip
    name = f"{protocol.task.name}, {protocol.profile_name}, {protocol.source}"
    return judged("protocol", faults, f"that of {name}, hash {own[:12]}…")


def _said(manifest: Manifest) -> dict[str, Any]:
    record = manifest.record()
    classifiers = {r["name"]: _without(r, "parameters", "weights") for r in record["classifier_cards"]}
    return {**{name: record[name] for name in SETTINGS}, "classifier_cards": classifiers}


def _without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k not in names}


def _true(manifest: Manifest, protocol: Protocol) -> dict[str, Any]:
    """What the bundle must say, by the names of its fields."""
    task, profile = protocol.task, protocol.profile
    classifiers = {
        r.name: {
            **r.model_dump(mode="json", exclude={"plateau_patience", "weights"}),
            "batch_size": r.batch_size or profile.budget.batch_size,
        }
        for r in profile.classifiers
    }
    return {
        **task_fields(task, profile),
        "data_kind": "phantom" if protocol.source.startswith("phantom.") else "real",
        "folds": protocol.folds,
        "scenario": _steps(task, protocol.profile_name, protocol.source),
        "classifier_cards": classifiers,
        "curve": list(profile.learning_curve) if manifest.row.name == REAL_ONLY else [],
    }


def _weights_faults(manifest: Manifest, protocol: Protocol) -> list[Fault]:
    """Weights that a task names by their content must be these; others are part of the hash."""
    task = load_task(protocol.file).profile(protocol.profile_name)
    return [
        (
            f"classifier_cards.{own.name}.weights.sha256",
            f"is {card.weights.sha256}, expected {own.weights.sha256}",
        )
        for own, card in zip(task.classifiers, manifest.classifier_cards, strict=False)
        if own.weights.sha256 and card.weights.sha256 != own.weights.sha256
    ]


def _class_faults(manifest: Manifest, classes: tuple[str, ...]) -> list[Fault]:
    """The task's classes in its order; one of which there are too few images may be gone."""
    faults: list[Fault] = []
    if list(manifest.classes) != [c for c in classes if c in manifest.classes]:
        faults.append(
            ("classes", f"are {list(manifest.classes)}, expected those of {list(classes)} in order")
        )
    metric = manifest.primary_metric.name
    positive = manifest.classes[-1] if metric == "f1" else None
    if manifest.positive != positive:
        faults.append(("positive", f"is {manifest.positive!r}, expected {positive!r}"))
    return faults


def claimed(manifest: Manifest, task_file: Path | None) -> tuple[Protocol | None, list[Check]]:
    """The protocol and its checks; without a task there is nothing to compare with."""
    try:
        protocol = protocol_of(manifest, task_file)
    except BenchmarkError as error:
        return None, [refused("protocol", error)]
    return protocol, check_protocol(manifest, protocol)
