"""The plausibility test against scipy, and on simulated honest and inflated rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.repeats import ALPHA, POWER
from benchmark.verification.plausibility import compare_runs


def test_two_rows_alone_are_students_t():
    """Without other rows it is scipy's t test of two samples."""
    one, two = [0.70, 0.72, 0.69, 0.74], [0.66, 0.68]
    expected = stats.ttest_ind(one, two)
    result = compare_runs(one, two)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert result.df == 4


def test_by_hand_with_another_row():
    """Squares 2 (of 1, 3), 0 (of one run) and 8 (of 0, 4) on 2 degrees of freedom give variance 5; the
    difference is 2 - 1 = 1."""
    result = compare_runs([1.0, 3.0], [1.0], [[0.0, 4.0]])
    assert (result.difference, result.df) == (1.0, 2)
    assert result.spread == pytest.approx(5**0.5)
    assert result.p == pytest.approx(2 * stats.t.sf(1 / (5 * 1.5) ** 0.5, 2))


def test_one_run_each_and_nothing_else_cannot_be_judged():
    """The spread of runs is unknown, so the result is open."""
    result = compare_runs([0.7], [0.2])
    assert (result.p, result.plausible, result.detectable) == (None, None, None)


def test_runs_without_any_spread():
    """Without spread, equal runs pass and different runs fail."""
    assert compare_runs([0.5, 0.5], [0.5]).plausible is True
    assert compare_runs([0.5, 0.5], [0.6]).plausible is False


def share_doubted(inflation: float, seed: int, draws: int, others: int) -> float:
    """Return the share of rows that fail, with three runs, one of them retrained, and other rows of three."""
    rng = np.random.default_rng(seed)
    doubted = 0
    for _ in range(draws):
        runs = rng.normal(0.7, 0.02, (others + 1, 3))
        reported, again = runs[0] + inflation, rng.normal(0.7, 0.02, 1)
        doubted += compare_runs(list(reported), list(again), runs[1:].tolist()).plausible is False
    return doubted / draws


@pytest.mark.parametrize("others", [0, 8])
def test_honest_rows_fail_in_one_percent(others: int):
    """Of 4000 honest rows 1 % fail, within three standard errors (0.5 points)."""
    assert share_doubted(0.0, 1, 4000, others) == pytest.approx(ALPHA, abs=0.005)


@pytest.mark.parametrize("others", [0, 8])
def test_the_stated_power_is_right(others: int):
    """An inflation of ``detectable``, with the true spread, is detected in 80 % within 3 points."""
    spread = 0.02
    runs = np.full((others + 1, 3), 0.7) + spread * np.array([-1, 0, 1])  # variance is spread squared
    expected = compare_runs(list(runs[0]), [0.7], runs[1:].tolist())
    assert expected.spread == pytest.approx(spread)
    assert expected.detectable is not None
    assert share_doubted(expected.detectable, 2, 4000, others) == pytest.approx(POWER, abs=0.03)


def test_honest_and_inflated_rows_at_a_glance():
    """Among 400 rows beside eight others, few honest rows fail, and most rows inflated by 5 spreads do."""
    assert share_doubted(0.0, 3, 400, 8) < 0.03
    assert share_doubted(0.1, 4, 400, 8) > 0.9
