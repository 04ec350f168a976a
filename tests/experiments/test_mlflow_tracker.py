"""Names under which MLflow shows a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import _validate_metric_name

from benchmark.engine.node import Node, StageConfig
from benchmark.engine.store import Result
from benchmark.experiments.mlflow_tracker import Tracker, metric_name, run_name
from benchmark.experiments.tracking_store import create_whole
from benchmark.planning.graph import build
from benchmark.planning.plan import Row
from benchmark.planning.request import RunRequest
from benchmark.planning.resolve import make_plan
from support.samples import TINY


@pytest.mark.parametrize(
    ("name", "shown"),
    [("gan_test_covid+flu (severe)", "gan_test_covid_flu _severe_"), ("gan_test_Pleural Effusion", None)],
)
def test_a_class_of_any_name_has_a_metric(name, shown):
    """Characters that MLflow refuses become an underscore; the others stay."""
    metric = metric_name(name)
    assert metric == (shown or name)
    _validate_metric_name(metric)


def test_a_training_on_a_share_has_a_distinct_name():
    """The run of the learning curve names its share, classifier and seed."""

    class Curve(StageConfig, stage="learning_curve"):
        pass

    class Filter(StageConfig, stage="quality_filter"):
        pass

    node = Node("x", Curve(), share=0.25, classifier="resnet50", seed=3)
    assert run_name(node) == "learning_curve 0.25 resnet50 seed 3"
    assert run_name(Node("y", Filter(), row="ddpm")) == "quality_filter ddpm"


def test_a_store_is_created_atomically(tmp_path):
    """A kill among the migrations leaves no store.

    The next run creates one, and a third does not change it.
    """
    store = tmp_path / "mlflow.db"
    uri = f"sqlite:///{store}"

    def killed(part):
        Path(part.removeprefix("sqlite:///")).write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_whole(uri, killed)
    assert not list(tmp_path.iterdir())
    create_whole(uri, lambda part: Path(part.removeprefix("sqlite:///")).write_text("whole"))
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]
    create_whole(uri, killed)
    assert store.read_text() == "whole"


def test_a_store_in_a_folder_with_a_space_and_an_umlaut(tmp_path):
    """``mlflow run`` passes the path percent-encoded; the file is where MLflow opens it, the only one."""
    folder = tmp_path / "my pröject, 100%"
    folder.mkdir()
    uri = f"sqlite:///{quote(str(folder / 'mlflow.db'))}"
    create_whole(uri, lambda part: MlflowClient(part).search_experiments(max_results=1))
    assert [p.name for p in folder.iterdir()] == ["mlflow.db"]
    assert MlflowClient(uri).search_experiments()[0].name == "Default"
    create_whole(uri, lambda part: pytest.fail("the store is there"))


def test_a_store_of_a_concurrent_run_is_not_replaced(tmp_path):
    """Of two runs that create the store at once, the first to finish wins, and the other uses its store."""
    store = tmp_path / "mlflow.db"

    def slow(part):
        Path(part.removeprefix("sqlite:///")).write_text("second")
        store.write_text("first")

    create_whole(f"sqlite:///{store}", slow)
    assert store.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """A tracker of a run with one fit, that node, and a function from a scalar's name to its points."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    plan = make_plan(RunRequest(str(TINY), generators=("ddpm",), device="cpu", precision="float32"))
    graph = build(plan).until({"fit"}, "ddpm")
    tracker, (node,) = Tracker(plan, "generate", graph), graph.find("fit")
    tracker.started(node)
    run_id = tracker._open[node.id]

    def points(name: str) -> list[tuple[int, float]]:
        return [(m.step, m.value) for m in tracker.client.get_metric_history(run_id, name)]

    return tracker, node, points


def test_curves_are_logged_while_a_fit_runs_and_once(tracked, tmp_path):
    """Scalars logged live are not repeated at the end, nor after a resumed fit logs its last steps again.

    What arrives after the end, like the FID of the last preview, is taken from the result.
    """
    tracker, node, points = tracked
    tracker.logged(node.id, [{"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.4}])
    assert points("loss") == [(1, 0.5), (2, 0.4)]
    tracker.logged(node.id, [{"step": 2.0, "loss": 0.4}, {"step": 2.0, "fid": 9.0}])
    tracker.logged(node.id, [{"step": 3.0, "loss": 0.3}])
    history = [
        {"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": 0.4, "fid": 9.0},
        {"step": 3.0, "loss": 0.3, "fid": 7.0}, {"step": 4.0, "loss": 0.2},
    ]  # fmt: skip
    costs = {"seconds": 1.0, "peak_memory_mb": 2}
    tracker.finished(node, Result(tmp_path, {"result": {"history": history}, "costs": costs}))
    tracker.logged(node.id, [{"step": 3.0, "fid": 7.0}])  # too late, and known by now
    assert points("loss") == [(1, 0.5), (2, 0.4), (3, 0.3), (4, 0.2)]
    assert points("fid") == [(2, 9.0), (3, 7.0)]
    assert points("seconds") == [(0, 1.0)]
    tracker.close("FINISHED", 1.0)


def test_a_failed_fit_keeps_its_curve(tracked):
    """Scalars that were logged before a failure stay."""
    tracker, node, points = tracked
    tracker.logged(node.id, [{"step": 1.0, "loss": 0.5}])
    tracker.failed(node, "no memory", ())
    assert points("loss") == [(1, 0.5)]
    tracker.close("FAILED", 1.0)


def test_runs_of_several_fits_have_different_names():
    """A run is named after its fit, its class and the number of its source image."""
    row = Row("gan", "generator", {}, {"name": "gan", "origin": "builtin"}, unit="per_image")
    plan = make_plan(RunRequest(str(TINY), generators=(), device="cpu", precision="float32"))
    twice = {**plan.task.profiles, "demo": plan.profile.model_copy(update={"fit_seeds": (0, 1)})}
    graph = build(replace(plan, task=plan.task.model_copy(update={"profiles": twice}), rows=(row,)))
    assert run_name(graph["fit/gan/fit1/viral/3"]) == "fit gan fit 1 viral 3"
    names = [run_name(node) for node in graph if node.stage in ("fit", "sample", "generate", "classify")]
    assert len(set(names)) == len(names)
