"""The end of a run that does not finish, and a second run in its folder."""

import errno
import os
import signal
from types import SimpleNamespace

import pytest
from mlflow.tracking import MlflowClient

from benchmark.cli.parser import main
from benchmark.engine import claim
from benchmark.engine.claim import take
from benchmark.engine.events import RunObserver
from benchmark.errors import DataError, TrackingError
from benchmark.experiments import run
from benchmark.experiments.run import close_after
from benchmark.utils.signals import Interrupted
from support.samples import ROOT

WORDS = [
    "data",
    "--task",
    str(ROOT / "tests" / "tasks" / "tiny_binary.yaml"),
    "--workers",
    "1",
    "--out",
    "out",
]


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """Address of a tracking store, beside a store of results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return os.environ["MLFLOW_TRACKING_URI"]


def test_a_run_that_a_signal_stops_is_killed_in_mlflow(uri, tmp_path, monkeypatch, capsys):
    """The exit status is 143, one line says how to go on, and the folder is free again."""
    monkeypatch.setattr(run, "execute", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    assert main(WORDS) == 143
    assert capsys.readouterr().err == "stopped by SIGTERM; the same command continues where it stopped\n"
    client = MlflowClient(uri)
    (record,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert (record.info.status, record.data.tags["error"]) == ("KILLED", "stopped by SIGTERM")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_second_run_in_a_folder_is_refused(uri, tmp_path, monkeypatch, capsys):
    """Before anything is computed or tracked; the error names the process that writes."""
    monkeypatch.setattr(claim, "PATIENCE_SECONDS", 0.0)
    (tmp_path / "out").mkdir()
    assert take(tmp_path / "out", ".writer")
    assert main(WORDS) == 1
    *_, problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith(f"error: --out out: process {os.getpid()} on ")
    assert "another --out" in remedy
    assert not (tmp_path / "mlflow.db").exists()


def test_a_second_process_in_a_run_of_mlflow_is_refused(uri, tmp_path, monkeypatch, capsys):
    """The same MLFLOW_RUN_ID at once in two folders would mix two runs in one record."""
    monkeypatch.setattr(claim, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("MLFLOW_RUN_ID", "a1")
    (tmp_path / "store" / "work").mkdir(parents=True)
    assert take(tmp_path / "store" / "work", "mlflow-a1")
    assert main(WORDS) == 1
    assert "error: MLflow run a1: process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "closed"),
    [
        (Interrupted(signal.SIGINT), ("KILLED", 2.0, "stopped by SIGINT")),
        (DataError("data", "is gone"), ("FAILED", 2.0, "data: is gone")),
        (ValueError("a bug"), ("FAILED", 2.0, "ValueError('a bug')")),
    ],
)
def test_an_error_of_tracking_does_not_hide_the_fault(fault, closed):
    """The run is closed with the fault, and an error on the way is left out."""
    calls = []

    def close(*arguments):
        calls.append(arguments)
        raise TrackingError("tracking store", "is gone")

    close_after(fault, SimpleNamespace(close=close), 2.0)
    assert calls == [closed]


@pytest.mark.parametrize(
    ("place", "named"), [("store/results/x", "store store"), ("out/x", "--out out"), (None, "--out out")]
)
def test_a_fault_while_writing_names_the_folder(uri, tmp_path, monkeypatch, capsys, place, named):
    """A disk that is full, or a store that is removed, while the pages are written."""
    path = None if place is None else str(tmp_path / place)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(run, "execute", lambda *_, **__: SimpleNamespace(failures={}, report=list))
    monkeypatch.setattr(run, "_write", fail)
    tracker = RunObserver()
    tracker.close = lambda *_: None
    monkeypatch.setattr(run, "Tracker", lambda *_, **__: tracker)
    assert main(WORDS) == 1
    named = named.replace("store store", f"store {tmp_path / 'store'}")
    assert (
        capsys.readouterr().err.splitlines()[0]
        == f"error: {named}: cannot be written: No space left on device"
    )
