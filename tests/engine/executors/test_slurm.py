"""A real SLURM: arrays, lost and preempted jobs, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.engine.events import RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import ClusterFile, Placement
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import TaskError
from support.acts import ActConfig, act
from support.samples import ROOT
from support.slurm_cluster import missing, slurm_cluster

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def conf() -> Iterator[Path]:
    """Configuration of a running SLURM."""
    pytest.importorskip("submitit", reason="submitit is not installed: pip install 'synththorax[slurm]'")
    if lacking := missing():
        pytest.skip(f"no {lacking}: apt-get install slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="synththorax-slurm-"))
    with slurm_cluster(folder) as path:
        yield path
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def cluster(conf, monkeypatch):
    """Let jobs find SLURM and ``support``."""
    monkeypatch.setenv("SLURM_CONF", str(conf))
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


def placement(**resources) -> Placement:
    content = {"slurm": {"partition": "low"}, "resources": {"act": {"memory_gb": 1, "hours": 1} | resources}}
    return Placement("slurm", ClusterFile.model_validate(content))


def node(name, act_name="square", n=1, needs=()):
    return Node(name, ActConfig(act=act_name, n=n), {"terms": tuple(needs)} if needs else {})


def test_an_array_with_a_lost_job(tmp_path):
    """Results flow, a failure is one row's, and the job that was killed runs again."""
    nodes = [node("a", n=2), node("b", n=3, needs=["a"]), node("shot", "die_once", n=3)]
    graph = Graph([*nodes, node("bad", "raise_benchmark_error")])
    outcome = execute(graph, Store(tmp_path / "store"), act, workers=2, placement=placement())
    texts = {name: (result.folder / "n.txt").read_text() for name, result in outcome.results.items()}
    assert texts == {"a": "4", "b": "13", "shot": "9"}
    assert outcome.failures == {"bad": "here: is wrong\n       mend it"}


def test_a_preempted_job_goes_on_from_its_state(tmp_path):
    """A job of a higher partition takes its place: it saves, ends, runs again, and counts no number twice."""

    class Preempt(RunObserver):
        sent = False

        def progressed(self, node_id, share):
            if share >= 0.2 and not self.sent:
                self.sent = True
                words = ["sbatch", "--partition=high", "--exclusive", "--output=/dev/null"]
                subprocess.run([*words, "--wrap", "sleep 3"], check=True, stdout=subprocess.DEVNULL)

    observer = Preempt()
    graph = Graph([node("long", "count_to_ten")])
    outcome = execute(
        graph, Store(tmp_path / "store"), act, workers=1, observer=observer, placement=placement()
    )
    assert observer.sent
    assert outcome.failures == {}
    numbers = (outcome.results["long"].folder / "n.txt").read_text().split()
    assert [int(number) for number in numbers] == list(range(10))


def test_resources_that_no_machine_has(tmp_path):
    """The node, the resource and the machine are named before a job is submitted."""
    with pytest.raises(
        TaskError, match="node a: needs 2 GPUs, and the largest, machine localhost, has"
    ) as caught:
        _refused(tmp_path)
    assert "0 GPUs" in str(caught.value)


def _refused(folder):
    from support.acts import OnDeviceConfig

    content = {"slurm": {"partition": "low"}, "resources": {"fit": {"gpus": 2}}}
    place = Placement("slurm", ClusterFile.model_validate(content))
    execute(Graph([Node("a", OnDeviceConfig(device="cuda"))]), Store(folder), act, workers=1, placement=place)


def test_a_partition_that_is_not_there(tmp_path):
    """The answer of sbatch is one line."""
    place = Placement("slurm", ClusterFile.model_validate({"slurm": {"partition": "nowhere"}}))
    with pytest.raises(TaskError, match=r"--executor slurm: sbatch refused node a: .*partition"):
        execute(Graph([node("a")]), Store(tmp_path), act, workers=1, placement=place)
