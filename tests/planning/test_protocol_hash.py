"""A protocol's hash follows all code that rows share, and no generator."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark import statistics
from benchmark.classifiers import versions
from benchmark.classifiers.augment import PIPELINES
from benchmark.generators import ddpm
from benchmark.metrics import fid
from benchmark.metrics.extractor import features
from benchmark.planning import protocol_hash as hashing
from benchmark.planning.graph import build
from benchmark.planning.protocol_hash import extractor_hash, protocol_hash, stages_of
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages import STAGES, config_type
from benchmark.tasks.loading import load_task, task_names
from benchmark.tasks.schema import Task
from support.samples import TINY

SOURCE = "phantom.chest"


@pytest.fixture(scope="module")
def task() -> Task:
    """The tiny task with a filter, a selection, a learning curve and found masks: it has most stages."""
    tiny = load_task(str(TINY))
    mix = tiny.mix.model_copy(update={"filter": "evaluators", "fit_on": "misclassified"})
    demo = tiny.profile("demo")
    metrics = {**demo.measures.metrics, "lesion_overlap": {}}
    measures = demo.measures.model_copy(update={"metrics": metrics})
    demo = demo.model_copy(update={"learning_curve": (0.5,), "measures": measures})
    return tiny.model_copy(update={"mix": mix, "profiles": {**tiny.profiles, "demo": demo}})


def of(task: Task, extractor: str = features.PHANTOM) -> str:
    return protocol_hash(task, "demo", SOURCE, extractor)


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "pseudo_label"])
def test_the_version_of_every_stage_counts(stage: str, task: Task, monkeypatch: pytest.MonkeyPatch):
    """A stage that gives other results gives another protocol."""
    before = of(task)
    monkeypatch.setattr(config_type(stage), "version", "another")
    assert of(task) != before


def test_pseudo_labels_count_where_a_task_has_them(monkeypatch: pytest.MonkeyPatch):
    """The stage counts in a task that chooses it, and in no other."""
    task = load_task("chexpert_imbalance")
    source = "phantom.chexpert"
    chosen = task.variant({"label.uncertain": "self_trained"})
    before = [protocol_hash(t, "demo", source, features.PHANTOM) for t in (task, chosen)]
    monkeypatch.setattr(config_type("pseudo_label"), "version", "another")
    after = [protocol_hash(t, "demo", source, features.PHANTOM) for t in (task, chosen)]
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (statistics, "VERSION", "another"),
        (hashing, "TRAINING", "another"),
        (versions, "AUGMENTATIONS", dict.fromkeys(versions.AUGMENTATIONS, "another")),
        (fid, "version", "another"),
        (hashing, "PRECISION", {"tf32": True}),
        (hashing, "extractor_hash", lambda name: "another"),
    ],
)
def test_other_shared_code_counts(where: Any, name: str, value: Any, task: Task, monkeypatch):
    """So do statistics, training, augmentation, metrics, precision and the extractor's weights."""
    before = of(task)
    monkeypatch.setattr(where, name, value)
    assert of(task) != before


def test_no_generator_counts(task: Task, monkeypatch: pytest.MonkeyPatch):
    """A generator of another version is another row of the same board."""
    before = of(task)
    monkeypatch.setattr(ddpm, "version", "another")
    assert of(task) == before


def test_every_stage_of_a_run_counts():
    """The stages of the suite's tasks, as planned, are among those that count."""
    for name in task_names():
        plan = make_plan(RunRequest(task=name, device="cpu", precision="float32"), stages=("data",))
        planned = {node.stage for node in build(plan)}
        assert planned <= set(stages_of(plan.task, "demo", plan.source)), name


def test_the_weights_of_inception_count_without_its_file():
    """The published hash stands for the file, so that a bundle can be verified where it is missing."""
    assert extractor_hash(features.INCEPTION) == features.INCEPTION_SHA256
    assert len(extractor_hash(features.PHANTOM)) == 64


def test_every_augmentation_has_a_version():
    """A pipeline without one could change unnoticed."""
    assert all(versions.augmentation_version(name) for name in PIPELINES)
