"""Names under which MLflow shows a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.utils.validation import _validate_metric_name

from benchmark.engine.node import Node, StageConfig
from benchmark.experiments.mlflow_tracker import metric_name, run_name
from benchmark.experiments.tracking_store import create_whole


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


def test_a_store_of_a_concurrent_run_is_not_replaced(tmp_path):
    """Of two runs that create the store at once, the first to finish wins, and the other uses its store."""
    store = tmp_path / "mlflow.db"

    def slow(part):
        Path(part.removeprefix("sqlite:///")).write_text("second")
        store.write_text("first")

    create_whole(f"sqlite:///{store}", slow)
    assert store.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]
