"""Intervals against hand calculation, textbook formulas, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.errors import MetricError
from benchmark.statistics import intervals
from benchmark.statistics.metrics import by_group

LEVELS = {"alpha": 0.05, "power": 0.8}


def test_one_run_and_one_image_per_patient_is_the_paired_t_test():
    """The interval of a difference of accuracies is that of scipy's paired t test."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 80)) < 0.6).astype(float)
    result = intervals.interval((a - b)[None], np.arange(80), None, **LEVELS)
    textbook = stats.ttest_rel(a, b)
    low, high = textbook.confidence_interval(0.95)
    assert (result.low, result.high, result.p) == pytest.approx((low, high, textbook.pvalue))
    assert result.se == pytest.approx((a - b).std(ddof=1) / np.sqrt(80))


def test_sampling_variance_by_hand():
    """Classes of 2 and 1 images and K = 2 give influences +1/8, -1/8 and 0 of three patients: (1/32) *
    3/2."""
    result = intervals.sampling_variance(
        by_group(np.array([1.0, 0, 1]), np.array([0, 0, 1])), np.array([0, 1, 2])
    )
    assert result == pytest.approx(1 / 32 * 3 / 2)


def test_images_of_one_patient_count_once():
    """Two equal images of every patient give the result of one."""
    values = (np.random.default_rng(1).random(60) < 0.7).astype(float)
    group, patient = np.arange(60) % 3, np.arange(60)
    once = intervals.sampling_variance(by_group(values, group), patient)
    twice = intervals.sampling_variance(by_group(values.repeat(2), group.repeat(2)), patient.repeat(2))
    assert twice == pytest.approx(once)


def test_pooled_run_variance_by_hand():
    """Two rows of two runs have row-by-run residuals of 0.05 and differences of +0.1 and -0.1."""
    result = intervals.pooled_difference(np.array([[0.6, 0.7], [0.5, 0.8]]))
    assert result is not None
    assert (result.variance, result.df) == (pytest.approx(np.var([0.1, -0.1], ddof=1)), 1)
    mean = intervals.pooled_mean(np.array([[0.6, 0.7], [0.5, 0.8]]))
    assert mean is not None
    assert (mean.variance, mean.df) == (pytest.approx((0.005 + 0.045) / 2), 2)


def test_nothing_is_pooled_over_one_run():
    """One run gives no variance between runs."""
    assert intervals.pooled_difference(np.array([[0.6], [0.5]])) is None
    assert intervals.pooled_mean(np.array([[0.6], [0.5]])) is None


def test_one_patient_is_refused():
    """One patient has no variance."""
    with pytest.raises(MetricError, match="one patient"):
        intervals.sampling_variance(np.ones(4), np.zeros(4))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
@example(1418)  # the three runs are equal up to rounding
def test_order_of_images_and_names_of_patients_do_not_matter(seed: int):
    """Image order and patient ids have no effect; a swap flips the sign."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, 2, (3, 40)).astype(float)
    group, patient = rng.permutation(np.arange(40) % 4), rng.integers(0, 15, 40)
    order = rng.permutation(40)
    plain = intervals.interval(by_group(values, group), patient, None, **LEVELS)
    moved = intervals.interval(by_group(values, group)[:, order], 99 - patient[order], None, **LEVELS)
    swapped = intervals.interval(by_group(-values, group), patient, None, **LEVELS)
    assert (moved.low, moved.high) == pytest.approx((plain.low, plain.high))
    assert (swapped.low, swapped.high) == pytest.approx((-plain.high, -plain.low))


PATIENTS, ROWS, STUDIES = 240, 9, 800


def draw(rng: np.random.Generator, runs: int, row_sd: float, run_sd: float, noise: float) -> np.ndarray:
    """Draw (rows, runs, images) correctness from row effects per patient, run effects and chance.

    A patient has two images of one class; every row has the same accuracy, so differences are 0.
    """
    patient = rng.normal(0, 1, PATIENTS) + rng.normal(0, row_sd, (ROWS, 1, PATIENTS))
    latent = (patient + rng.normal(0, run_sd, (ROWS, runs, 1))).repeat(2, axis=-1)
    return (latent + rng.normal(0, noise, latent.shape) + 0.5 > 0).astype(float)


@pytest.mark.parametrize(
    ("runs", "row_sd", "run_sd", "noise"),
    [(3, 0.7, 0.05, 0.3), (3, 0.3, 0.2, 0.6), (3, 0.4, 0.1, 1.0), (5, 0.3, 0.15, 0.6), (2, 0.5, 0.1, 0.5)],
)
def test_equal_rows_differ_in_five_percent_of_studies(runs: int, row_sd: float, run_sd: float, noise: float):
    """False positives are 3 to 7 % and coverage 93 to 97 %, whatever dominates: patients, runs or chance."""
    rng = np.random.default_rng([runs, int(100 * run_sd)])
    group, patient = np.arange(2 * PATIENTS) // 2 % 4, np.arange(2 * PATIENTS) // 2
    wrong = 0
    for _ in range(STUDIES):
        values = by_group(draw(rng, runs, row_sd, run_sd, noise), group)
        pooled = intervals.pooled_difference(values.mean(-1))
        result = intervals.interval(values[0] - values[1], patient, pooled, **LEVELS)
        wrong += result.p < 0.05
    assert 0.03 <= wrong / STUDIES <= 0.07


def test_the_interval_of_a_mean_covers_the_true_accuracy():
    """The latent score is normal with mean 0.5, so the truth is known; 93 to 97 % of intervals contain it."""
    rng = np.random.default_rng(8)
    group, patient = np.arange(2 * PATIENTS) // 2 % 4, np.arange(2 * PATIENTS) // 2
    truth = stats.norm.cdf(0.5 / np.sqrt(1 + 0.5**2 + 0.15**2 + 0.5**2))
    covered = 0
    for _ in range(STUDIES):
        values = by_group(draw(rng, 3, 0.5, 0.15, 0.5), group)
        pooled = intervals.pooled_mean(values.mean(-1))
        result = intervals.interval(values[0], patient, pooled, **LEVELS)
        covered += result.low <= truth <= result.high
    assert 0.93 <= covered / STUDIES <= 0.97


def test_the_detectable_difference_has_the_stated_power():
    """With every study shifted by its mean detectable difference, 80 % of them are significant."""
    rng = np.random.default_rng(5)
    group, patient = np.arange(2 * PATIENTS) // 2 % 4, np.arange(2 * PATIENTS) // 2
    result = []
    for _ in range(400):
        values = by_group(draw(rng, 3, 0.3, 0.1, 0.5), group)
        pooled = intervals.pooled_difference(values.mean(-1))
        result.append(intervals.interval(values[0] - values[1], patient, pooled, **LEVELS))
    shift = np.mean([f.detectable for f in result])
    detected = np.mean([f.low + shift > 0 for f in result])
    assert 0.74 <= detected <= 0.86
