"""Figures of weighted images against scikit-learn, hand calculation and repeated rows."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmark.statistics import weighted
from benchmark.statistics.quality import Reading, columns

LABEL, SCORE = np.array([1, 0, 1, 0, 0]) == 1, np.array([0.9, 0.8, 0.8, 0.3, 0.1])
ONE = np.ones((1, 5))


def drawn(
    seed: int, kind: str = "multiclass", n: int = 70, classes: int = 3, ties: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels with and without every class, and probabilities, with or without ties."""
    rng = np.random.default_rng(seed)
    scores = rng.random((n, classes))
    scores = 0.9 * scores.round(1) + 0.05 if ties else scores
    if kind == "multilabel":
        label = (rng.random((n, classes)) < 0.3).astype(int)
        label[0], label[1] = 0, 1
        return label, scores
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    return label, scores / scores.sum(1, keepdims=True)


def weights(seed: int, n: int, count: int = 4) -> np.ndarray:
    """Draw non-negative weights, some 0; the only image of a class has a positive one."""
    rng = np.random.default_rng([seed, 1])
    weight = rng.gamma(1.0, 1.0, (count, n)) * (rng.random((count, n)) < 0.8)
    weight[:, :3] = 1.0
    return weight


def test_areas_by_hand():
    """Of six pairs, four are ordered correctly and one is tied; precision is 1 and then 2/3.

    At a specificity of 2/3, the threshold below 0.8 has one false positive of three and finds both; at
    0.9 it must be above 0.8, and finds one of two.
    """
    strict, loose = (
        weighted.RankedClass(LABEL, SCORE).areas(ONE, specificity) for specificity in (0.9, 2 / 3)
    )
    assert strict["auroc"] == pytest.approx((5 + 0.5) / 6)
    assert strict["auprc"] == pytest.approx((1 + 2 / 3) / 2)
    assert loose["sensitivity_at_specificity"] == pytest.approx(1)
    assert strict["sensitivity_at_specificity"] == pytest.approx(0.5)


def test_sensitivity_is_zero_where_the_highest_score_has_too_many_others():
    """With equal scores the only threshold without false positives finds no positive."""
    areas = weighted.RankedClass(LABEL, np.full(5, 0.4)).areas(ONE, 0.9)
    assert areas["sensitivity_at_specificity"].tolist() == [0]


def test_counts_by_hand():
    """Of three images of a and one of b, one a is called b: kappa = (3/4 - 1/2) / (1 - 1/2)."""
    actual, assigned = np.eye(2)[[0, 0, 0, 1]] == 1, np.eye(2)[[0, 0, 1, 1]] == 1
    result = weighted.counts(actual, assigned, np.ones((1, 4)))
    assert result.precision.tolist() == [[1, 0.5]]
    assert result.recall[0] == pytest.approx([2 / 3, 1])
    assert result.f1[0] == pytest.approx([0.8, 2 / 3])
    assert result.accuracy == pytest.approx(3 / 4)
    assert result.balanced_accuracy == pytest.approx(5 / 6)
    assert result.cohen_kappa == pytest.approx(0.5)


def test_brier_by_hand_in_both_forms():
    """One image of a with probabilities 0.7, 0.2, 0.1 scores 0.09 for its class alone, 0.14 over all
    three."""
    probability = np.array([[0.7, 0.2, 0.1]])
    assert weighted.brier(np.array([1]), probability[:, 0], np.ones((1, 1))) == pytest.approx(0.09)
    assert weighted.brier(np.array([[1, 0, 0]]), probability, np.ones((1, 1))) == pytest.approx(0.14)


def test_calibration_error_by_hand():
    """Two images at 0.9, one correct, are off by 0.4; two at 0.55, both correct, by 0.45; the mean is
    0.425."""
    confidence, right = np.array([0.9, 0.9, 0.55, 0.55]), np.array([1, 0, 1, 1])
    assert weighted.calibration_error(confidence, right, np.ones((1, 4))) == pytest.approx(0.425)
    twice = np.array([[1.0, 1, 3, 3]])
    assert weighted.calibration_error(confidence, right, twice) == pytest.approx((2 * 0.4 + 6 * 0.45) / 8)


def test_bins_are_closed_above():
    """As in Guo et al., 3/15 belongs to the third bin and values above it to the fourth; 0 and 1 are
    included."""
    assert weighted.bin_of(np.array([0.0, 1 / 15, 0.2, 0.2000001, 1.0])).tolist() == [0, 0, 2, 3, 14]


def reference(
    label: np.ndarray, scores: np.ndarray, weight: np.ndarray
) -> dict[tuple[str, int | None], float]:
    """Return scikit-learn's figures for a single-label or multi-label task."""
    multilabel, classes = label.ndim == 2, scores.shape[1]
    actual = label == 1 if multilabel else label[:, None] == np.arange(classes)
    assigned = scores >= 0.5 if multilabel else scores.argmax(1)[:, None] == np.arange(classes)
    result: dict[tuple[str, int | None], float] = {}
    for k in range(classes):
        a, s = actual[:, k], scores[:, k]
        parts = sk.precision_recall_fscore_support(
            a, assigned[:, k], sample_weight=weight, average="binary", zero_division=0
        )
        result |= {(n, k): v for n, v in zip(("precision", "recall", "f1"), parts, strict=False)}
        result["auroc", k] = sk.roc_auc_score(a, s, sample_weight=weight)
        result["auprc", k] = sk.average_precision_score(a, s, sample_weight=weight)
        result["brier", k] = sk.brier_score_loss(a, s, sample_weight=weight)
        false, true, _ = sk.roc_curve(a, s, sample_weight=weight, drop_intermediate=False)
        result["sensitivity_at_specificity", k] = true[false <= 0.1 + 1e-9].max()
    own = [1] if classes == 2 and not multilabel else range(classes)
    for name in ("precision", "recall", "f1", "auroc", "auprc", "sensitivity_at_specificity", "brier"):
        result[name, None] = float(np.mean([result[name, k] for k in own]))
    result["macro_f1", None] = float(np.mean([result["f1", k] for k in range(classes)]))
    if not multilabel:
        guess = scores.argmax(1)
        result["accuracy", None] = sk.accuracy_score(label, guess, sample_weight=weight)
        result["balanced_accuracy", None] = sk.balanced_accuracy_score(label, guess, sample_weight=weight)
        result["cohen_kappa", None] = sk.cohen_kappa_score(label, guess, sample_weight=weight)
        proba = scores[:, 1] if classes == 2 else scores
        result["brier", None] = sk.brier_score_loss(label, proba, sample_weight=weight)
    return result


@pytest.mark.parametrize(("kind", "classes"), [("binary", 2), ("multiclass", 4), ("multilabel", 3)])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100_000), ties=st.booleans())
def test_every_figure_agrees_with_scikit_learn(kind, classes, seed, ties):
    """Figures agree with weights, with and without ties, overall and by class; the calibration error has its
    own tests."""
    label, scores = drawn(seed, kind, classes=classes, ties=ties)
    weight = weights(seed, len(label))
    result = Reading(kind, label, scores).figures(weight)
    for b in range(len(weight)):
        expected = reference(label, scores, weight[b])
        for column, value in zip(columns(kind, classes), result[b], strict=True):
            if column[0] != "ece":
                assert value == pytest.approx(expected[column], abs=1e-9), column


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100_000))
@example(seed=38652)  # a class without any image
def test_integer_weights_are_repeated_rows(kind, seed):
    """Weights 0 to 3 give the figures of the images repeated as often, NaN included."""
    classes = 2 if kind == "binary" else 3
    label, scores = drawn(seed, kind, n=25, classes=classes)
    weight = np.random.default_rng([seed, 2]).integers(0, 4, (3, len(label))).astype(float)
    weight[:, 0] = 1
    result = Reading(kind, label, scores).figures(weight)
    for b, times in enumerate(weight.astype(int)):
        rows = np.arange(len(label)).repeat(times)
        alone = Reading(kind, label[rows], scores[rows]).figures(np.ones((1, len(rows))))[0]
        assert result[b] == pytest.approx(alone, abs=1e-9, nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_the_calibration_error_is_that_of_a_plain_loop(seed):
    """A loop over bins and images gives the same error, over the predicted class and over each class."""
    label, scores = drawn(seed, n=40)
    weight = weights(seed, 40, count=1)
    result = dict(
        zip(columns("multiclass", 3), Reading("multiclass", label, scores).figures(weight)[0], strict=True)
    )
    top = scores.argmax(1)
    cases = {None: (scores.max(1), top == label)} | {k: (scores[:, k], label == k) for k in range(3)}
    for k, (confidence, outcome) in cases.items():
        total = 0.0
        for m in range(15):
            inside = [
                i for i in range(40) if m / 15 < confidence[i] <= (m + 1) / 15 or (m == confidence[i] == 0)
            ]
            total += abs(sum(weight[0, i] * (outcome[i] - confidence[i]) for i in inside))
        assert result["ece", k] == pytest.approx(total / weight.sum(), abs=1e-9)


def test_a_class_without_weight_has_no_figures():
    """The class, and averages over classes, are NaN; the other figures are defined."""
    label, scores = drawn(3, n=30)
    weight = (label != 2).astype(float)[None]
    result = dict(
        zip(columns("multiclass", 3), Reading("multiclass", label, scores).figures(weight)[0], strict=True)
    )
    for name in ("precision", "recall", "f1", "auroc", "auprc", "sensitivity_at_specificity"):
        assert np.isnan(result[name, 2])
        assert not np.isnan(result[name, 0])
    assert all(np.isnan(result[n, None]) for n in ("balanced_accuracy", "macro_f1", "auroc", "auprc"))
    assert result["accuracy", None] == pytest.approx(
        sk.accuracy_score(label, scores.argmax(1), sample_weight=weight[0])
    )


def test_no_predicted_positive_is_a_precision_and_f1_of_zero():
    """A present class that is never predicted has 0, as on the leaderboard."""
    result = weighted.counts(np.eye(2)[[0, 1]] == 1, np.eye(2)[[0, 0]] == 1, np.ones((1, 2)))
    assert (result.precision[0, 1], result.f1[0, 1]) == (0, 0)
