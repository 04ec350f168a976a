"""The fields that distinguish the runs of one task."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError
from benchmark.reporting.tables.variants import numeric_field, strategy, variants
from support import make_bundles
from support.by_hand import with_cards

UNBALANCED = {"training": "add", "unit": "real_image", "factor": {"positive": 11, "negative": 0.3333}}
BALANCED = {"training": "add", "unit": "real_image", "factor": {"positive": 4, "negative": 4}}
MISCLASSIFIED = {"training": "add", "unit": "deficit", "factor": {}, "fit_on": "misclassified"}


def head(scenario: dict[str, Any], mix: dict[str, Any] | None = None, **fields: Any) -> Manifest:
    """Return a manifest of a binary task."""
    variant = make_bundles.Variant(classes=("negative", "positive"), counts=())
    content = make_bundles.manifest("real_only", {}, (1,), (0,), None, variant)
    content |= {"scenario": scenario, "mix": mix or {}} | fields
    return Manifest.model_validate(content if "classifier_cards" in fields else with_cards(content))


def lan(keep: float, mix: dict[str, Any], **label: str) -> Manifest:
    """Return the scenario of chexpert_imbalance."""
    rules = {
        "label": {"rule": "label_policy", "finding": "Pneumothorax", "uncertain": "ones"} | label,
        "thin": {"rule": "fraction", "of": "negative", "keep": keep},
    }
    return head(rules, mix)


def test_a_run_alone_needs_no_name():
    """A single run has no distinguishing field."""
    assert variants([lan(1.0, UNBALANCED)]) == [{}]


def test_variants_are_named_by_the_fields_that_differ():
    """Only the fields that differ name a variant."""
    result = variants([lan(1.0, UNBALANCED), lan(1.0, UNBALANCED, uncertain="zeros")])
    assert result == [{"label.uncertain": "ones"}, {"label.uncertain": "zeros"}]


def test_strategies_have_lans_names():
    """Strategies are those of Lan 2023, Tables 4 and 5 and section 4.5; their fields are not listed again."""
    heads = [lan(1.0, UNBALANCED), lan(0.1125, BALANCED), lan(1.0, MISCLASSIFIED)]
    assert [strategy(h) for h in heads] == ["unbalanced", "balanced", "misclassified"]
    assert variants(heads) == [{"strategy": s} for s in ("unbalanced", "balanced", "misclassified")]


def test_strategies_and_other_choices_are_combined():
    """Variants are the product of two choices."""
    heads = [lan(k, m, finding=f) for k, m in ((1.0, UNBALANCED), (0.1125, BALANCED)) for f in ("A", "B")]
    result = [(v["strategy"], v["label.finding"]) for v in variants(heads)]
    assert result == [("unbalanced", "A"), ("unbalanced", "B"), ("balanced", "A"), ("balanced", "B")]


@pytest.mark.parametrize("mix", [{}, {"unit": "real_image"}, {"unit": "class", "factor": {"positive": 3}}])
def test_other_mixes_are_not_lans_strategies(mix):
    """The same multiples without thinning, and brackets that ignore real images, have no strategy name."""
    assert strategy(lan(1.0, mix)) is None


def test_runs_of_one_strategy_are_named_by_their_fields():
    """Two unbalanced runs with different factors are named by the factor."""
    other = UNBALANCED | {"factor": {"positive": 8, "negative": 0.3333}}
    result = variants([lan(1.0, UNBALANCED), lan(1.0, other), lan(0.1125, BALANCED)])
    assert all(set(v) == {"mix.factor", "thin.keep"} for v in result)
    assert result[1]["mix.factor"] == '{"negative": 0.3333, "positive": 8}'


def test_other_classifiers_and_sources_are_variants_too():
    """Classifiers distinguish runs, as in Lan 2023, Table 9."""
    result = variants([head({}, classifiers=["densenet121"]), head({}, classifiers=["chexnet"])])
    assert result == [{"classifiers": "densenet121"}, {"classifiers": "chexnet"}]


def test_other_weights_are_a_variant_too():
    """Weights of one classifier distinguish runs; the recipe is in the manifest."""
    card = head({}).classifier_cards[0].model_dump(mode="json")
    other = card | {"weights": {"kind": "file", "tag": None, "sha256": "a" * 64}}
    first, second = variants([head({}), head({}, classifier_cards=[other])])
    assert list(first) == list(second) == ["resnet10.weights"]
    assert '"kind": "file"' in second["resnet10.weights"]


def test_the_same_run_twice_is_refused():
    """The error states the positions of the two folders."""
    with pytest.raises(SubmissionError, match="folders 1 and 3 hold the same variant"):
        variants([lan(1.0, {}), lan(0.5, {}), lan(1.0, {})])


def test_two_tasks_are_refused():
    """A table never mixes two tasks."""
    with pytest.raises(SubmissionError, match="of the tasks cxr_pneumonia, lus_limited"):
        variants([head({}), head({}, task="lus_limited")])


@pytest.mark.parametrize(
    ("values", "field"),
    [(["0.25", "0.5"], "few.keep"), (["ones", "zeros"], None), (["1", "1.0"], None), (["1"], None)],
)
def test_a_figure_needs_one_field_of_numbers(values, field):
    """An axis needs one field with different numbers."""
    assert numeric_field([{"few.keep": v} for v in values]) == field


def test_two_fields_are_not_an_axis():
    """A product of choices has no single axis."""
    assert numeric_field([{"a": "1", "b": "1"}, {"a": "2", "b": "2"}]) is None
