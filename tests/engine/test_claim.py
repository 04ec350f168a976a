"""Claims: one writer per key where all see each other, and scratch folders that outlive their writer."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from benchmark.engine import claim as claims
from benchmark.engine.claim import BEAT, LEASE_SECONDS, sole_writer, take
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import input_keys
from benchmark.engine.store import Store
from benchmark.engine.worker import compute
from benchmark.errors import StoreError
from support.acts import ActConfig, act


def ended_process() -> str:
    """Return id and start of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = psutil.Process(process.pid).create_time()
    process.kill()
    process.wait()
    return f"{process.pid} {began:.2f}"


def test_a_held_key_is_not_claimed_again(tmp_path):
    """Another key is free, and so is this one once its claim is discarded."""
    first = take(tmp_path, "k")
    assert take(tmp_path, "k") is None
    assert take(tmp_path, "other") is not None
    first.discard()
    assert take(tmp_path, "k") is not None


def test_scratch_of_a_writer_that_ended_is_inherited(tmp_path):
    """After a kill the next claim has the scratch folder, and no file of the unfinished result."""
    first = take(tmp_path, "k")
    (first.scratch / "state").write_text("step 5")
    (first.out / "half").touch()
    (first.folder / BEAT).write_text(f"{claims._machine()} {ended_process()}")
    second = take(tmp_path, "k")
    assert (second.scratch / "state").read_text() == "step 5"
    assert list(second.out.iterdir()) == []
    assert not first.folder.exists()


def test_a_process_with_the_id_of_the_writer_is_not_the_writer(tmp_path):
    """After the restart of a container this process may have the id of the killed one; it started later."""
    first = take(tmp_path, "k")
    (first.folder / BEAT).write_text(f"{claims._machine()} {os.getpid()} 12345.67 host")
    assert take(tmp_path, "k") is not None


def test_a_killed_writer_that_nobody_has_waited_for_is_gone(tmp_path):
    """A zombie has an id, and writes nothing."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = psutil.Process(process.pid).create_time()
    beat = take(tmp_path, "k").folder / BEAT
    beat.write_text(f"{claims._machine()} {process.pid} {began} host")
    assert take(tmp_path, "k") is None
    process.kill()
    until = time.monotonic() + 10
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)
    assert take(tmp_path, "k") is not None
    process.wait()


def hold(folder, seconds):
    """Start a process that holds a folder, and wait until it does."""
    code = (
        "import sys, time, pathlib; from benchmark.engine.claim import sole_writer\n"
        "with sole_writer(pathlib.Path(sys.argv[1]), '.writer', 'here', ''):\n"
        "    print('holds', flush=True); time.sleep(float(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(folder), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_second_writer_is_refused_by_name(tmp_path, monkeypatch):
    """After its patience, one error names the process and the host that write."""
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.5)
    process = hold(tmp_path, 60)
    refused = rf"^--out x: process {process.pid} on {claims.platform.node()} is writing there\n *Wait\.$"
    with pytest.raises(StoreError, match=refused), sole_writer(tmp_path, ".writer", "--out x", "Wait."):
        raise AssertionError
    process.kill()
    process.wait()
    with sole_writer(tmp_path, ".writer", "--out x", "Wait."):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_second_writer_waits_for_one_that_ends(tmp_path, capsys):
    """It says so once, and goes on as soon as the first has ended."""
    process = hold(tmp_path, 1.5)
    with sole_writer(tmp_path, ".writer", "--out x", "Wait."):
        process.wait(timeout=10)
        assert len(list(tmp_path.glob(".writer.*"))) == 1
    assert capsys.readouterr().err.count(f"--out x: waiting for process {process.pid}") == 1


def test_scratch_of_a_failure_is_inherited(tmp_path):
    """An error within the claim releases it, although its process lives."""
    first = take(tmp_path, "k")
    (first.scratch / "state").touch()
    with pytest.raises(ZeroDivisionError), first.held():
        _ = 1 / 0
    assert (take(tmp_path, "k").scratch / "state").exists()


def test_a_writer_of_another_machine_counts_as_gone_after_the_lease(tmp_path):
    """Its process cannot be seen, so that the time of its last sign of life decides."""
    beat = take(tmp_path, "k").folder / BEAT
    beat.write_text(f"elsewhere {ended_process()}")
    assert take(tmp_path, "k") is None
    old = time.time() - LEASE_SECONDS - 1
    os.utime(beat, (old, old))
    assert take(tmp_path, "k") is not None


@pytest.mark.parametrize("text", ["", "half"])
def test_a_claim_that_was_never_signed_is_free_after_the_lease(tmp_path, text):
    """A kill, or a full disk, may leave an empty or a half-written sign of life."""
    beat = take(tmp_path, "k").folder / BEAT
    beat.write_text(text)
    assert take(tmp_path, "k") is None
    os.utime(beat, (0, 0))
    assert take(tmp_path, "k") is not None


def test_a_held_claim_gives_signs_of_life(tmp_path, monkeypatch):
    """The time of its file advances while the block runs."""
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.05)
    claim = take(tmp_path, "k")
    os.utime(claim.folder / BEAT, (0, 0))
    with claim.held():
        until = time.monotonic() + 10
        while not (claim.folder / BEAT).stat().st_mtime and time.monotonic() < until:
            time.sleep(0.02)
        assert time.time() - (claim.folder / BEAT).stat().st_mtime < 10


def test_of_many_writers_at_once_at_most_one_holds_a_key(tmp_path):
    """Twenty rounds of eight claims of a new key, and of one whose writer has ended."""
    dead = f"{claims._machine()} {ended_process()}"
    with ThreadPoolExecutor(8) as pool:
        for k in range(20):
            if k % 2:
                (tmp_path / f"{k}.old").mkdir()
                (tmp_path / f"{k}.old" / BEAT).write_text(dead)
            held = [c for c in pool.map(lambda _, k=k: take(tmp_path, str(k)), range(8)) if c]
            assert len(held) <= 1
            assert all(claim.out.is_dir() for claim in held)


def test_writers_that_do_not_see_each_other_agree_on_a_result(tmp_path, monkeypatch):
    """Where claims do not exclude each other, both compute, and the first commit is everyone's result."""
    monkeypatch.setattr(
        "benchmark.engine.store.take", lambda root, key: take(root, f"{key}-{time.time_ns()}")
    )
    node = Node("a", ActConfig(act="slow", n=3))
    graph, root = Graph([node]), tmp_path / "store"
    Store(root)
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(compute, node, graph.keys["a"], input_keys(graph, node), str(root), act)
            for _ in range(4)
        ]
    folders = {job.result() for job in jobs}
    assert len(folders) == 1
    assert Store(root).get("act", graph.keys["a"]) is not None
    assert (Store(root).folder("act", graph.keys["a"]) / "n.txt").read_text() == "9"
    assert not list((root / "work").iterdir())
