"""Costs before a run: records where there are some, guesses where not, and no device."""

import pytest

from benchmark.cli.parser import main
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import ClusterFile, Placement
from benchmark.engine.store import Store
from benchmark.experiments.estimate import SHARED, estimate
from support.acts import ActConfig, OnDeviceConfig
from support.samples import ROOT


def node(name, n=1, row="", seed=0, needs=()):
    return Node(name, ActConfig(act="square", n=n), {"x": needs}, seed=seed, row=row, expected_seconds=100)


def record(store, graph, name, seconds, memory):
    """Store a result as a run would have."""
    one, key = graph[name], graph.keys[name]
    claim = store.claim(one.stage, key)
    about = {"config": one.config.model_dump(mode="json"), "result": {}}
    costs = {"seconds": seconds, "peak_memory_mb": memory}
    store.commit(one.stage, key, claim.out, about | {"costs": costs})
    claim.discard()


def test_records_decide_what_they_know(tmp_path):
    """Of a chain of three, the first is stored (10 s); the second has its configuration with another seed, so
    it takes 10 s too; the third is another configuration, and follows the ratio of 0.1 to the guesses."""
    store = Store(tmp_path)
    graph = Graph(
        [node("a"), node("b", row="r", seed=1, needs=("a",)), node("c", n=2, row="r", needs=("b",))]
    )
    record(store, graph, "a", 10.0, 300)
    result = estimate(graph, tmp_path, Placement(), 1)
    assert (result.stages, result.reused) == (3, 1)
    assert {each.node.id: each.basis for each in result.nodes} == {"b": "same", "c": "similar"}
    seconds = {each.node.id: each.seconds for each in result.nodes}
    assert seconds["b"] == pytest.approx(10, rel=0.02)
    assert seconds["c"] == pytest.approx(10, rel=0.1)
    assert result.wall_seconds == pytest.approx(sum(seconds.values()))
    shared, row = result.rows
    assert (shared.name, shared.reused, shared.seconds) == (SHARED, 1, 0)
    assert (row.stages, row.reused, row.memory_mb) == (2, 0, 300)


def test_without_records_the_guess_counts(tmp_path):
    """Two nodes of 100 s that need nothing take 100 s on two workers and 200 s on one."""
    graph = Graph([node("a"), node("b", n=2)])
    assert estimate(graph, tmp_path / "none", Placement(), 2).wall_seconds == pytest.approx(100)
    result = estimate(graph, tmp_path / "none", Placement(), 1)
    assert result.wall_seconds == pytest.approx(200)
    assert result.bases == {"guess": 2}
    assert result.rows[0].memory_mb is None
    assert not (tmp_path / "none").exists()


def test_gpu_hours_are_seconds_by_shares_of_a_gpu(tmp_path):
    """An hour on half a GPU is half a GPU hour; a stage on the CPU adds none."""
    config = OnDeviceConfig(device="cuda")
    graph = Graph([Node("a", config, expected_seconds=3600), Node("b", OnDeviceConfig(device="cpu"))])
    half = Placement("slurm", ClusterFile.model_validate({"resources": {"fit": {"gpus": 0.5}}}))
    (row,) = estimate(graph, tmp_path, half, 1).rows
    assert row.gpu_hours == pytest.approx(0.5)


def test_a_plan_asks_no_device_and_writes_nothing(tmp_path, monkeypatch, capsys):
    """``plan`` and ``run --dry-run`` print the same table of rows, and leave no file."""
    import torch

    def asked():
        raise AssertionError("the plan asked for a device")

    monkeypatch.setattr(torch.cuda, "is_available", asked)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    words = ["--task", str(ROOT / "tests" / "tasks" / "tiny_binary.yaml"), "--workers", "2"]
    assert main(["plan", *words]) == 0
    first = capsys.readouterr().out
    assert main(["run", "--dry-run", *words]) == 0
    assert capsys.readouterr().out == first
    rows = {line.split()[0] for line in first.splitlines()[2:-3]}
    assert rows == {"(all", "real_only", "duplicate_real", "oracle"}
    assert "20 stages, 0 reused" in first
    assert list(tmp_path.iterdir()) == []
