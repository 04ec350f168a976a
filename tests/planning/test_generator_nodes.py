"""Fits of generators as nodes: one per seed, class or source image; each is separate work."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import stages
from benchmark.engine.claim import Claim
from benchmark.engine.events import RunObserver
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import TaskError
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan, Row
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan, resolve_device
from benchmark.stages.data import describe
from benchmark.tasks.loading import load_task
from benchmark.tasks.profile import GeneratorEntry
from benchmark.tasks.rules import Mix
from support.refusals import refuse_viral
from support.samples import ROOT, TINY, blobs

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")
GAN = Row("gan", "generator", {}, {"name": "gan", "origin": "builtin"}, params={"steps": 5}, trained=True)
REAL = (Row("real_only", "control", {}), Row("oversample", "control", {}))


def named(name: str, **changes) -> Row:
    """Return the row of another plug-in."""
    return replace(GAN, name=name, plugin={"name": name, "origin": "builtin"}, **changes)


COPIES = named("duplicate_real", role="control")
SUBMITTED = named("handed_in", submission_type="samples")


def plan(*rows: Row, mix: Mix | None = None, **profile) -> Plan:
    """Return a plan of the demo with changed fields of its profile."""
    task = load_task("cxr_pneumonia")
    profiles = {**task.profiles, "demo": task.profile("demo").model_copy(update=profile)}
    return Plan(
        task=task.model_copy(update={"profiles": profiles, "mix": mix or task.mix}),
        profile_name="demo", source="phantom.chest", source_target="x", source_params={}, source_paths={},
        source_fingerprint="f", source_version="1", rows=rows, extractor="phantom_cxr_v1",
        extractor_hash="h", device="cpu", precision="float32",
    )  # fmt: skip


def test_every_row_with_images_has_all_fits_and_their_trainings():
    """With two seeds generators and copying controls have two fits, each with its measures and trainings;
    submitted samples and rows without images have one."""
    filtering = Mix(filter="evaluators")
    graph = build(plan(*REAL, GAN, COPIES, SUBMITTED, fit_seeds=(0, 1), mix=filtering))
    for stage in ("fit", "generate", "measure", "quality_filter", "gan_test"):
        found = {
            row: [n.fit for n in graph.find(stage, row)] for row in ("gan", "duplicate_real", "handed_in")
        }
        assert found == {"gan": [0, 1], "duplicate_real": [0, 1], "handed_in": [0]}
    for row, fits in (("gan", (0, 1)), ("handed_in", (0,)), ("oversample", (0,))):
        trainings = [(n.fit, n.bracket, n.seed) for n in graph.find("classify", row)]
        brackets = (0,) if row == "oversample" else graph_brackets()
        assert sorted(trainings) == sorted((f, b, s) for f in fits for b in brackets for s in (0, 1, 2))
    for node in graph:
        assert {graph[need].fit for need in node.needs if graph[need].row == node.row} <= {node.fit}
    assert len(set(graph.keys.values())) == len(graph)
    assert [n.seed for n in graph.find("fit", "gan")] == [0, 1]


def graph_brackets() -> tuple[int, ...]:
    return load_task("cxr_pneumonia").profile("demo").brackets


def test_a_further_fit_recomputes_nothing():
    """The keys of the first fit, and of the rows without images, are those of a run with one fit."""
    one, two = build(plan(*REAL, GAN)), build(plan(*REAL, GAN, fit_seeds=(0, 1)))
    assert set(one.keys.values()) < set(two.keys.values())
    added = set(two.keys.values()) - set(one.keys.values())
    assert {n.fit for n in two if two.keys[n.id] in added} == {1}


def test_a_fit_per_class():
    """Each class that gets images has a fit, which its drawing alone reads."""
    row = replace(GAN, unit="per_class")
    graph = build(plan(*REAL, row))
    assert [n.config.of_class for n in graph.find("fit")] == list(CLASSES)
    for name in CLASSES:
        assert graph[f"sample/gan/{name}"].inputs["generator"] == (f"fit/gan/{name}",)
    assert graph["generate/gan"].inputs == {"drawn": tuple(f"sample/gan/{name}" for name in CLASSES)}
    few = build(plan(*REAL, row, mix=Mix(classes=("viral", "fungal"))))
    assert {n.config.of_class for n in few.find("fit")} == {"viral", "fungal"}
    assert few["sample/gan/healthy"].inputs["generator"] == ()


def test_a_fit_per_source_image():
    """Each class has as many fits as the task says, with separate keys; another number adds fits alone."""
    few, more = (
        build(plan(*REAL, replace(GAN, unit="per_image", entry=GeneratorEntry(sources_per_class=n))))
        for n in (3, 4)
    )
    expected = [(name, number) for name in CLASSES for number in range(3)]
    assert [(n.config.of_class, n.config.number) for n in few.find("fit")] == expected
    assert few["sample/gan/viral"].inputs["generator"] == tuple(f"fit/gan/viral/{n}" for n in range(3))
    assert len({few.keys[n.id] for n in few.find("fit")}) == 15
    assert all(few.keys[n.id] == more.keys[n.id] for n in few.find("fit"))


def test_a_joint_fit_serves_every_class():
    """One fit, five drawings."""
    graph = build(plan(*REAL, GAN))
    assert [n.id for n in graph.find("fit")] == ["fit/gan"]
    assert {n.inputs["generator"] for n in graph.find("sample")} == {("fit/gan",)}


def test_generators_of_one_size_share_their_data():
    """Two rows of 64 px read one resized set, one of the task's size the data, and no other node changes."""
    large = GeneratorEntry(image_size=64)
    rows = (replace(GAN, entry=large), named("other", entry=large), named("small"))
    graph = build(plan(*REAL, *rows))
    (resized,) = graph.find("resized_data")
    assert resized.config.image_size == 64
    for row, data in (("gan", resized.id), ("other", resized.id), ("small", "data")):
        assert graph.find("fit", row)[0].inputs["data"] == (data,)
        assert {n.inputs["data"] for n in graph.find("sample", row)} == {(data,)}
        assert graph.find("measure", row)[0].inputs["data"] == ("data",)
        assert {n.config.image_size for n in graph.find("sample", row)} == {32}


def test_found_masks_add_one_segmenter_of_train():
    """With a metric of found masks the reference and every measure read one segmenter, else there is none."""
    task = str(TINY)
    with_metric = build(make_plan(RunRequest(task=task, metrics=("lesion_overlap",))))
    (trained,) = with_metric.find("segment")
    assert trained.needs == ("data",)
    assert {n.stage for n in with_metric if trained.id in n.needs} == {"reference", "measure"}
    assert not build(make_plan(RunRequest(task=task))).find("segment")


def test_the_guide_is_separate_from_the_evaluators():
    """Rows that need a classifier share one training, with a seed and a key that no evaluator has."""
    needing = (replace(GAN, needs_classifier=True), named("other", needs_classifier=True))
    graph = build(plan(*REAL, *needing, COPIES, fit_seeds=(0, 1)))
    (guide,) = graph.find("guide")
    trainings = graph.find("classify")
    assert guide.seed not in {n.seed for n in trainings}
    assert graph.keys[guide.id] not in {graph.keys[n.id] for n in trainings}
    for node in (*graph.find("fit"), *graph.find("sample")):
        assert node.inputs.get("classifier") == (None if node.row == "duplicate_real" else ("guide",))
        assert (node.config.classifier is None) == (node.row == "duplicate_real")
    reading = {n.stage for n in graph if "guide" in n.needs}
    assert reading == {"fit", "sample"}


def test_drawing_reads_the_selection_that_the_fit_read():
    """Conditions are drawn from the selected images; oracle and noise have no selection."""
    noise = named("noise", role="control")
    graph = build(plan(*REAL, GAN, noise, mix=Mix(fit_on="misclassified")))
    for row, selection in (("gan", ("select",)), ("noise", None)):
        for node in [*graph.find("fit", row), *graph.find("sample", row)]:
            assert node.inputs.get("selection") == selection


def test_float16_is_refused_on_a_cpu():
    """The run's precision, and that of a generator, name the remedy; bfloat16 and float32 pass."""
    with pytest.raises(TaskError, match=r"--precision: is float16.*\n.*bfloat16 or float32"):
        resolve_device("cpu", "float16")
    assert resolve_device("cpu", "bfloat16") == ("cpu", "bfloat16")
    half = replace(GAN, entry=GeneratorEntry(precision="float16"))
    with pytest.raises(TaskError, match=r"generator 'gan': precision: is float16.*\n.*float32"):
        build(plan(*REAL, half))
    own = replace(GAN, entry=GeneratorEntry(precision="bfloat16"))
    graph = build(plan(*REAL, own, named("other")))
    for row, expected in (("gan", "bfloat16"), ("other", "float32")):
        nodes = [*graph.find("fit", row), *graph.find("sample", row)]
        assert {n.config.precision for n in nodes} == {expected}
    assert {n.config.precision for n in graph.find("classify")} == {"float32"}


CLASSWISE = '''"""Draws noise about the mean of one class; refuses a class while a file says so."""
import json
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from benchmark.plugins.generator import Samples

version = "1"

class Params(BaseModel, extra="forbid", frozen=True): ...

class Generator:
    conditions = set()
    def __init__(self, params): ...
    def fit(self, train, context):
        assert set(train.label.tolist()) == {train.label[0]}
        for step in (1, 2, 3):
            context.log(step, loss=1 / step)
        self.mean = train.image.mean(0) / 255
    def sample(self, request, context):
        noise = np.random.default_rng(context.seed).normal(0, 0.02, (len(request), *self.mean.shape))
        return Samples((self.mean + noise).clip(0, 1))
    def save(self, folder):
        (folder / "m.json").write_text(json.dumps(self.mean.tolist()))
    @classmethod
    def load(cls, folder, context):
        made = cls(None)
        made.mean = np.array(json.loads((folder / "m.json").read_text()))
        return made
'''


class Seen(RunObserver):
    """Records failures and logged curves."""

    def __init__(self):
        self.failures, self.curves = {}, {}

    def failed(self, node, line, dependents):
        self.failures[node.id] = line

    def logged(self, node_id, entries):
        self.curves.setdefault(node_id, []).extend(dict(entry) for entry in entries)


def test_a_failing_class_is_reported_alone_and_retried_alone(tmp_path, monkeypatch):
    """An unconditional model is fitted per class. When one class fails, the others are complete; the next run
    computes that class and the join alone. Samples are about the mean of their class, and curves of every
    class are seen."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    (tmp_path / "classwise.py").write_text(CLASSWISE)
    request = RunRequest(
        str(TINY), generators=(str(tmp_path / "classwise.py"),), device="cpu", precision="float32"
    )
    graph = build(make_plan(request, stages={"generate"})).until({"generate"}, "classwise")
    store, key = Store(tmp_path / "store"), graph.keys["data"]
    counts = dict.fromkeys(CLASSES, 8)
    splits = Splits(*(blobs(counts, size=32, seed=s, prefix=f"s{s}") for s in range(4)))
    claim = store.claim("data", key)
    assert isinstance(claim, Claim)
    folder = claim.out
    arrow.write_splits(folder, splits)
    record = {"result": describe(folder, "phantom.chest", CLASSES, "single").record()}
    store.commit("data", key, folder, record | {"costs": {"seconds": 0, "peak_memory_mb": 0}})

    seen = Seen()
    outcome = execute(graph, store, refuse_viral, workers=1, observer=seen)
    lost = {"fit/classwise/viral", "sample/classwise/viral", "generate/classwise"}
    assert set(outcome.failures) == lost
    assert set(seen.failures) == {"fit/classwise/viral"}  # told once, with its dependents
    assert set(outcome.failures.values()) == {outcome.failures["fit/classwise/viral"]}
    assert "no viral today" in outcome.failures["generate/classwise"]
    assert len(outcome.results) == len(graph) - 3
    curve = [{"step": float(s), "loss": 1 / s} for s in (1, 2, 3)]
    for name in CLASSES[:-1]:  # the last entries may be on their way when the run ends
        assert seen.curves[f"fit/classwise/{name}"] == curve

    again = execute(graph, store, stages.run, workers=1)
    assert set(again.computed) == lost
    drawn = arrow.read_images(Path(again.results["generate/classwise"].folder) / "synthetic.arrow")
    assert drawn.label.tolist() == list(range(5)) * 12
    for k in range(5):
        expected = splits.train.of_class(k).image.mean(0)
        assert abs(drawn.of_class(k).image.mean(0) - expected).mean() < 4
