"""Names under which MLflow shows a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mlflow.utils.validation import _validate_metric_name

from benchmark.engine.node import Node, StageConfig
from benchmark.experiments.mlflow_names import metric_name, run_name
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


def test_runs_of_several_fits_have_different_names():
    """A run is named after its fit, its class and the number of its source image."""
    row = Row("gan", "generator", {}, {"name": "gan", "origin": "builtin"}, unit="per_image")
    plan = make_plan(RunRequest(str(TINY), generators=(), device="cpu", precision="float32"))
    twice = {**plan.task.profiles, "demo": plan.profile.model_copy(update={"fit_seeds": (0, 1)})}
    graph = build(replace(plan, task=plan.task.model_copy(update={"profiles": twice}), rows=(row,)))
    assert run_name(graph["fit/gan/fit1/viral/3"]) == "fit gan fit 1 viral 3"
    names = [run_name(node) for node in graph if node.stage in ("fit", "sample", "generate", "classify")]
    assert len(set(names)) == len(names)
