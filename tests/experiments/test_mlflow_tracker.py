"""A run in MLflow: each result once, live curves, and a tracking store that fails while it computes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest
from mlflow.artifacts import load_dict
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from benchmark.cli.parser import main
from benchmark.engine.store import Result
from benchmark.experiments import merging
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from support.samples import TINY

HISTORY = [
    {"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.4, "fid": 9.0},
    {"step": 3.0, "loss": 0.3, "fid": 7.0}, {"step": 4.0, "loss": 0.2},
]  # fmt: skip


class Tracked:
    """Trackers of one run with a single fit, in a folder; ``node`` is the fit, ``result`` its result."""

    def __init__(self, folder):
        self.folder, self.uri = folder, f"sqlite:///{folder / 'mlflow.db'}"
        self.plan = make_plan(RunRequest(str(TINY), generators=("ddpm",), device="cpu", precision="float32"))
        self.graph = build(self.plan).until({"fit"}, "ddpm")
        (self.node,) = self.graph.find("fit")
        costs = {"seconds": 1.0, "peak_memory_mb": 2}
        self.result = Result(folder, {"result": {"history": HISTORY}, "costs": costs})

    def start(self):
        return Tracker(self.plan, "generate", self.graph)

    def runs(self, stage="fit"):
        client = MlflowClient(self.uri)
        ids = [e.experiment_id for e in client.search_experiments()]
        return [r for r in client.search_runs(ids) if r.data.tags.get("stage") == stage]

    def points(self, name, run=None):
        run_id = (run or self.runs()[0]).info.run_id
        return [(m.step, m.value) for m in MlflowClient(self.uri).get_metric_history(run_id, name)]

    def left(self):
        return list((self.folder / "store" / "tracking").glob("*"))


@pytest.fixture
def tracked(tracking_file, tmp_path, monkeypatch):
    """Trackers in an empty folder."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(merging, "LIVE_SECONDS", 0.0)
    return Tracked(tmp_path)


def wait_for(condition, seconds=20.0):
    """Wait for the thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the thread did not send it"
        time.sleep(0.02)


def test_curves_are_logged_while_a_fit_runs_and_once(tracked):
    """Scalars logged live are not repeated at the end, nor after a resumed fit logs its last steps again.

    What arrives after the end, like the FID of the last preview, is taken from the result.
    """
    tracker, node = tracked.start(), tracked.node
    tracker.progressed(node.id, 0.0)
    tracker.logged(node.id, [{"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.4}])
    wait_for(lambda: not len(tracker._outbox))
    assert tracked.points("loss") == [(1, 0.5), (2, 0.4)]
    tracker.logged(node.id, [{"step": 2.0, "loss": 0.4}, {"step": 2.0, "fid": 9.0}])
    tracker.logged(node.id, [{"step": 3.0, "loss": 0.3}])
    tracker.finished(node, tracked.result)
    tracker.logged(node.id, [{"step": 3.0, "fid": 7.0}])  # too late, and known by now
    tracker.close("FINISHED", 1.0)
    assert tracked.points("loss") == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    assert tracked.points("fid") == [(2, 9.0), (3, 7.0)]
    assert tracked.points("seconds") == [(0, 1.0)]
    assert not tracked.left()
    (parent,) = tracked.runs("generate")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["tracking_seconds"] > 0


def test_a_stage_is_below_its_row_and_the_row_below_the_run(tracked):
    """The row has the parameters of its generator, none of them empty; all runs end."""
    tracker = tracked.start()
    tracker.progressed(tracked.node.id, 0.0)
    tracker.finished(tracked.node, tracked.result)
    tracker.close("FINISHED", 1.0)
    (stage,), (row,), (parent,) = tracked.runs(), tracked.runs("row"), tracked.runs("generate")
    assert stage.data.tags["mlflow.parentRunId"] == row.info.run_id
    assert row.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (row.info.run_name, row.data.params["generator"], row.data.params["bracket"]) == (
        "ddpm",
        "ddpm",
        "12",
    )
    assert "" not in {value for run in (stage, row, parent) for value in run.data.params.values()}
    assert {run.info.status for run in (stage, row, parent)} == {"FINISHED"}


def test_reused_stages_are_linked_from_their_row(tracked):
    """The second start has its own row, whose description names the run of the first that holds the fit."""
    for _ in range(2):
        tracker = tracked.start()
        tracker.reused(tracked.node, tracked.result)
        tracker.close("FINISHED", 1.0)
    (stage,) = tracked.runs()
    second, first = sorted(tracked.runs("row"), key=lambda r: -r.info.start_time)
    link = f"runs/{stage.info.run_id})"
    assert link in second.data.tags["mlflow.note.content"]
    assert link not in first.data.tags["mlflow.note.content"]


def test_previews_show_while_a_fit_runs(tracked):
    """The grid of previews is an artifact before the end; one that is gone by then is skipped.

    A class with a character that MLflow refuses gets an underscore in its place.
    """
    tracker, node, grid = tracked.start(), tracked.node, tracked.folder / "previews.png"
    grid.write_bytes(b"grid")
    tracker.progressed(node.id, 0.0)
    tracker.logged(node.id, [{"step": 1.0, "preview_fid/a+b": 3.0}])
    tracker.pictured(node.id, grid)
    tracker.pictured(node.id, tracked.folder / "gone.png")
    wait_for(lambda: not len(tracker._outbox))
    (run,) = tracked.runs()
    names = [f.path for f in MlflowClient(tracked.uri).list_artifacts(run.info.run_id)]
    assert (names, run.info.status) == (["previews.png"], "RUNNING")
    assert tracked.points("preview_fid/a_b") == [(1, 3.0)]
    tracker.close("FINISHED", 1.0)


def test_a_failed_fit_keeps_its_curve(tracked):
    """Scalars that were logged before a failure stay."""
    tracker, node = tracked.start(), tracked.node
    tracker.progressed(node.id, 0.0)
    tracker.logged(node.id, [{"step": 1.0, "loss": 0.5}])
    tracker.failed(node, "no memory", ())
    tracker.close("FAILED", 1.0)
    assert tracked.points("loss") == [(1, 0.5)]
    assert tracked.runs()[0].data.tags["error"] == "no memory"


def test_a_result_is_logged_once_however_often_it_is_reused(tracked):
    """A result that no run has logged, as in a new store or after a kill before its log, is logged as reused.

    A second start logs nothing again, and its parent names the run that holds the result.
    """
    for _ in range(2):
        tracker = tracked.start()
        tracker.reused(tracked.node, tracked.result)
        tracker.close("FINISHED", 1.0)
    (run,) = tracked.runs()
    assert (run.info.status, run.data.tags["reused"]) == ("FINISHED", "true")
    assert tracked.points("loss") == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    for parent in tracked.runs("generate"):
        assert parent.data.metrics["stages_reused"] == 1
        table = load_dict(f"{parent.info.artifact_uri}/stages.json")
        assert [s["run_id"] for s in table["stages"]] == [run.info.run_id]


def test_a_result_of_a_concurrent_run_is_logged_by_that_run_alone(tracked):
    """The other run is about to log the result, so this one leaves it to the other."""
    first, second = tracked.start(), tracked.start()
    first.progressed(tracked.node.id, 0.0)
    wait_for(lambda: not len(first._outbox))
    second.started(tracked.node)
    second.reused(tracked.node, tracked.result)
    second.close("FINISHED", 1.0)
    first.finished(tracked.node, tracked.result)
    first.close("FINISHED", 1.0)
    assert [r.info.status for r in tracked.runs()] == ["FINISHED"]


def test_a_stage_costs_three_calls_and_its_artifacts(tracked, monkeypatch):
    """However often it reports: its run is created, all that it logs is one call, and its run is ended.

    The first stage of a row creates the row's run too, with one call of its own.
    """
    monkeypatch.setattr(merging, "LIVE_SECONDS", 30.0)
    tracker, node, calls = tracked.start(), tracked.node, Counter()
    wait_for(lambda: not len(tracker._outbox))
    (tracked.folder / "result.json").write_text("{}")

    def counted(name, real):
        def call(*arguments, **keywords):
            calls[name] += 1
            return real(*arguments, **keywords)

        return call

    for name in ("create_run", "log_batch", "log_artifact", "log_inputs", "set_terminated", "set_tag"):
        monkeypatch.setattr(tracker.client, name, counted(name, getattr(tracker.client, name)))
    tracker.progressed(node.id, 0.0)
    for step in range(1, 4):
        tracker.logged(node.id, [{"step": float(step), "loss": 1 / step}])
        time.sleep(0.1)
    tracker.finished(node, tracked.result)
    wait_for(lambda: not len(tracker._outbox))
    assert calls == {"create_run": 2, "log_batch": 2, "log_artifact": 1, "set_terminated": 1}
    assert tracked.points("loss")[:3] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    tracker.close("FINISHED", 1.0)


def test_sync_sends_what_a_run_has_left(tracked, capsys):
    """While the store is away one line names it, and the records wait; once it is back they are sent once."""
    environ = os.environ | {"FOLDER": str(tracked.folder)}
    environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    before = (
        "tracker._outbox.sent = lambda count: __import__('time').sleep(9)\n"
        "tracker.finished(tracked.node, tracked.result)"
    )
    subprocess.run([sys.executable, "-c", KILLED.replace("BEFORE", before)], env=environ, check=False)
    database = tracked.folder / "mlflow.db"
    database.rename(tracked.folder / "away.db")
    database.mkdir()
    assert main(["track", "sync", "--seconds", "0"]) == 1
    assert "The records of 1 run wait in" in capsys.readouterr().err
    database.rmdir()
    (tracked.folder / "away.db").rename(database)
    assert main(["track", "sync"]) == 0
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert tracked.points("loss") == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    assert not tracked.left()
    assert main(["track", "sync"]) == 0
    assert "Nothing in" in capsys.readouterr().out


KILLED = """
import os
from pathlib import Path
from test_mlflow_tracker import Tracked
tracked = Tracked(Path(os.environ["FOLDER"]))
tracker = tracked.start()
tracker.progressed(tracked.node.id, 0.0)
tracker.logged(tracked.node.id, [{"step": 1.0, "loss": 0.5}])
tracker._sender.drain()
BEFORE
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(
    ("before", "statuses"),
    [
        ("", ["FINISHED", "KILLED"]),
        # committed, and its entries on the disk alone
        ("tracker._outbox.sent = lambda count: __import__('time').sleep(9)\n"
         "tracker.finished(tracked.node, tracked.result)", ["FINISHED"]),
    ],
)  # fmt: skip
def test_a_killed_run_is_completed_or_closed_by_the_next(tracked, before, statuses):
    """Entries left on the disk are sent, runs left open are closed, and the stage is finished once."""
    environ = os.environ | {"FOLDER": str(tracked.folder)}
    environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    subprocess.run([sys.executable, "-c", KILLED.replace("BEFORE", before)], env=environ, check=False)
    assert len(tracked.left()) == 1
    tracker = tracked.start()
    tracker.reused(tracked.node, tracked.result)
    tracker.close("FINISHED", 1.0)
    assert sorted(r.info.status for r in tracked.runs()) == statuses
    assert sorted(r.info.status for r in tracked.runs("generate")) == ["FINISHED", "KILLED"]
    (done,) = [r for r in tracked.runs() if r.info.status == "FINISHED"]
    assert tracked.points("loss", done) == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    assert not tracked.left()


def test_computing_goes_on_without_the_tracking_store_and_the_next_start_sends(tracked, monkeypatch, capsys):
    """Of a store that goes away, no call is waited for; one line names the file, and nothing is lost."""
    tracker, node = tracked.start(), tracked.node
    wait_for(lambda: not len(tracker._outbox))

    def gone(*_, **__):
        raise MlflowException(
            "API request to http://x failed with exception ([Errno 111] Connection refused)"
        )

    for name in ("create_run", "log_batch", "set_terminated", "search_runs"):
        monkeypatch.setattr(tracker.client, name, gone)
    began = time.monotonic()
    tracker.progressed(node.id, 0.0)
    tracker.finished(node, tracked.result)
    assert time.monotonic() - began < 1.0
    tracker.close("FINISHED", 1.0)
    assert time.monotonic() - began < 15.0
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "[Errno 111] Connection refused" in line
    assert str(tracked.left()[0]) in line
    assert not tracked.runs()
    tracked.start().close("FINISHED", 1.0)
    (run,) = tracked.runs()
    assert run.info.status == "FINISHED"
    assert tracked.points("loss") == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    assert [r.info.status for r in tracked.runs("generate")] == ["FINISHED", "FINISHED"]
    assert not tracked.left()


def test_computing_does_not_wait_for_a_locked_database(tracked):
    """Another program holds the database for a second; all arrives afterwards."""
    tracker, node = tracked.start(), tracked.node
    wait_for(lambda: not len(tracker._outbox))
    other = sqlite3.connect(tracked.folder / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    tracker.progressed(node.id, 0.0)
    tracker.finished(node, tracked.result)
    assert time.monotonic() - began < 0.5
    time.sleep(1.0)
    other.execute("ROLLBACK")
    tracker.close("FINISHED", 1.0)
    assert [r.info.status for r in tracked.runs()] == ["FINISHED"]


def test_a_run_that_the_user_deletes_is_one_line(tracked, capsys):
    """Entries that MLflow refuses for good are counted, and the rest is sent."""
    tracker, node = tracked.start(), tracked.node
    tracker.progressed(node.id, 0.0)
    wait_for(lambda: not len(tracker._outbox))
    tracker.client.delete_run(tracked.runs()[0].info.run_id)
    tracker.finished(node, tracked.result)
    tracker.close("FINISHED", 1.0)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "refused" in line
    assert [r.info.status for r in tracked.runs("generate")] == ["FINISHED"]


def test_a_full_disk_under_the_outbox_does_not_stop_tracking(tracked):
    """Without a file the entries go from memory to MLflow."""
    (tracked.folder / "store").mkdir()
    (tracked.folder / "store" / "tracking").write_text("no folder")
    tracker = tracked.start()
    tracker.finished(tracked.node, tracked.result)
    tracker.close("FINISHED", 1.0)
    assert [r.info.status for r in tracked.runs()] == ["FINISHED"]


def test_a_run_that_mlflow_run_created_for_nobody_is_killed(tracked, monkeypatch):
    """Killed before its process began, it has no process; one that has, and other projects', stay."""
    client = MlflowClient(tracked.uri)
    long_ago = int(1000 * (time.time() - 60))

    def created(source):
        tags = {"mlflow.project.entryPoint": "run", "mlflow.source.name": source}
        return client.create_run("0", long_ago, tags).info.run_id

    own, lost, begun, foreign = (created(source) for source in ("here", "here", "here", "elsewhere"))
    process = subprocess.Popen(["sleep", "60"], env=os.environ | {"MLFLOW_RUN_ID": begun})
    monkeypatch.setenv("MLFLOW_RUN_ID", own)
    tracked.start().close("FINISHED", 1.0)
    process.kill()
    process.wait()
    status = {run: client.get_run(run).info.status for run in (own, lost, begun, foreign)}
    assert status == {own: "FINISHED", lost: "KILLED", begun: "RUNNING", foreign: "RUNNING"}
