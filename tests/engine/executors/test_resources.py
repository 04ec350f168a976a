"""Resources of nodes, the cluster's file, and what a cluster refuses."""

import re
import time
from pathlib import Path

import pytest

from benchmark.cli.parser import main
from benchmark.engine import resources
from benchmark.engine.node import Graph, Node
from benchmark.engine.resources import (
    ClusterFile,
    Machine,
    Placement,
    Resources,
    placement,
    refuse_impossible,
)
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.errors import TaskError
from benchmark.planning.resolve import resolve_device
from support.acts import ActConfig, OnDeviceConfig, act


def written(folder: Path, text: str) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(text)
    return path


def test_the_most_specific_entry_wins_field_by_field():
    """Of default, stage and stage/row each states some fields; the row's node has one of each."""
    given = {"default": {"cores": 2, "hours": 3}, "fit": {"memory_gb": 8}, "fit/ddpm": {"cores": 4}}
    cluster = ClusterFile.model_validate({"resources": given})
    node = Node("fit/ddpm", OnDeviceConfig(device="cpu"), row="ddpm")
    assert cluster.of(node) == Resources(cores=4, memory_gb=8, hours=3)
    other = Node("fit/other", OnDeviceConfig(device="cpu"), row="other")
    assert cluster.of(other) == Resources(cores=2, memory_gb=8, hours=3)


def test_gpus_are_for_nodes_that_compute_on_one():
    """A node on the CPU gets none; one on the GPU gets the stated share, or a whole one."""
    cluster = ClusterFile.model_validate({"resources": {"fit": {"gpus": 0.5}}})
    assert cluster.of(Node("a", OnDeviceConfig(device="cuda"))).gpus == 0.5
    assert cluster.of(Node("a", OnDeviceConfig(device="cpu"))).gpus == 0
    assert ClusterFile().of(Node("a", OnDeviceConfig(device="cuda"))).gpus == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("resources: {fit: {gpu: 1}}", "resources.fit.gpu: Extra inputs are not permitted, got 1"),
        ("resources: {fit: {cores: 0}}", "resources.fit.cores: Input should be greater than or equal to 1"),
        ("executor: lsf", "executor: Input should be 'local', 'ray' or 'slurm', got 'lsf'"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_fault_of_the_file_is_named_by_its_field(tmp_path, text, fault):
    """The error has the file, the field, what is expected, and the value."""
    with pytest.raises(TaskError, match=re.escape(fault)) as caught:
        placement(None, written(tmp_path, text))
    assert str(caught.value).startswith(f"--cluster {tmp_path}/cluster.yaml")


def test_an_unknown_executor_is_refused():
    """The known ones are named."""
    with pytest.raises(TaskError, match=r"unknown executor 'slrm'\n *Did you mean 'slurm'"):
        placement("slrm", None)


def test_an_executor_that_is_not_installed_is_named_within_a_second(monkeypatch, capsys):
    """The line has the name of the extra; nothing heavy is imported before."""
    monkeypatch.setattr(resources, "find_spec", lambda name: None)
    began = time.monotonic()
    assert main(["run", "--executor", "ray"]) == 1
    assert time.monotonic() - began < 1
    assert capsys.readouterr().err == (
        "error: --executor ray: needs the package ray\n       pip install 'synththorax[ray]'\n"
    )


def test_resources_that_no_machine_has_are_refused():
    """The error names the node, the resource, the amount, and what the largest machine has."""
    machines = [Machine("machine a", 8, 30.5, 0), Machine("machine b", 4, 15, 1)]
    node = Node("fit/ddpm", OnDeviceConfig(device="cuda"))
    refuse_impossible([(node, Resources(cores=4, gpus=1))], machines)
    with pytest.raises(TaskError) as caught:
        refuse_impossible([(node, Resources(gpus=2))], machines)
    assert str(caught.value) == (
        "node fit/ddpm: needs 2 GPUs, and the largest, machine b, has 4 cores, 1 GPUs and 15 GiB of"
        " memory\n       Lower 'resources: fit' in --cluster FILE."
    )
    with pytest.raises(TaskError, match="needs 8 cores"):  # each alone is there, not on one machine
        refuse_impossible([(node, Resources(cores=8, gpus=1))], machines)


def test_a_run_with_impossible_resources_computes_nothing(tmp_path):
    """The local executor compares with this machine."""
    cluster = ClusterFile.model_validate({"resources": {"act": {"cores": 4096}}})
    graph = Graph([Node("a", ActConfig(act="square", n=1))])
    with pytest.raises(TaskError, match="node a: needs 4096 cores"):
        execute(graph, Store(tmp_path), act, workers=1, placement=Placement("local", cluster))
    assert list((tmp_path / "results").iterdir()) == []


def test_the_device_of_a_cluster_is_not_that_of_this_machine():
    """``auto`` is CUDA where the file states GPUs, on a machine that has none; precision is bfloat16."""
    with_gpus = Placement("slurm", ClusterFile.model_validate({"resources": {"fit": {"gpus": 1}}}))
    assert resolve_device("auto", "auto", with_gpus) == ("cuda", "bfloat16")
    assert resolve_device("cuda", "float32", Placement("ray")) == ("cuda", "float32")
    assert resolve_device("auto", "float32", Placement("ray")) == ("cpu", "float32")


def test_a_node_for_a_gpu_fails_on_a_machine_without_one(tmp_path, monkeypatch):
    """Its row fails with the machine's name, and the others go on."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    graph = Graph([Node("a", OnDeviceConfig(device="cuda"))])
    outcome = execute(graph, Store(tmp_path), act, workers=1)
    assert "stage fit: is to run on a GPU, and torch finds none on" in outcome.failures["a"]
