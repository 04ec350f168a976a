"""Faults of the store: one error that names the store, whatever the stage made of them."""

import errno
import os
import subprocess

import pytest
import torch

from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import execute
from benchmark.engine.store import Store
from benchmark.engine.store_fault import store_is_blamed
from benchmark.errors import GeneratorError, StoreError
from benchmark.stages.plugin import generator_errors
from benchmark.utils.training_state import save_state
from support.acts import ActConfig, act
from support.samples import ROOT


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch):
    """Let spawned workers import ``support``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("write_too_much", "cannot be written: File too large"),
        ("remove_store", "was removed during the run"),
        ("remove_inputs", "was removed during the run"),
    ],
)
def test_a_fault_of_the_store_ends_the_run_with_one_error(tmp_path, name, problem):
    """It names the store, not the generator, though 20 stages would fail of it."""
    first = Node("first", ActConfig(act="square", n=1))
    faulty = [Node(f"x{k}", ActConfig(act=name, n=k), {"terms": ("first",)}) for k in range(20)]
    root = tmp_path / "store"
    with pytest.raises(StoreError, match=problem) as caught:
        execute(Graph([first, *faulty]), Store(root), act, workers=2)
    assert caught.value.where == f"store {root}"
    assert "generator" not in str(caught.value)


def test_an_error_of_the_stage_stays_its_own(tmp_path):
    """Where the store can be written and has the inputs, nothing is blamed on it."""
    store = Store(tmp_path / "store")
    with pytest.raises(GeneratorError, match="too deep"), store_is_blamed(store, store.work("k")):
        raise GeneratorError("generator 'x'", "is too deep")


def test_the_cause_of_a_cause_counts(tmp_path):
    """A plug-in's error from a library's error from a full disk is a full disk."""
    store = Store(tmp_path / "store")
    library = RuntimeError("write failed")
    library.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(StoreError, match="No space left"), store_is_blamed(store, store.work("k")):
        raise GeneratorError("generator 'x'", "failed") from library


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MiB; the test is skipped where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_recognized_in_what_torch_makes_of_it(small_disk):
    """torch raises a RuntimeError without a number; the state that did not fit leaves nothing."""
    store = Store(small_disk / "store")
    work = store.work("k")
    with (
        pytest.raises(StoreError, match="No space left on device"),
        store_is_blamed(store, work),
        generator_errors("x", "fit()"),
    ):
        save_state(work / "state.pt", {"w": torch.zeros(2**21)})
    assert list(work.iterdir()) == []
