"""Metrics against hand calculation, scikit-learn, statsmodels, the bootstrap and simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from statsmodels.stats.inter_rater import cohens_kappa

from benchmark.errors import SubmissionError
from benchmark.statistics import intervals, metrics

LABEL = np.array([0, 0, 0, 1])
SCORES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
LEVELS = {"alpha": 0.05, "power": 0.8}


def test_accuracy_and_balanced_accuracy_differ_by_the_weight_of_classes():
    """With three of four images correct, recalls are 2/3 and 1, so balanced accuracy is 5/6."""
    assert metrics.accuracy(LABEL, SCORES).mean() == pytest.approx(3 / 4)
    assert metrics.balanced_accuracy(LABEL, SCORES).mean() == pytest.approx(5 / 6)


def test_per_class_scores():
    """Class 1 is predicted twice, once correctly: precision 1/2, F1 2/3; class 0 twice, both correctly: F1
    0.8."""
    assigned = metrics.findings(LABEL, SCORES, 1)
    assert metrics.precision_of(LABEL == 1, assigned) == pytest.approx(1 / 2)
    assert metrics.f1(LABEL, SCORES).mean() == pytest.approx(2 / 3)
    assert metrics.f1_of(LABEL == 0, metrics.findings(LABEL, SCORES, 0)).mean() == pytest.approx(0.8)


def test_auroc_counts_ordered_pairs():
    """Two of the three pairs of a class-1 and a class-0 image are in order: 0.6 > 0.1, 0.2, but < 0.7."""
    assert metrics.auroc(LABEL, SCORES).mean() == pytest.approx(2 / 3)


def test_auroc_components_by_hand():
    """The positive beats 2/3 of the negatives, whose components are 1, 1, 0: (component - 2/3) * 4 / side."""
    expected = 2 / 3 + np.array([4 / 9, 4 / 9, -8 / 9, 0])
    assert metrics.auroc_of(LABEL == 1, SCORES[:, 1]) == pytest.approx(expected)


def test_a_tie_goes_to_the_first_class():
    """A tie between scores goes to the first class on every platform."""
    assert metrics.predicted(np.array([[0.5, 0.5]])).tolist() == [0]


def test_a_score_of_one_half_is_a_finding_where_an_image_may_have_several():
    """In a multi-label task a score equal to the threshold is positive, whatever the other scores."""
    label, scores = np.array([[1, 0], [0, 1]]), np.array([[0.5, 0.9], [0.49, 0.1]])
    assert metrics.findings(label, scores, 0).tolist() == [True, False]
    assert metrics.findings(label, scores, 1).tolist() == [True, False]


def drawn(seed: int, n: int = 60, classes: int = 3, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels with every class present, and informative scores of two runs."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(n) % classes * (rng.random(n) < 0.7).astype(int))
    label[:classes] = np.arange(classes)
    raw = rng.gamma(1.0, size=(2, n, classes)) + 0.8 * np.eye(classes)[label]
    if ties:
        raw = np.ceil(2 * raw)
    return label, raw / raw.sum(-1, keepdims=True)


REFERENCES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda y, s: sk.accuracy_score(y, s.argmax(-1)),
    "balanced_accuracy": lambda y, s: sk.balanced_accuracy_score(y, s.argmax(-1)),
    "f1": lambda y, s: sk.f1_score(y, s.argmax(-1), zero_division=0.0),
    "macro_f1": lambda y, s: sk.f1_score(y, s.argmax(-1), average="macro", zero_division=0.0),
    "cohen_kappa": lambda y, s: sk.cohen_kappa_score(y, s.argmax(-1)),
    "auroc": lambda y, s: (
        sk.roc_auc_score(y, s[:, 1])
        if s.shape[1] == 2
        else sk.roc_auc_score(np.eye(s.shape[1])[y], s, average="macro")
    ),
}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from([2, 3, 5]), st.booleans())
def test_values_agree_with_scikit_learn(seed, classes, ties):
    """For any labels and scores, with or without ties, the mean of the values is scikit-learn's metric."""
    label, scores = drawn(seed, classes=classes, ties=ties)
    kind = metrics.kind_of("single", classes)
    for name, metric in metrics.reported(kind, "accuracy").items():
        result = metric.values(label, scores).mean(-1)
        assert result == pytest.approx([REFERENCES[name](label, s) for s in scores], abs=1e-12), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100_000))
def test_multi_label_auroc_agrees_with_scikit_learn(seed):
    """AUROC is the mean over the columns of labels."""
    rng = np.random.default_rng(seed)
    label = (rng.random((80, 4)) < 0.3).astype(int)
    label[0], label[1] = 0, 1
    scores = rng.random((1, 80, 4)).round(1)
    expected = sk.roc_auc_score(label, scores[0], average="macro")
    assert metrics.auroc(label, scores).mean() == pytest.approx(expected)


@pytest.mark.parametrize("name", list(REFERENCES))
def test_a_value_is_the_effect_of_the_images_weight(name):
    """A slightly larger weight of an image changes the metric by weight times (value - mean) / n.

    The reference is the finite difference of scikit-learn's weighted metric.
    """
    label, scores = drawn(4, n=40, classes=2 if name == "f1" else 3)
    if name == "auroc":
        label, scores = label.clip(max=1), scores[..., :2]
    one, n, step = scores[0], len(label), 1e-6
    weighted: dict[str, Callable[[np.ndarray], float]] = {
        "accuracy": lambda w: sk.accuracy_score(label, one.argmax(-1), sample_weight=w),
        "balanced_accuracy": lambda w: sk.balanced_accuracy_score(label, one.argmax(-1), sample_weight=w),
        "f1": lambda w: sk.f1_score(label, one.argmax(-1), sample_weight=w),
        "macro_f1": lambda w: sk.f1_score(label, one.argmax(-1), sample_weight=w, average="macro"),
        "cohen_kappa": lambda w: sk.cohen_kappa_score(label, one.argmax(-1), sample_weight=w),
        "auroc": lambda w: sk.roc_auc_score(label, one[:, 1], sample_weight=w),
    }
    metric = next(m for m in metrics.TABLE if m.name == name)
    values = metric.values(label, one[None])[0]
    plain = weighted[name](np.ones(n))
    for i in range(0, n, 3):
        weight = np.ones(n)
        weight[i] += step
        assert (weighted[name](weight) - plain) / step == pytest.approx(
            (values[i] - values.mean()) / n, abs=1e-6
        )


def test_kappa_has_the_published_variance():
    """The variance is that of Fleiss, Cohen and Everitt 1969, as in statsmodels."""
    label, scores = drawn(7, n=500)
    table = sk.confusion_matrix(label, scores[0].argmax(-1))
    result = intervals.sampling_variance(metrics.cohen_kappa(label, scores)[0], np.arange(500))
    assert result == pytest.approx(cohens_kappa(table).var_kappa * 500 / 499)


def test_auroc_has_the_variance_of_delong():
    """S10 / m + S01 / n from all pairs; the divisors are m, n and (P - 1) / P in place of m - 1, n - 1."""
    label, scores = drawn(8, n=120, classes=2, ties=True)
    a, b = scores[0, label == 1, 1], scores[0, label == 0, 1]
    pairs = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    expected = pairs.mean(1).var() / len(a) + pairs.mean(0).var() / len(b)
    result = intervals.sampling_variance(metrics.auroc(label, scores)[0], np.arange(120))
    assert result == pytest.approx(expected * 120 / 119)


@pytest.mark.parametrize("name", ["f1", "cohen_kappa", "auroc", "macro_f1", "balanced_accuracy"])
def test_the_variance_is_that_of_the_bootstrap(name):
    """Standard errors of clustered data agree within 8 % with those of 1500 resamples of patients."""
    metric = next(m for m in metrics.TABLE if m.name == name)
    label, scores = drawn(11, n=300, classes=3 if name == "macro_f1" else 2)
    label, scores = label.repeat(2), scores[:1].repeat(2, axis=1)
    patient = np.arange(600) // 2
    se = np.sqrt(intervals.sampling_variance(metric.values(label, scores)[0], patient))
    rng = np.random.default_rng(0)
    result = []
    for _ in range(1500):
        chosen = rng.integers(0, 300, 300)
        rows = np.concatenate([2 * chosen, 2 * chosen + 1])
        result.append(metric.values(label[rows], scores[:, rows]).mean())
    assert se == pytest.approx(np.std(result), rel=0.08)


def test_no_predicted_positive_is_an_f1_of_zero():
    """F1 and all values are 0, not NaN; the difference to a run with predicted positives is defined."""
    label = np.array([0, 0, 1, 1])
    none, some = np.tile([0.9, 0.1], (4, 1)), np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    assert metrics.f1(label, none[None]).tolist() == [[0, 0, 0, 0]]
    assert (metrics.f1(label, some) - metrics.f1(label, none)).mean() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("kind", "primary", "others"),
    [
        ("binary", "f1", {"auroc", "accuracy", "balanced_accuracy", "cohen_kappa"}),
        ("multiclass", "auroc", {"macro_f1", "accuracy", "balanced_accuracy", "cohen_kappa"}),
        ("multilabel", "auroc", set()),
    ],
)
def test_every_kind_of_task_has_its_metrics(kind, primary, others):
    """The primary metric comes first; metrics that are undefined for a kind are not reported."""
    result = metrics.reported(kind, primary)
    assert next(iter(result)) == primary
    assert set(result) == {primary} | others


def test_a_metric_that_the_task_does_not_have_is_refused():
    """F1 of the positive class needs two classes; the error lists the available metrics."""
    with pytest.raises(SubmissionError, match="Choose one of: balanced_accuracy, accuracy, macro_f1"):
        metrics.reported("multiclass", "f1")


ROWS, STUDIES = 6, 800
CHANCES = {  # runs, and spread by row and patient, by run, and by single prediction
    "patients": (3, 0.7, 0.05, 0.3),
    "trainings": (5, 0.3, 0.15, 0.6),
    "single predictions": (3, 0.4, 0.1, 1.0),
}


def false_positives(
    patients: int, prevalence: float, dominant: str, names: tuple[str, ...]
) -> dict[str, float]:
    """Return the share of studies with a significant difference between two of six equally good rows, by
    metric.

    Binary, two images per patient, both of one class; scores are logistic in a normal latent variable.
    """
    runs, row_sd, run_sd, noise = CHANCES[dominant]
    rng = np.random.default_rng([patients, int(100 * prevalence), runs])
    positive = (np.arange(patients) < prevalence * patients).astype(int)
    label, patient = positive.repeat(2), np.arange(2 * patients) // 2
    chosen = {m.name: m for m in metrics.TABLE if "binary" in m.kinds and m.name in names}
    wrong = dict.fromkeys(names, 0)
    for _ in range(STUDIES):
        of_patient = rng.normal(0, 1, patients) + rng.normal(0, row_sd, (ROWS, 1, patients))
        latent = (of_patient + rng.normal(0, run_sd, (ROWS, runs, 1))).repeat(2, axis=-1)
        score = 1 / (1 + np.exp(-(latent + rng.normal(0, noise, latent.shape) + 1.5 * label - 1.2)))
        scores = np.stack([1 - score, score], axis=-1)
        for name, metric in chosen.items():
            values = np.array([metric.values(label, s) for s in scores])
            pooled = intervals.pooled_difference(values.mean(-1))
            wrong[name] += intervals.interval(values[0] - values[1], patient, pooled, **LEVELS).p < 0.05
    return {name: count / STUDIES for name, count in wrong.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prevalence", "dominant"), [(0.3, "patients"), (0.3, "trainings"), (0.1, "patients")]
)
def test_equal_rows_differ_in_five_percent_of_studies(prevalence, dominant):
    """False positives are 3 to 7 % in 800 studies, also for metrics that are not means and with 10 %
    positives."""
    result = false_positives(240, prevalence, dominant, ("f1", "cohen_kappa", "auroc"))
    assert all(0.03 <= share <= 0.07 for share in result.values()), result


if __name__ == "__main__":  # the table that docs/statistics.md sums up
    for shape in ((240, 0.3), (240, 0.1), (100, 0.1)):
        for dominant in CHANCES:
            result = false_positives(*shape, dominant, ("balanced_accuracy", "f1", "cohen_kappa", "auroc"))
            print(*shape, dominant, {name: f"{100 * share:.1f} %" for name, share in result.items()})
