"""Services of a team that go away and come back: results stay, tracking and studies are complete."""

from __future__ import annotations

import signal
import threading
import time

import pytest
import yaml
from mlflow.tracking import MlflowClient

from benchmark.engine.remote_store import RemoteStore
from benchmark.engine.store import Result, Store
from benchmark.errors import StoreError
from benchmark.experiments.mlflow_tracker import Tracker
from benchmark.experiments.study import finished, open_study
from benchmark.planning.graph import build
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from support.samples import ROOT, TINY

pytestmark = pytest.mark.slow
AWAY_SECONDS = 60


def test_results_travel_through_s3(s3, tmp_path, monkeypatch):
    """One store pushes and another pulls; a wrong key and a missing bucket are one line each."""
    first, second = Store(tmp_path / "first"), Store(tmp_path / "second")
    claim = first.claim("fit", "k")
    (claim.out / "a.bin").write_bytes(bytes(2**20))
    first.commit("fit", "k", claim.out, {"result": {}})
    assert RemoteStore(s3).push(first, [("fit", "k")]) == [("fit", "k")]
    assert RemoteStore(s3).pull(second, [("fit", "k")]) == [("fit", "k")]
    assert (second.folder("fit", "k") / "a.bin").stat().st_size == 2**20
    with pytest.raises(StoreError, match="the bucket must exist"):
        RemoteStore("s3://no-such-bucket/team").push(first, [("fit", "k")])


def test_the_tracking_server_is_away_for_a_minute(services, tmp_path, monkeypatch):
    """Killed while a stage runs: nothing waits for it. Then the run has its curves and files."""
    uri = f"http://127.0.0.1:{services.tracking.port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(tmp_path / "store"))
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    plan = make_plan(RunRequest(str(TINY), generators=("ddpm",), device="cpu", precision="float32"))
    graph = build(plan).until({"fit"}, "ddpm")
    (node,) = graph.find("fit")
    history = [{"step": float(k), "loss": 1 / k} for k in range(1, 6)]
    about = {"result": {"history": history}, "costs": {"seconds": 1.0, "peak_memory_mb": 2}}
    (tmp_path / "result.json").write_text("{}")
    tracker = Tracker(plan, "generate", graph)
    tracker.progressed(node.id, 0.0)
    services.tracking.stop(signal.SIGKILL)
    began = time.monotonic()
    tracker.logged(node.id, history[:3])
    tracker.finished(node, Result(tmp_path, about))
    assert time.monotonic() - began < 1
    time.sleep(AWAY_SECONDS)
    services.tracking.start()
    until = time.monotonic() + 120
    while len(tracker._outbox) and time.monotonic() < until:  # the run goes on, and the thread tries again
        time.sleep(0.5)
    tracker.close("FINISHED", 60.0)
    client = MlflowClient(uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    (run,) = [r for r in runs if r.data.tags.get("stage") == "fit"]
    assert run.info.status == "FINISHED"
    points = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((p.step, p.value) for p in points) == [(k, 1 / k) for k in range(1, 6)]
    assert [f.path for f in client.list_artifacts(run.info.run_id)] == ["result.json"]
    assert not list((tmp_path / "store" / "tracking").glob("*.jsonl"))


def test_a_study_survives_a_restart_of_its_database(services):
    """PostgreSQL restarts between two trials, and while four threads search: no trial is lost or doubled."""
    url = f"postgresql+psycopg2://synththorax@127.0.0.1:{services.database.port}/optuna"
    study = open_study(url, "restarted")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    services.database.stop(signal.SIGINT)  # a fast shutdown, which ends open connections
    services.database.start()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)

    def search():
        own = open_study(url, "restarted")
        own.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = finished(open_study(url, "restarted"))
    assert len(trials) == 16
    assert len({trial.params["x"] for trial in trials}) == 16


def test_the_compose_file_has_the_services_of_the_tests():
    """Four services, whose images and passwords are stated, and the databases that the URLs name."""
    content = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    assert set(content["services"]) == {"postgres", "objects", "mlflow", "dashboard"}
    images = [s["image"] for s in content["services"].values() if "image" in s]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    for name in ("mlflow", "optuna"):
        assert f"CREATE DATABASE {name};" in (ROOT / "deploy" / "databases.sql").read_text()
