"""Software and hardware of a bundle are those that the workers of its stages recorded."""

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest

from benchmark.bundles.provenance import provenance_fields
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import execute
from benchmark.engine.store import MANIFEST, Result, Store
from benchmark.stages.sample import SampleConfig
from benchmark.tasks.rules import Mix
from benchmark.utils.environment import hardware, software
from benchmark.utils.sealed import SEAL, write_sealed
from support.acts import ActConfig, LaterConfig, act
from support.samples import ROOT

SHARED = Node("shared", ActConfig(act="square", n=1))
FIRST = Node("first", ActConfig(act="square", n=2), {"terms": ("shared",)}, row="ddpm")
LATER = Node("later", LaterConfig(act="square", n=3), {"terms": ("first",)}, row="ddpm")
OTHER = Node("other", LaterConfig(act="square", n=4), row="noise")
PLANNED = {"device": "cuda", "precision": "bfloat16"}


@pytest.fixture
def upgraded(tmp_path, monkeypatch):
    """The results of two nodes with a faked version of timm, reused by a run with the installed one."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    fake, store = tmp_path / "fake", Store(tmp_path / "store")
    (fake / "timm-99.1.dist-info").mkdir(parents=True)
    (fake / "timm-99.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: timm\nVersion: 99.1\n"
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(fake))
        execute(Graph([SHARED, FIRST]), store, act, workers=1)
    graph = Graph([SHARED, FIRST, LATER, OTHER])
    outcome = execute(graph, store, act, workers=1)
    assert sorted(outcome.computed) == ["later", "other"]
    return graph, outcome.results


def test_a_reused_result_keeps_the_versions_of_its_worker(upgraded):
    """The row that reuses two results has both versions, and says which stages had which."""
    fields = provenance_fields(*upgraded, "ddpm", **PLANNED)
    installed = version("timm")
    assert fields["software"]["timm"] == sorted([installed, "99.1"])
    assert fields["software"]["numpy"] == version("numpy")
    assert fields["provenance"] == {
        "mixed": {"timm": {installed: ["later"], "99.1": ["act"]}},
        "unrecorded": [],
    }


def test_a_row_without_old_results_has_the_versions_of_now(upgraded):
    """Another row of the same run is not affected, and its device is the one that was used."""
    fields = provenance_fields(*upgraded, "noise", **PLANNED)
    assert fields["software"] == software()
    assert fields["hardware"] == hardware("cpu")
    assert fields["device"] == "cpu"  # the plan asked for cuda, which no stage used
    assert fields["provenance"] == {"mixed": {}, "unrecorded": []}


def test_a_result_without_a_record_is_unknown(upgraded):
    """An old manifest does not lend the versions of this process; its device is that of its cache key."""
    graph, results = upgraded
    folder = results["shared"].folder
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["environment"], manifest[SEAL]
    write_sealed(folder / MANIFEST, manifest)
    store = Store(folder.parents[2])
    old = {**results, "shared": store.get("act", graph.keys["shared"])}
    assert old["shared"].environment is None
    fields = provenance_fields(graph, old, "ddpm", **PLANNED)
    assert fields["provenance"]["unrecorded"] == ["act"]
    assert fields["device"] == "cuda"


def test_a_row_without_results_names_no_software():
    """A row that was not run has no versions, not those of the process that writes its bundle."""
    fields = provenance_fields(Graph(()), {}, "ddpm", **PLANNED)
    assert (fields["software"], fields["hardware"]) == ({}, {})
    assert (fields["device"], fields["precision"]) == ("cuda", "bfloat16")


@pytest.mark.parametrize(
    ("origin", "levels", "expected"),
    [
        ("file", ("bubblewrap", "process"), "process"),
        ("file", ("bubblewrap", "bubblewrap"), "bubblewrap"),
        ("entry_point", ("bubblewrap", None), "none"),
        ("builtin", (None, None), None),
    ],
)
def test_the_weakest_isolation_counts(origin, levels, expected):
    """A result from before sandboxes ran in a worker: its code from outside was not isolated at all."""
    plugin = {"name": "mine", "origin": origin, "version": "1", "target": "mine.py"}
    config = SampleConfig(
        plugin=plugin, assets=(), unit="joint", of_class="a", conditions=(), requests={}, chunk=1,
        classes=("a",), device="cpu", precision="float32", mix=Mix(), bracket=1, image_size=8,
    )  # fmt: skip
    nodes = [Node(f"n{i}", config, row="mine") for i in range(2)]
    environments = [{"software": {}, "hardware": {}, "device": "cpu", "isolation": level} for level in levels]
    results = {
        node.id: Result(Path(), {"environment": environment})
        for node, environment in zip(nodes, environments, strict=True)
    }
    fields = provenance_fields(Graph(nodes), results, "mine", **PLANNED)
    assert fields["provenance"].get("isolation") == expected
