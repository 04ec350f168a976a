"""The runner: reuse, failures and killed workers."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from benchmark.engine.events import RunObserver
from benchmark.engine.node import Graph, Node
from benchmark.engine.runner import VARIES, execute
from benchmark.engine.store import Store
from benchmark.errors import BenchmarkError, StoreError
from benchmark.experiments.progress import Progress
from benchmark.utils import processes
from benchmark.utils.processes import free_gpu_bytes, worker_count
from support.acts import ActConfig, act
from support.samples import ROOT


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch):
    """Let spawned workers import ``support``."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))


def node(name, act_name="square", n=1, needs=()):
    return Node(name, ActConfig(act=act_name, n=n), {"terms": tuple(needs)} if needs else {})


class Log(RunObserver):
    def __init__(self):
        self.lines = []

    def reused(self, node, result):
        self.lines.append(f"reused {node.id}")

    def finished(self, node, result):
        self.lines.append(f"finished {node.id}")

    def failed(self, node, line, dependents):
        self.lines.append(" ".join(["failed", node.id, *dependents]))


def run(folder, *nodes, **options):
    log = Log()
    return execute(Graph(nodes), Store(folder / "store"), act, workers=2, observer=log, **options), log.lines


def test_results_flow_and_are_reused(tmp_path):
    """2 squared is an input to 3 squared plus it: 13. The second run computes nothing."""
    graph = (node("a", n=2), node("b", n=3, needs=["a"]))
    outcome, lines = run(tmp_path, *graph)
    assert (outcome.results["b"].folder / "n.txt").read_text() == "13"
    assert lines == ["finished a", "finished b"]
    assert run(tmp_path, *graph)[1] == ["reused a", "reused b"]


def test_changed_node_recomputes_itself_and_its_dependents(tmp_path):
    """A new number for b does not recompute a, but does recompute c."""
    run(tmp_path, node("a"), node("b", n=2, needs=["a"]), node("c", needs=["b"]))
    _, lines = run(tmp_path, node("a"), node("b", n=5, needs=["a"]), node("c", needs=["b"]))
    assert lines == ["reused a", "finished b", "finished c"]


@pytest.mark.parametrize(
    ("act_name", "message"),
    [
        ("raise_benchmark_error", "here: is wrong\n       mend it"),
        ("raise_runtime_error", "bad: RuntimeError: a bug"),
    ],
)
def test_one_failure_does_not_stop_the_rest(tmp_path, act_name, message):
    """A failure is one line, for its dependents too. The other nodes finish, and a log is stored."""
    outcome, _ = run(tmp_path, node("bad", act_name), node("after", needs=["bad"]), node("good", n=2))
    assert outcome.failures["bad"].startswith(message)
    assert outcome.failures["after"] == outcome.failures["bad"]
    assert "good" in outcome.results
    assert "Traceback" in (tmp_path / "store" / "logs" / "bad.log").read_text()


def test_a_failure_is_reported_once_with_its_dependents(tmp_path):
    """Of a chain of three below a failure and one node beside it, one event names the three."""
    chain = [node("b", needs=["a"]), node("c", needs=["b"]), node("d", needs=["a", "good"])]
    outcome, lines = run(tmp_path, node("a", "raise_benchmark_error"), node("good", n=2), *chain)
    assert sorted(lines) == ["failed a b c d", "finished good"]
    assert outcome.report() == ["here: is wrong\n       mend it\n       3 stages depend on it."]


def test_failures_of_one_cause_are_one_text(tmp_path):
    """Two nodes with the same fault of a plug-in share a text, and two with the same bug another."""
    faulty = [node(f"x@{k}", "raise_benchmark_error", n=k) for k in (0, 1)]
    bugs = [node(f"y@{k}", "raise_runtime_error", n=k, needs=["data"]) for k in (0, 1)]
    outcome, _ = run(tmp_path, node("data", n=5), *faulty, node("z", needs=["x@1"]), *bugs)
    fault, bug = sorted(outcome.report())
    assert (
        fault == "here: is wrong\n       mend it\n       The same in 1 other stage. 1 stage depends on them."
    )
    assert bug.startswith("y@")
    assert bug.endswith("The same in 1 other stage.")


def test_an_essential_node_that_fails_ends_the_run(tmp_path):
    """Its error is that of the run: no other node starts, and observers hear of it once."""
    log, rest = Log(), [node(f"t{k}", "slow", n=k) for k in range(2, 9)]
    graph = Graph([node("a", "raise_benchmark_error"), node("b", needs=["a"]), *rest])
    began = time.monotonic()
    with pytest.raises(BenchmarkError, match=r"^here: is wrong\n       mend it$"):
        execute(
            graph, Store(tmp_path / "store"), act, workers=1, observer=log,
            essential=lambda node: node.id == "a",
        )  # fmt: skip
    assert log.lines[-1] == "failed a b"
    assert time.monotonic() - began < 1.5 * len(rest)


def test_a_bug_whose_message_differs_from_node_to_node_is_one_text(tmp_path):
    """Errors of one type from one line are one cause; observers hear which failure came first."""

    class Heard(RunObserver):
        def __init__(self):
            self.events = []

        def failed(self, node, line, dependents):
            self.events.append("failed")

        def failed_alike(self, node, line, dependents):
            self.events.append("alike")

    observer = Heard()
    graph = Graph([node(f"x@{k}", "fail_in_its_own_way", n=k) for k in range(5)])
    outcome = execute(graph, Store(tmp_path / "store"), act, workers=2, observer=observer)
    (text,) = outcome.report()
    # two workers: the first one to fail may be either
    assert re.match(r"x@(\d): KeyError: 'no entry \1 of node x@\1'\n       Log: ", text)
    assert text.endswith("The same in 4 other stages.")
    assert observer.events == ["failed", *["alike"] * 4]


def test_failures_are_one_cause_whatever_numbers_they_name(tmp_path):
    """Seeds, steps and cache keys differ from node to node; another noun is another cause."""
    causes = ["loss is nan at step 20 of 0f3a9c1db2", "loss is nan at step 3 of 77aa00bb11", "no image"]
    assert len({VARIES.sub("#", cause) for cause in causes}) == 2


def test_a_damaged_result_is_computed_again_with_a_note(tmp_path, capsys):
    """An edited figure is noticed in the next run, in one line, and the figure is what it was."""
    graph = Graph([node("a", n=2), node("b", n=3)])
    outcome = execute(graph, Store(tmp_path / "store"), act, workers=1)
    manifest = outcome.results["b"].folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"n": 0', '"n": 9'))
    progress = Progress(graph, 1)
    outcome = execute(graph, Store(tmp_path / "store"), act, workers=1, observer=progress)
    assert outcome.computed == ["b"]
    assert outcome.results["b"].manifest["result"] == {"n": 0}
    note = "note: 1 stored result damaged or of an older version, computed again: b"
    assert capsys.readouterr().out.splitlines()[0] == note


def test_failed_node_is_retried_by_the_next_run(tmp_path):
    """A failure is not stored as a result."""
    run(tmp_path, node("bad", "raise_benchmark_error"))
    assert run(tmp_path, node("bad", "raise_benchmark_error"))[1] == ["failed bad"]


def test_node_of_a_killed_worker_is_retried_once(tmp_path):
    """The runner computes the node again, with its scratch folder."""
    outcome, _ = run(tmp_path, node("shot", "die_once", n=3))
    assert (outcome.results["shot"].folder / "n.txt").read_text() == "9"


def test_worker_that_is_always_killed_fails_only_its_row(tmp_path):
    """Two kills are a failure with a remedy; the other nodes finish."""
    outcome, _ = run(tmp_path, node("shot", "die_always"), node("b", needs=["shot"]), node("good", "slow"))
    assert "killed 2 times" in outcome.failures["shot"]
    assert "good" in outcome.results
    assert "good" not in outcome.failures


def test_store_that_vanishes_is_an_error(tmp_path):
    """A store that becomes unwritable ends the run, not only a row."""
    store = Store(tmp_path / "store")
    (tmp_path / "store" / "work").rmdir()
    (tmp_path / "store" / "work").write_text("in the way")
    with pytest.raises(StoreError, match="SYNTHTHORAX_STORE"):
        execute(Graph([node("a")]), store, act, workers=1)


def test_a_grid_continues_after_a_bug_and_a_kill(tmp_path):
    """Of eight trainings one raises and one is always killed: those two fail, and the other six finish."""
    acts = ["square", "raise_runtime_error", "square", "slow", "die_always", "square", "slow", "square"]
    grid = [node(f"t{i}", act_name, n=i, needs=["data"]) for i, act_name in enumerate(acts)]
    outcome, _ = run(tmp_path, node("data", n=0), *grid)
    assert set(outcome.failures) == {"t1", "t4"}
    finished = {i: (outcome.results[f"t{i}"].folder / "n.txt").read_text() for i in (0, 2, 3, 5, 6, 7)}
    assert finished == {i: str(i**2) for i in (0, 2, 3, 5, 6, 7)}


def test_worker_gets_its_next_node_before_observers_run(tmp_path):
    """A slow observer of a finished node does not delay the next node."""

    class Slow(RunObserver):
        seen = False

        def finished(self, node, result):
            until = time.monotonic() + 30
            while node.id == "a" and not self.seen and time.monotonic() < until:
                self.seen = len(list((tmp_path / "store" / "results" / "act").iterdir())) == 2
                time.sleep(0.02)

    observer, graph = Slow(), Graph([node("a", n=1), node("b", n=2)])
    execute(graph, Store(tmp_path / "store"), act, workers=1, observer=observer)
    assert observer.seen


def test_worker_count(monkeypatch):
    """The user's number counts, at least one. On a GPU it is half the cores, limited by free memory."""
    assert worker_count("cpu", 3) == 3
    assert worker_count("cpu", None) >= 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    for free, workers in ((80, 6), (20, 3), (2, 1)):
        monkeypatch.setattr(processes, "free_gpu_bytes", lambda free=free: free * 2**30)
        assert worker_count("cuda", None) == workers
    assert worker_count("cuda", 7) == 7


def test_unreadable_gpu_memory_is_an_error(monkeypatch):
    """Where torch cannot read the free memory, the error has its last line and the remedy."""
    silent = subprocess.CompletedProcess([], 1, "", "Traceback\nRuntimeError: no NVIDIA driver\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: silent)
    with pytest.raises(BenchmarkError, match=r"no NVIDIA driver\n.*Give --workers"):
        free_gpu_bytes()


def test_observers_hear_what_a_running_node_logs(tmp_path, monkeypatch):
    """Two steps and a picture arrive while the node runs: it ends only after the observer has seen them."""

    class Curves(RunObserver):
        def __init__(self):
            self.events = []

        def started(self, node):
            self.events.append("started")

        def logged(self, node_id, entries):
            self.events += [(node_id, entry) for entry in entries]
            if any(entry["step"] == 2 for entry in entries):
                (tmp_path / "seen").touch()

        def pictured(self, node_id, path):
            self.events.append((node_id, path.name))

        def finished(self, node, result):
            self.events.append("finished")

    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    observer = Curves()
    graph = Graph([node("a", "log_until_seen")])
    outcome = execute(graph, Store(tmp_path / "store"), act, workers=1, observer=observer)
    assert "a" in outcome.results
    logged = [("a", {"step": 1.0, "loss": 0.5}), ("a", {"step": 2.0, "loss": 0.25})]
    assert [e for e in observer.events if e != ("a", "grid.png")] == ["started", *logged, "finished"]
    assert ("a", "grid.png") in observer.events
