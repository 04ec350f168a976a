"""Two one-sided tests against statsmodels, hand calculation and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from benchmark.errors import MetricError
from benchmark.statistics.equivalence import equivalence

DRAWS = 2000


def of_pairs(a: np.ndarray, b: np.ndarray, margin: float) -> dict:
    """Return the test of the mean paired difference."""
    d = a - b
    return equivalence(float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d))), len(d) - 1, margin)


def test_by_hand():
    """Estimate 1, margin 3 and error 1 give t = 2 above and 4 below, so p is that of 2; the posterior is
    normal."""
    result = equivalence(1.0, 1.0, np.inf, 3.0)
    assert result["p"] == pytest.approx(stats.norm.sf(2))
    assert result["equivalent"]
    assert result["rope"]["above"] == pytest.approx(stats.norm.sf(2))
    assert result["rope"]["below"] == pytest.approx(stats.norm.sf(4))
    assert result["rope"]["within"] == pytest.approx(stats.norm.cdf(2) - stats.norm.cdf(-4))
    assert (result["low"], result["high"]) == pytest.approx((1 - 1.6448536, 1 + 1.6448536))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 60), st.floats(0.01, 2))
def test_agrees_with_statsmodels(seed: int, pairs: int, margin: float):
    """statsmodels gives the same p value for two paired samples."""
    a, b = np.random.default_rng(seed).normal(0, 1, (2, pairs))
    assert of_pairs(a, b, margin)["p"] == pytest.approx(ttost_paired(a, b, -margin, margin)[0])


@settings(max_examples=80, deadline=None)
@given(st.floats(-3, 3), st.floats(0.01, 2), st.floats(1, 200), st.floats(0.05, 3))
def test_equivalent_where_the_interval_lies_inside_the_margins(estimate, se, df, margin):
    """The test at 5 % and the 90 % interval agree; the region's three shares sum to 1."""
    result = equivalence(estimate, se, df, margin)
    if abs(result["p"] - 0.05) > 1e-9:
        assert result["equivalent"] == (-margin < result["low"] and result["high"] < margin)
    assert sum(result["rope"].values()) == pytest.approx(1)
    assert min(result["rope"].values()) >= -1e-12
    mirrored = equivalence(-estimate, se, df, margin)
    assert mirrored["rope"]["below"] == pytest.approx(result["rope"]["above"])


def test_not_significant_is_not_equivalent():
    """Two points with an error of two are neither different from 0 nor within three points."""
    assert 2 * stats.norm.sf(1) > 0.05
    assert not equivalence(0.02, 0.02, np.inf, 0.03)["equivalent"]


@pytest.mark.parametrize(
    ("se", "margin"), [(1.0, 0.0), (1.0, -1.0), (-1.0, 1.0), (0.0, 1.0), (float("nan"), 1.0)]
)
def test_faulty_arguments_are_refused(se: float, margin: float):
    """A margin must be above 0, and an error too: no variation in a sample does not show equality."""
    with pytest.raises(MetricError, match="equivalence"):
        equivalence(0.0, se, 10, margin)


def claimed(true: float, margin: float, pairs: int = 20, seed: int = 4) -> float:
    """Return the share of 2000 studies of paired normal differences (sd 1) called equivalent."""
    d = np.random.default_rng(seed).normal(true, 1, (DRAWS, pairs))
    se = d.std(1, ddof=1) / np.sqrt(pairs)
    result = (equivalence(float(m), float(s), pairs - 1, margin) for m, s in zip(d.mean(1), se, strict=True))
    return sum(f["equivalent"] for f in result) / DRAWS


def test_at_the_margin_five_percent_are_called_equivalent():
    """With the true difference at the margin and a small error, 3 to 7 % of 2000 studies claim
    equivalence."""
    assert 0.03 <= claimed(1.0, 1.0) <= 0.07


def test_a_margin_near_the_error_is_conservative():
    """With a margin of twice the error both tests must pass, and almost no study claims equivalence."""
    assert claimed(2 / np.sqrt(20), 2 / np.sqrt(20)) <= 0.05


if __name__ == "__main__":
    for margin in (1.0, 0.7, 0.5, 2 / np.sqrt(20)):
        print(f"margin {margin * np.sqrt(20):.1f} errors: at it {claimed(margin, margin):.1%}, "
              f"at 0 {claimed(0.0, margin):.1%}")  # fmt: skip
