"""Ray and submitit give what the local executor gives: results, failures, retries."""

import os
import signal

import pytest

from benchmark.engine.events import RunObserver
from benchmark.engine.executors.slurm import _gpus
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import ClusterFile, Placement
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import TaskError
from support.acts import ActConfig, act
from support.samples import ROOT

PLACEMENTS = {
    "ray": Placement("ray"),
    "slurm": Placement("slurm", ClusterFile.model_validate({"slurm": {"scheduler": "local"}})),
}


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch):
    """Let workers import ``support``."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def installed(name: str) -> Placement:
    package = {"ray": "ray", "slurm": "submitit"}[name]
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'synththorax[{name}]'")
    return PLACEMENTS[name]


class Log(RunObserver):
    def __init__(self):
        self.lines = []

    def started(self, node):
        self.lines.append(f"started {node.id}")

    def progressed(self, node_id, share):
        self.lines.append(f"progressed {node_id}")

    def finished(self, node, result):
        self.lines.append(f"finished {node.id}")

    def failed(self, node, line, dependents):
        self.lines.append(" ".join(["failed", node.id, *dependents]))


def node(name, act_name="square", n=1, needs=()):
    return Node(name, ActConfig(act=act_name, n=n), {"terms": tuple(needs)} if needs else {})


@pytest.mark.parametrize("name", [pytest.param("ray", marks=pytest.mark.slow), "slurm"])
def test_a_graph_on_a_cluster(name, tmp_path):
    """Results flow (2 squared, and 3 squared plus it), one failure is one row's with its trace in a log, a
    killed worker's node runs again with its scratch folder, and events come in order."""
    place, log = installed(name), Log()
    graph = Graph([
        node("a", n=2), node("b", n=3, needs=["a"]), node("shot", "die_once", n=3),
        node("bad", "raise_benchmark_error"), node("after", needs=["bad"]),
        node("bug", "raise_runtime_error"),
    ])  # fmt: skip
    store = Store(tmp_path / "store")
    outcome = execute(graph, store, act, workers=2, observer=log, placement=place)
    assert (outcome.results["b"].folder / "n.txt").read_text() == "13"
    assert (outcome.results["shot"].folder / "n.txt").read_text() == "9"
    assert set(outcome.failures) == {"bad", "after", "bug"}
    assert outcome.failures["after"] == "here: is wrong\n       mend it"
    assert outcome.failures["bug"].startswith("bug: RuntimeError: a bug\n       Log: ")
    assert "raise_runtime_error" in (tmp_path / "store" / "logs" / "bug.log").read_text()
    assert log.lines.index("started a") < log.lines.index("finished a") < log.lines.index("finished b")
    assert not [*(store.root / "work").glob("messages/*"), *(store.root / "work").glob("run-*")]


@pytest.mark.slow
def test_ray_refuses_what_no_machine_has(tmp_path):
    """The error names the node, the resource and the largest machine, before anything runs."""
    installed("ray")
    place = Placement("ray", ClusterFile.model_validate({"resources": {"act": {"cores": 99}}}))
    with pytest.raises(TaskError, match=r"node a: needs 99 cores, and the largest, machine"):
        execute(Graph([node("a")]), Store(tmp_path), act, workers=1, placement=place)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_line(tmp_path):
    """Its address and the remedy are named."""
    installed("ray")
    place = Placement("ray", ClusterFile.model_validate({"ray": {"address": "127.0.0.1:1"}}))
    with pytest.raises(TaskError, match=r"^--executor ray: cannot connect to 127\.0\.0\.1:1: "):
        execute(Graph([node("a")]), Store(tmp_path), act, workers=1, placement=place)


def test_slurm_without_sbatch_is_one_line(tmp_path, monkeypatch):
    """The remedy names a login node."""
    installed("slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TaskError, match="--executor slurm: finds no sbatch"):
        execute(Graph([node("a")]), Store(tmp_path), act, workers=1, placement=Placement("slurm"))


def test_a_preempted_job_saves_its_state_and_goes_on(tmp_path):
    """A node that counts to ten is preempted on the way: it goes on from its state, however often."""
    place = installed("slurm")
    store = Store(tmp_path / "store")

    class Often(RunObserver):
        sent = 0

        def progressed(self, node_id, share):
            if share > 0 and self.sent < 6:
                for beat in store.root.glob("work/*/beat"):
                    if not beat.parent.name.startswith("run-"):
                        os.kill(int(beat.read_text().split()[1]), signal.SIGTERM)
                        self.sent += 1

    observer = Often()
    graph = Graph([node("long", "count_to_ten")])
    outcome = execute(graph, store, act, workers=1, observer=observer, placement=place)
    assert outcome.failures == {}
    counted = (outcome.results["long"].folder / "n.txt").read_text().split()
    assert [int(k) for k in counted] == list(range(10))
    assert observer.sent >= 1


def test_gpus_of_a_machine_as_sinfo_prints_them():
    """Types, sockets, other resources and none."""
    texts = {"gpu:a100:4(S:0-1)": 4, "gpu:2": 2, "gpu": 1, "shard:8,gpu:v100:3": 3, "(null)": 0}
    assert {text: _gpus(text) for text in texts} == texts
