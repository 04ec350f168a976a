"""A tracking store that was moved with its folder."""

from __future__ import annotations

import shutil

import pytest
from mlflow.tracking import MlflowClient

from benchmark.cli.parser import main
from benchmark.errors import TrackingError
from benchmark.experiments.tracking_repair import repair


def test_a_moved_store_has_its_artifacts_again(empty_store, tmp_path, monkeypatch, capsys):
    """Before the repair none is listed, after it all; new runs go to the new folder; a second repair
    changes nothing."""
    first, second = tmp_path / "a b", tmp_path / "c"
    first.mkdir()
    shutil.copyfile(empty_store, first / "mlflow.db")
    client = MlflowClient(f"sqlite:///{first / 'mlflow.db'}")
    number = client.create_experiment("mine", artifact_location=str(first / "mlruns" / "1"))
    run = client.create_run(number).info.run_id
    client.log_text(run, "text", "note.txt")
    first.rename(second)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{second / 'mlflow.db'}")
    moved = MlflowClient(f"sqlite:///{second / 'mlflow.db'}")
    assert moved.list_artifacts(run) == []
    assert main(["track", "repair"]) == 0
    assert f"mine: {first / 'mlruns' / '1'} -> {second / 'mlruns' / '1'}" in capsys.readouterr().out
    fresh = MlflowClient(f"sqlite:///{second / 'mlflow.db'}")
    assert [f.path for f in fresh.list_artifacts(run)] == ["note.txt"]
    assert fresh.create_run(number).info.artifact_uri.startswith(str(second / "mlruns" / "1"))
    assert main(["track", "repair"]) == 0
    assert "nothing to repair" in capsys.readouterr().out


def test_what_cannot_be_repaired_is_one_line(tmp_path):
    """A server has no file, and the folder of the artifacts must be there."""
    with pytest.raises(TrackingError, match="is no SQLite file here"):
        list(repair("http://127.0.0.1:5000"))
    (tmp_path / "mlflow.db").write_bytes(b"")
    with pytest.raises(TrackingError, match="mlruns: is no folder"):
        list(repair(f"sqlite:///{tmp_path / 'mlflow.db'}"))
