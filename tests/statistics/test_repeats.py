"""The inflation that repeated seeds detect: by hand, by scipy's noncentral t, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.statistics.repeats import (
    ALPHA,
    POWER,
    RELEVANT,
    Spread,
    detectable_inflation,
    pooled_spread,
    required_repeats,
)


def test_the_spread_is_pooled_by_hand():
    """Squares 2 (of 1, 3), 8 (of 0, 4) and 0 (of one run) on 2 degrees of freedom give variance 5."""
    assert pooled_spread([[1.0, 3.0], [0.0, 4.0], [7.0]]) == Spread(pytest.approx(5**0.5), 2)
    assert pooled_spread([[0.5], []]) is None


@pytest.mark.parametrize(("reported", "repeated", "df"), [(3, 1, 24), (3, 3, 26), (10, 4, 9), (2, 1, 2)])
def test_the_power_at_the_detectable_inflation_is_80_percent(reported: int, repeated: int, df: int):
    """The noncentral t beyond the critical value has probability 0.8 there."""
    spread = Spread(0.015, df)
    shift = detectable_inflation(spread, reported, repeated) / (0.015 * (1 / reported + 1 / repeated) ** 0.5)
    assert stats.nct.sf(stats.t.isf(ALPHA / 2, df), df, shift) == pytest.approx(POWER, abs=1e-6)


def test_with_many_rows_it_is_the_normal_formula():
    """(z(0.995) + z(0.8)) spread sqrt(1/3 + 1/2) = 3.4175 * 0.02 * 0.9129 = 6.24 points."""
    assert detectable_inflation(Spread(0.02, 10**6), 3, 2) == pytest.approx(0.0624, abs=1e-4)


def test_the_least_number_of_repeats():
    """At a spread of 1.5 points: 3.4175 * 1.5 * sqrt(1/3 + 1/k) is 5.92, 4.68 points for k = 1, 2."""
    many = 10**6
    assert required_repeats(Spread(0.015, many), 3) == 2
    assert required_repeats(Spread(0.010, many), 3) == 1
    assert required_repeats(Spread(0.05, many), 3) == 3  # not even all of them suffice
    assert required_repeats(None, 5) == 5
    assert required_repeats(Spread(0.0, 4), 3) == 1


@given(st.floats(1e-4, 0.2), st.integers(1, 60), st.integers(1, 12))
def test_fewer_would_not_suffice(value: float, df: int, reported: int):
    """The number suffices or is all; one less does not suffice."""
    k = required_repeats(Spread(value, df), reported)

    def smallest(repeated: int) -> float:
        return detectable_inflation(Spread(value, df + repeated - 1), reported, repeated)

    assert k == reported or smallest(k) <= RELEVANT
    assert k == 1 or smallest(k - 1) > RELEVANT


@pytest.mark.parametrize("rows", [2, 12])
def test_simulated_rows_are_detected_as_stated(rows: int):
    """Of 3000 rows of three seeds inflated by the detectable amount, two seeds of which are repeated beside
    honest rows, 80 % fail the test, within 3 points."""
    rng, true = np.random.default_rng(rows), 0.02
    df = 2 * rows + 1
    inflation = detectable_inflation(Spread(true, df), 3, 2)
    doubted = 0
    for _ in range(3000):
        board, again = rng.normal(0.7, true, (rows, 3)), rng.normal(0.7, true, 2)
        board[0] += inflation
        spread = pooled_spread([*board, again])
        assert spread is not None
        assert spread.df == df
        t = (board[0].mean() - again.mean()) / spread.error(3, 2)
        doubted += 2 * stats.t.sf(abs(t), df) < ALPHA
    assert doubted / 3000 == pytest.approx(POWER, abs=0.03)
