"""The folder of a run whose generators are fitted to blobs, without data of a source and without MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark import stages
from benchmark.engine.node import Graph
from benchmark.engine.outcome import Outcome
from benchmark.engine.runner import input_keys
from benchmark.engine.store import Store, store_root
from benchmark.engine.worker import compute
from benchmark.errors import BenchmarkError
from benchmark.experiments.run_record import write_record
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from benchmark.stages.job import SYNTHETIC
from support.samples import blobs

CLASSES = ("healthy", "fungal", "viral")
COUNTS = dict(zip(CLASSES, (10, 7, 5), strict=True))
CLASSIFIER = {
    "name": "resnet10_tiny", "timm": "resnet10t", "timm_kwargs": {"channels": [8, 8, 16, 16]},
    "learning_rate": 1e-3, "dropout": 0.0, "augmentation": "none",
}  # fmt: skip


@dataclass(frozen=True)
class FittedRun:
    """A run up to its images: its plan, its results, and its output folder."""

    plan: Plan
    graph: Graph
    outcome: Outcome
    out: Path

    def drawn(self, row: str, label: str, fit_seed: int = 0) -> ImageSet:
        """Return the images of a class that the run drew."""
        (node,) = (n for n in self.graph.find("sample", row) if (n.fit, of_class(n)) == (fit_seed, label))
        return arrow.read_images(self.outcome.results[node.id].folder / SYNTHETIC)


def of_class(node: Any) -> str:
    """Return the class of a drawing."""
    return str(node.config.of_class)


def task(
    generators: Mapping[str, Any], classes: Sequence[str], requests: Mapping[str, Any], **profile: Any
) -> dict[str, Any]:
    """Return a task with blobs in place of its source's images; ``generators`` are entries by row."""
    size = {
        "image_size": 16, "data": {"phantom.chest": {}}, "generators": dict(generators), "brackets": [5],
        "primary_bracket": 5, "classifiers": [CLASSIFIER], "seeds": [0],
        "budget": {"unit": "steps", "length": 2, "batch_size": 4, "evaluations": 1},
    }  # fmt: skip
    return {
        "name": "blobs", "question": "?", "citation": "none", "classes": list(classes),
        "default_source": "phantom.chest",
        "sources": {"phantom.chest": {"split": {"by": "patient", "val": 0.2}}},
        "controls": ["real_only"], "requests": dict(requests),
        "profiles": dict.fromkeys(("demo", "lite", "paper"), size | profile),
    }  # fmt: skip


def fitted_run(
    root: Path,
    generators: Mapping[str, Any],
    classes: Sequence[str] = CLASSES,
    requests: Mapping[str, Any] = MappingProxyType({}),
    **profile: Any,
) -> FittedRun:
    """Fit and draw in this process, in the store of the environment, and write ``run.json``."""
    names = [entry.get("file", name) for name, entry in generators.items()]
    for entry in generators.values():
        entry.pop("file", None)
    (root / "blobs.yaml").write_text(json.dumps(task(generators, classes, requests, **profile)))
    request = RunRequest(task=str(root / "blobs.yaml"), generators=tuple(names), device="cpu")
    plan = make_plan(request, stages={"generate"})
    graph, outcome, store = build(plan).until({"generate"}), Outcome(), Store(store_root())
    for node in graph:
        key = graph.keys[node.id]
        if node.stage == "data":
            _commit_blobs(store, key, classes)
        try:
            compute(node, key, input_keys(graph, node), str(store.root), stages.run)
        except BenchmarkError as error:
            outcome.failures[node.id] = str(error).splitlines()[0]
        except FileNotFoundError:  # an input has failed
            outcome.failures[node.id] = next(iter(outcome.failures.values()))
        else:
            outcome.results[node.id] = store.get(node.stage, key)
    out = root / "out"
    out.mkdir()
    write_record(plan, "generate", graph, outcome, "0123", out)
    return FittedRun(plan, graph, outcome, out)


def _commit_blobs(store: Store, key: str, classes: Sequence[str]) -> None:
    """Store blobs as the data of the run."""
    if store.get("data", key):
        return
    part = store.work("blobs") / key
    part.mkdir()
    sets = [
        blobs({c: COUNTS[c] for c in classes}, seed=i, prefix=name)
        for i, name in enumerate(("train", "val", "test", "reserve"), 1)
    ]
    arrow.write_splits(part, Splits(*sets))
    record = {"id": "data", "stage": "data", "config": {}, "seed": 0, "inputs": {}, "result": {}}
    store.commit("data", key, part, record | {"costs": {"seconds": 0.0, "peak_memory_mb": 0.0}})
