"""Precision, recall and F1 of every class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from benchmark.comparison import by_class
from benchmark.comparison.align import align
from benchmark.comparison.breakdown import breakdown
from benchmark.comparison.compared_rows import precision_values
from support.by_hand import bundle, predictions, records, two_generators


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_precision_values_average_to_precision(pairs):
    """The mean value is TP over predicted positives, and 0 without predicted positives."""
    actual, called = np.array(pairs).T
    expected = (actual & called).sum() / called.sum() if called.any() else 0.0
    assert precision_values(actual, called).mean() == pytest.approx(expected)


def test_precision_values_are_influences():
    """(value - mean) / n is the change of the metric per unit of extra weight of an image."""
    actual = np.array([1, 1, 0, 0, 1], dtype=bool)
    called = np.array([1, 0, 1, 0, 1], dtype=bool)
    values, step = precision_values(actual, called), 1e-6
    for i in range(5):
        weight = np.ones(5)
        weight[i] += step
        changed = (weight * actual * called).sum() / (weight * called).sum()
        assert (changed - 2 / 3) / step == pytest.approx((values[i] - 2 / 3) / 5, abs=1e-5)


def test_figures_of_each_class_agree_with_scikit_learn():
    """Figures are the mean over a classifier's trainings of scikit-learn's precision, recall and F1."""
    bundles = two_generators()
    result = by_class.classes(align(records(bundles)))
    for record in (r for r in result if r.classifier == "a"):
        table = next(b.predictions for b in bundles if b.manifest.row.name == record.row)
        own = table[(table["classifier"] == "a") & (table["bracket"] == record.bracket)]
        each = []
        for _, part in own.groupby("seed"):
            called = part[["score_0", "score_1"]].to_numpy().argmax(1)
            each.append(precision_recall_fscore_support(part["label"], called, zero_division=0)[:3])
        k, metric = ("left", "right").index(record.label), by_class.METRICS.index(record.metric)
        assert record.estimate == pytest.approx(np.mean([e[metric][k] for e in each]))
        assert record.std == pytest.approx(np.std([e[metric][k] for e in each], ddof=1))


def test_the_best_bracket_stands_beside_the_primary_one():
    """On classifier b generator one is best at bracket 1, and the primary bracket is 2; both are recorded."""
    result = by_class.classes(align(records(two_generators())))
    shown = {(r.bracket, r.best) for r in result if r.row == "one" and r.classifier == "b"}
    assert shown == {(2, False), (1, True)}
    assert {(r.bracket, r.best) for r in result if r.row == "two" and r.classifier == "b"} == {(2, True)}
    assert {(r.bracket, r.best) for r in result if r.row == "real_only"} == {(0, False)}


def folded(right: dict[tuple[int, int], tuple[int, int]]) -> pd.DataFrame:
    """Return predictions of folds, each with its own images, by fold and seed."""
    return pd.concat([predictions({(0, "a", seed): r}, fold) for (fold, seed), r in right.items()])


def test_each_fold_has_its_own_value():
    """Recalls of left are 0.6 and 0.8 (mean of 0.7 and 0.9): mean 0.7, std 0.1 sqrt 2; accuracy is 0.7 and
    0.8."""
    table = folded({(0, 0): (6, 8), (0, 1): (6, 8), (1, 0): (7, 8), (1, 1): (9, 8)})
    own = bundle("real_only", table, folds=2, brackets=(1, 2))
    result = by_class.folds(*records([own])[0])
    by_key = {(r.metric, r.label): r for r in result}
    recall = by_key["recall", "left"]
    assert recall.values == pytest.approx({0: 0.6, 1: 0.8})
    assert recall.estimate == pytest.approx(0.7)
    assert recall.std == pytest.approx(0.1 * np.sqrt(2))
    assert by_key["accuracy", None].values == pytest.approx({0: 0.7, 1: 0.8})
    assert by_key["balanced_accuracy", None].estimate == pytest.approx(0.75)
    # fold 0: 6 right among 6 + 2 predicted as left; both seeds alike
    assert by_key["precision", "left"].values[0] == pytest.approx(6 / 8)


def test_a_fold_without_images_of_a_class_has_no_figures_of_it():
    """Its recall is missing, not 0; balanced accuracy is over the folds with every class."""
    table = folded({(0, 0): (6, 8), (1, 0): (7, 8)})
    table = table[(table["fold"] == 0) | (table["label"] == 0)]
    result = by_class.folds(*records([bundle("real_only", table, folds=2)])[0])
    by_key = {(r.metric, r.label): r for r in result}
    assert by_key["recall", "right"].values == pytest.approx({0: 0.8})
    assert by_key["recall", "right"].std is None
    assert by_key["balanced_accuracy", None].values == pytest.approx({0: 0.7})
    assert by_key["accuracy", None].values == pytest.approx({0: 0.7, 1: 0.7})


def test_without_folds_there_are_no_figures_of_folds():
    """A hold-out split has no figures by fold."""
    result = breakdown(records(two_generators()))
    assert result.folds == {"real_only": (), "one": (), "two": ()}
    assert {r.row for r in result.changes} == {"one", "two", None}
