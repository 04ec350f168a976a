"""Names under which MLflow shows what a run did."""

from __future__ import annotations

import pytest
from mlflow.utils.validation import _validate_metric_name

from benchmark.pipeline import Node
from benchmark.tracking import metric_name, run_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [("mirror_covid+flu (severe)", "mirror_covid_flu _severe_"), ("mirror_Pleural Effusion", None)],
)
def test_a_class_of_any_name_has_a_metric(name, shown):
    """MLflow refuses most signs; they become an underscore, and what it takes stays as it is."""
    found = metric_name(name)
    assert found == (shown or name)
    _validate_metric_name(found)


def test_a_training_on_a_share_is_told_from_the_others():
    """The run of the learning curve names its share, classifier and seed."""
    tags = {"share": "0.25", "classifier": "resnet50", "seed": "3"}
    assert run_name(Node("curve/0.25/resnet50/3", "curve", {}, tags=tags)) == "curve 0.25 resnet50 seed 3"
    assert run_name(Node("filter/ddpm", "filter", {}, row="ddpm")) == "filter ddpm"
