"""The paired bootstrap by patient against scikit-learn, the suite's other bootstrap and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from benchmark.errors import MetricError
from benchmark.statistics import bootstrap, weighted
from benchmark.statistics.bootstrap import Resamples
from benchmark.statistics.intervals import sampling_variance
from benchmark.statistics.paired_bootstrap import paired_bootstrap
from benchmark.statistics.quality import Reading, columns

DRAWS = 2000


def drawn(seed: int, patients: int = 60, share: float = 0.3, row_sd: float = 0.6, gain: float = 0.0):
    """Draw labels, probabilities of two rows that differ by ``gain``, and patients with 1 to 4 images
    each."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    label = (np.arange(patients) < round(share * patients))[owner].astype(int)
    common = rng.normal(0, 0.5, patients)[owner]
    a, b = (
        (1.2 + g) * label
        - 0.6
        + common
        + rng.normal(0, row_sd, patients)[owner]
        + rng.normal(0, 0.7, len(owner))
        for g in (gain, 0)
    )
    return label, 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b)), owner


def balanced_accuracy(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (B,) for (B, n) weights, at a threshold of 0.5."""
    classes = np.stack([label == 0, label == 1], axis=1)
    assigned = np.stack([score <= 0.5, score > 0.5], axis=1)
    return weighted.counts(classes, assigned, weight).balanced_accuracy


def accuracy(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (B,) for (B, n) weights, at a threshold of 0.5."""
    return weight @ ((score > 0.5) == (label == 1)).astype(float) / weight.sum(1)


def auroc(label: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return (B,) for (B, n) weights."""
    return weighted.RankedClass(label == 1, score).areas(weight)["auroc"]


def test_any_metric_of_scikit_learn_works():
    """A statistic with ``sample_weight``, called once per resample, agrees with the vectorized one."""
    given = (*drawn(0), 200)
    for loop, fast in (
        (lambda y, s, w: sk.roc_auc_score(y, s, sample_weight=w), auroc),
        (lambda y, s, w: sk.balanced_accuracy_score(y, s > 0.5, sample_weight=w), balanced_accuracy),
    ):
        slow, quick = paired_bootstrap(loop, *given), paired_bootstrap(fast, *given, vectorized=True)
        for key in ("a", "b", "difference", "low", "high", "se", "p"):
            assert slow[key] == pytest.approx(quick[key])
        assert slow["reason"] is None


def test_agrees_with_the_bootstrap_of_the_leaderboard():
    """For one run of two rows and the same resamples the interval is that of ``bootstrap.bounds``."""
    label, a, b, patient = drawn(1)
    resamples = Resamples(patient)
    replicates = [
        bootstrap.replicate([Reading("binary", label, np.stack([1 - s, s], axis=-1))], resamples)
        for s in (a, b)
    ]
    column = [name for name, k in columns("binary", 2) if k is None].index("balanced_accuracy")
    behind = np.full(len(columns("binary", 2)), len(np.unique(patient[label == 1])))
    low, high = bootstrap.bounds(replicates[0] - replicates[1], resamples, None, behind, 0.05)
    result = paired_bootstrap(balanced_accuracy, label, a, b, patient, vectorized=True)
    assert (result["low"], result["high"]) == (pytest.approx(low[column]), pytest.approx(high[column]))
    assert result["patients"] == behind[0]


def test_spread_of_a_mean_is_its_standard_error():
    """The spread of accuracy agrees within 5 % with the error from influences summed by patient."""
    label, a, b, patient = drawn(2, patients=200)
    result = paired_bootstrap(accuracy, label, a, b, patient, 4000, vectorized=True)
    values = ((a > 0.5) == label).astype(float) - ((b > 0.5) == label)
    assert result["difference"] == pytest.approx(values.mean())
    assert result["se"] == pytest.approx(np.sqrt(sampling_variance(values, patient)), rel=0.05)


def test_same_seed_same_result_and_a_swap_flips_the_sign():
    """Patient names have no effect; another seed moves the interval slightly."""
    label, a, b, patient = drawn(3)
    first = paired_bootstrap(auroc, label, a, b, patient, vectorized=True)
    renamed = paired_bootstrap(auroc, label, a, b, 7 * patient + 3, vectorized=True)
    swapped = paired_bootstrap(auroc, label, b, a, patient, vectorized=True)
    other = paired_bootstrap(auroc, label, a, b, patient, seed=1, vectorized=True)
    assert renamed == first
    assert (swapped["low"], swapped["high"]) == (pytest.approx(-first["high"]), pytest.approx(-first["low"]))
    assert swapped["p"] == first["p"]
    assert other["low"] != first["low"]
    assert other["low"] == pytest.approx(first["low"], abs=0.3 * first["se"])


def test_a_row_against_itself():
    """The difference is 0, without an interval or p."""
    label, a, _, patient = drawn(4)
    result = paired_bootstrap(auroc, label, a, a, patient, vectorized=True)
    assert [result[k] for k in ("difference", "low", "high", "se", "p")] == [0, None, None, None, None]
    assert result["reason"] == "no resample differs"


def test_interval_and_p_value_agree():
    """The 95 % interval excludes 0 if p is below 5 %, up to 1 % of its width."""
    for seed in range(40):
        result = paired_bootstrap(auroc, *drawn(seed, gain=0.8), 400, vectorized=True)
        if abs(result["p"] - 0.05) > 0.01:
            assert (result["p"] < 0.05) == (result["low"] > 0 or result["high"] < 0)


def test_resamples_without_a_class_are_left_out_and_counted():
    """With two positive patients of 60 one resample in eight has none; with five patients few have none."""
    label, a, b, patient = drawn(5, share=2 / 60)
    result = paired_bootstrap(balanced_accuracy, label, a, b, patient, vectorized=True)
    assert result["left_out"] / result["replicates"] == pytest.approx((1 - 2 / 60) ** 60, abs=0.04)
    assert (result["low"], result["p"], result["patients"]) == (None, None, 2)
    assert "fewer than 5 patients" in result["reason"]
    enough = paired_bootstrap(balanced_accuracy, *drawn(5, share=5 / 60), vectorized=True)
    assert 0 < enough["left_out"] < 0.05 * enough["replicates"]
    assert enough["reason"] is None


def test_metrics_that_need_no_class_use_all_resamples():
    """Accuracy is defined without the rare class, so the caller can request all resamples."""
    given = drawn(5, share=2 / 60)
    result = paired_bootstrap(accuracy, *given, vectorized=True, every_class=False)
    assert (result["left_out"], result["patients"], result["reason"]) == (0, 60, None)


def test_several_labels_an_image():
    """With labels (n, K), a resample needs images with and without every finding."""
    label, a, b, patient = drawn(6)
    both = np.stack([label, 1 - label], axis=1)
    scores = [np.stack([s, 1 - s], axis=1) for s in (a, b)]

    def macro(y: np.ndarray, s: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.mean(
            [weighted.RankedClass(y[:, k] == 1, s[:, k]).areas(w)["auroc"] for k in range(2)], axis=0
        )

    result = paired_bootstrap(macro, both, *scores, patient, vectorized=True)
    plain = paired_bootstrap(auroc, label, a, b, patient, vectorized=True)
    assert result["low"] == pytest.approx(plain["low"])


def test_an_undefined_metric_is_refused():
    """A statistic that is NaN on the given images is refused."""
    result = paired_bootstrap(lambda y, s, w: float("nan"), *drawn(7), 50)
    assert (result["a"], result["difference"], result["low"]) == (None, None, None)
    assert result["reason"] == "the metric is not defined"


def test_faulty_input_is_refused():
    """Arrays of different length and a single patient are refused."""
    label, a, b, patient = drawn(8)
    with pytest.raises(MetricError, match="length"):
        paired_bootstrap(auroc, label, a[:-1], b, patient, vectorized=True)
    with pytest.raises(MetricError, match="one patient"):
        paired_bootstrap(auroc, label, a, b, np.zeros(len(label)), vectorized=True)


METRICS = {"balanced accuracy": balanced_accuracy, "AUROC": auroc}


def false_positives(metric: str, *setting: float, studies: int = DRAWS) -> float:
    """Return the share of null studies with p < 5 %."""
    wrong = 0
    for seed in range(studies):
        given = drawn(seed + 10_000, *setting)
        wrong += paired_bootstrap(METRICS[metric], *given, 300, seed, vectorized=True)["p"] < 0.05
    return wrong / studies


def test_false_positives_in_short():
    """With 18 positive patients of 60 and 1 to 4 images each, 2 to 8 % of 400 null studies are
    significant."""
    assert 0.02 <= false_positives("balanced accuracy", 60, 0.3, 0.6, studies=400) <= 0.08


SETTINGS = [(60, 0.3, 0.6), (60, 0.3, 0.9), (120, 0.3, 0.6), (120, 0.1, 0.9)]


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_false_positives(metric: str, setting: tuple[float, ...]):
    """With at least 12 positive patients and any correlation, 3 to 7 % of 2000 null studies are
    significant."""
    assert 0.03 <= false_positives(metric, *setting) <= 0.07


if __name__ == "__main__":
    for setting in ((30, 0.3, 0.6), *SETTINGS):
        print(
            setting, *(f"{metric} {false_positives(metric, *setting):.1%}" for metric in METRICS), flush=True
        )
