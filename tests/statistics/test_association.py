"""Spearman's correlation against hand calculation, scipy, the published variance and simulation.

``PYTHONPATH=. python tests/statistics/test_association.py`` prints the table of
docs/statistics.md.
"""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.errors import BenchmarkError
from benchmark.statistics.association import spearman

PAIRS = st.integers(4, 14).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 9), min_size=n, max_size=n) for _ in range(2)])
)


def test_correlation_and_exact_p_by_hand():
    """Ranks 1 2 3 4 and 1 2 4 3 have rho 1 - 6 * 2 / 60 = 0.8; 4 of 24 orders are as high and 4 as low."""
    result = spearman([1, 2, 3, 4], [10, 20, 40, 30])
    assert result["rho"] == pytest.approx(0.8)
    assert result["p"] == pytest.approx(8 / 24)
    assert result["method"] == "exact, all 24 orders"


def test_interval_by_hand():
    """For rho 0.8 of four rows the interval is arctanh(0.8) -+ 1.96 sqrt((1 + 0.32) / 1) (Bonett and Wright
    2000)."""
    result = spearman([1, 2, 3, 4], [10, 20, 40, 30])
    ends = np.tanh(np.arctanh(0.8) + np.array([-1, 1]) * stats.norm.ppf(0.975) * np.sqrt(1.32))
    assert (result["low"], result["high"]) == pytest.approx(tuple(ends))
    wider = spearman([1, 2, 3, 4], [10, 20, 40, 30], alpha=0.01)
    assert wider["low"] < result["low"]


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_agreement_with_scipy(pair):
    """With any ties rho is scipy's, and p too for ten rows or more; the interval contains rho and lies in -1
    to 1."""
    result = spearman(*pair)
    if result["rho"] is None:
        assert min(len(set(own)) for own in pair) == 1
        return
    reference = stats.spearmanr(*pair)
    assert result["rho"] == pytest.approx(reference.statistic)
    if result["n"] > 9:
        assert result["p"] == pytest.approx(reference.pvalue, abs=1e-12)
    if result["low"] is not None:
        assert -1 <= result["low"] <= result["rho"] <= result["high"] <= 1


@pytest.mark.parametrize("y", [[3, 1, 2, 5, 4, 6], [1, 1, 2, 2, 3, 1]])
def test_exact_p_counts_all_orders(y):
    """p is the share of the 720 orders with |rho| as large, as enumerated with scipy, ties included."""
    x = [1, 2, 3, 4, 5, 5]
    observed = abs(stats.spearmanr(x, y).statistic)
    orders = np.array([stats.spearmanr(x, own).statistic for own in permutations(y)])
    assert spearman(x, y)["p"] == pytest.approx((np.abs(orders) >= observed - 1e-9).mean())


def test_nine_rows_are_exact_and_ten_are_not():
    """The number of rows determines the method, which the record names."""
    rng = np.random.default_rng(0)
    assert spearman(rng.random(9), rng.random(9))["method"] == "exact, all 362880 orders"
    assert spearman(rng.random(10), rng.random(10))["method"] == "t distribution"


def test_rows_in_one_order_have_no_interval():
    """With rho 1 and p 2 / 5!, Fisher's z is infinite: the interval is left out, with a reason."""
    result = spearman([1, 2, 3, 4, 5], [2, 4, 6, 8, 10])
    assert (result["rho"], result["p"]) == (pytest.approx(1), pytest.approx(2 / 120))
    assert (result["low"], result["high"]) == (None, None)
    assert "one order" in result["reason"]


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1, 2, 3], [1, 2, 3], "fewer than four"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "same value"),
        ([], [], "fewer"),
    ],
)
def test_a_missing_correlation_has_a_reason(x, y, reason):
    """Three rows, or a constant figure, give a reason and no number."""
    result = spearman(x, y)
    assert reason in result["reason"]
    assert (result["rho"], result["p"], result["n"]) == (None, None, len(x))


@pytest.mark.parametrize(("x", "y"), [([1, 2, 3, 4], [1, 2, 3]), ([1, 2, 3, float("nan")], [1, 2, 3, 4])])
def test_unequal_lengths_and_nan_are_refused(x, y):
    """Arrays of unequal length and NaN are refused."""
    with pytest.raises(BenchmarkError):
        spearman(x, y)


def simulated(n: int, rho: float, draws: int) -> tuple[float, float]:
    """Return the shares of significant p values and of intervals that contain the truth, for normal pairs of
    rank correlation rho.

    The rank correlation of a normal pair is 6 / pi arcsin(r / 2) (Pearson 1907).
    """
    rng = np.random.default_rng(n)
    r = 2 * np.sin(np.pi / 6 * rho)
    x, noise = rng.standard_normal((2, draws, n))
    result = [spearman(a, b) for a, b in zip(x, r * x + np.sqrt(1 - r**2) * noise, strict=True)]
    covered = [f["low"] is not None and f["low"] <= rho <= f["high"] for f in result]
    return float(np.mean([f["p"] <= 0.05 for f in result])), float(np.mean(covered))


@pytest.mark.parametrize("n", [6, 12])
def test_no_association_is_rarely_significant(n):
    """In 400 studies at most 8.3 % are significant (5 % plus three standard errors), and coverage is at least
    90 %."""
    result, covered = simulated(n, 0.0, 400)
    assert result <= 0.083
    assert covered >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 7, 9, 10, 13, 20])
def test_p_keeps_its_level(n):
    """Of 2000 studies without an association, 3 to 7 % are significant at 5 %."""
    assert 0.03 <= simulated(n, 0.0, 2000)[0] <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize(("n", "rho"), [(9, 0.0), (9, -0.5), (13, -0.5), (13, 0.8), (20, 0.8), (40, -0.5)])
def test_the_interval_covers(n, rho):
    """In 2000 studies the 95 % interval contains the true rank correlation in 92 to 98 %."""
    assert 0.92 <= simulated(n, rho, 2000)[1] <= 0.98


if __name__ == "__main__":
    for n in (4, 5, 6, 7, 9, 10, 13, 20):
        shares = [simulated(n, rho, 2000) for rho in (0.0, -0.5, 0.8)]
        print(f"| {n} | {shares[0][0]:.1%} | " + " | ".join(f"{s[1]:.1%}" for s in shares) + " |", flush=True)
