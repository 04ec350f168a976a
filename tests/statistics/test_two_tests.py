"""Results of the same networks on two test sets: honest rows hold, overfitted ones do not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.statistics.two_tests import SetScores, TwoTests, compare_tests

CLASSES = ("a", "b", "c")


def scores(
    rng: np.random.Generator, label: np.ndarray, accuracy: float, difficulty: np.ndarray
) -> np.ndarray:
    """Return (2, n, 3) scores of two networks, whose errors on a difficult image go together."""
    shift = 1.3 * (np.log(accuracy / (1 - accuracy)) + difficulty)
    right = rng.random((2, len(label))) < 1 / (1 + np.exp(-shift))
    wrong = (label + rng.integers(1, 3, (2, len(label)))) % 3
    result = np.full((2, len(label), 3), 0.1)
    np.put_along_axis(result, np.where(right, label, wrong)[..., None], 0.8, 2)
    return result


def simulated(rng: np.random.Generator, overfit: float = 0.0, easier: float = 0.0) -> TwoTests:
    """Compare a row on two sets of 198 patients; its accuracy on the public one is higher by ``overfit``."""
    parts = []
    for added, ease in ((overfit, easier), (0.0, 0.0)):
        label, difficulty = np.repeat(np.arange(3), 66), rng.normal(ease, 1, 198)
        own, base = scores(rng, label, 0.64 + added, difficulty), scores(rng, label, 0.6, difficulty)
        parts.append(SetScores(label, np.arange(198), own, base))
    return compare_tests("multiclass", "balanced_accuracy", *parts, 0.05, CLASSES, replicates=200)


def test_results_and_gains_are_means_over_networks():
    """By hand: 3 of 4 and 2 of 4 right on one set, 1 of 4 on the other; the baseline has 2 of 4 on both."""
    label, patient = np.array([0, 1] * 10), np.arange(20)
    right = np.eye(2)[label]
    none = 1 - right
    half = np.where((np.arange(20) < 10)[:, None], right, none)
    public = SetScores(label, patient, np.stack([right, half]), half[None])
    sealed = SetScores(label, patient, none[None], half[None])
    result = compare_tests("binary", "accuracy", public, sealed, 0.05, ("a", "b"), replicates=50)
    assert (result.public, result.sealed) == (0.75, 0.0)
    assert (result.gain_public, result.gain_sealed, result.difference) == (0.25, -0.5, 0.75)
    assert result.holds is False


def test_without_a_baseline_results_are_compared():
    """``real_only`` has no gain over itself."""
    label, patient = np.array([0, 1] * 10), np.arange(20)
    part = SetScores(label, patient, np.random.default_rng(0).dirichlet((1, 1), (3, 20)))
    result = compare_tests("binary", "accuracy", part, part, 0.05, ("a", "b"), replicates=50)
    assert result.difference == 0
    assert result.gain_public == result.public
    assert result.holds is True


def test_few_patients_have_no_interval():
    """A class with four patients in one of the sets supports no verdict."""
    label = np.array([0] * 16 + [1] * 4)
    part = SetScores(label, np.arange(20), np.random.default_rng(0).dirichlet((1, 1), (2, 20)))
    result = compare_tests("binary", "f1", part, part, 0.05, ("a", "b"), replicates=50)
    assert result.holds is None
    assert result.reason == "fewer than 5 patients of class b"


def test_an_overfitted_row_does_not_hold_and_an_honest_one_does():
    """Accuracy that is higher by 25 points on the public set alone."""
    assert simulated(np.random.default_rng(3), overfit=0.25).holds is False
    assert simulated(np.random.default_rng(3)).holds is True


@pytest.mark.slow
def test_honest_rows_are_marked_at_most_at_the_nominal_rate():
    """Of 800 honest rows, 2.5 % are expected to be marked; 4.1 % is the 99.9 % limit of chance.

    A public set that is easier by chance changes nothing, since the baseline sees the same patients.
    """
    for easier in (0.0, 0.3):
        rng = np.random.default_rng(11)
        marked = sum(simulated(rng, easier=easier).holds is False for _ in range(800))
        assert marked <= 33


@pytest.mark.slow
def test_power_against_overfitting():
    """A row whose accuracy is higher by 20 points on the public set is nearly always marked."""
    rng = np.random.default_rng(12)
    assert sum(simulated(rng, overfit=0.2).holds is False for _ in range(200)) >= 180
