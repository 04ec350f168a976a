"""Friedman's and Nemenyi's tests and the critical difference against published examples, other
implementations and simulation.

``PYTHONPATH=. python tests/statistics/test_friedman.py`` prints the table behind docs/statistics.md.
"""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats

from benchmark.errors import BenchmarkError
from benchmark.statistics.friedman import cliques, critical_difference, friedman

# Demsar 2006, Table 6: AUC on 14 data sets. His ranks of "voting" show that 0.975 of cf is the larger of two.
DEMSAR = {
    "c4.5": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957],
    "m": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978],
    "cf": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.9751, 0.946],
    "m+cf": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.975, 0.970],
}
# Hollander and Wolfe 1973, p. 140: seconds to round first base; the example of R's friedman.test.
ROUNDING = np.array(
    [
        [5.40, 5.50, 5.55], [5.85, 5.70, 5.75], [5.20, 5.60, 5.50], [5.55, 5.50, 5.40], [5.90, 5.85, 5.70],
        [5.45, 5.55, 5.60], [5.40, 5.40, 5.35], [5.45, 5.50, 5.35], [5.25, 5.15, 5.00], [5.85, 5.80, 5.70],
        [5.25, 5.20, 5.10], [5.65, 5.55, 5.45], [5.60, 5.35, 5.45], [5.05, 5.00, 4.95], [5.50, 5.50, 5.40],
        [5.45, 5.55, 5.50], [5.55, 5.55, 5.35], [5.45, 5.50, 5.55], [5.50, 5.45, 5.25], [5.65, 5.60, 5.40],
        [5.70, 5.65, 5.55], [6.30, 6.30, 6.25],
    ]
)  # fmt: skip
BLOCKS = st.integers(3, 5).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 5), min_size=k, max_size=k), min_size=2, max_size=6)
)


def named(blocks) -> dict[str, list[float]]:
    """Return (blocks, rows) values by row."""
    return {f"r{i}": [float(v) for v in own] for i, own in enumerate(np.transpose(blocks))}


def test_demsar_ranks_statistic_and_f():
    """Mean ranks are 3.143, 2.000, 2.893, 1.964; the printed 9.28 and F = 3.69 have no correction for
    ties."""
    result = friedman(DEMSAR)
    ranks = result["mean_ranks"]
    assert ranks == pytest.approx({"c4.5": 3.143, "m": 2.0, "cf": 2.893, "m+cf": 1.964}, abs=5e-4)
    uncorrected = 12 * 14 / (4 * 5) * (sum(r**2 for r in ranks.values()) - 4 * 5**2 / 4)
    assert uncorrected == pytest.approx(9.28, abs=0.005)
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=0.005)
    # Ties: two rows in three blocks (2^3 - 2 each) and four in one (4^3 - 4), of 14 (4^3 - 4).
    corrected = uncorrected / (1 - (3 * 6 + 60) / (14 * 60))
    assert result["statistic"] == pytest.approx(corrected)
    assert result["f"] == pytest.approx(13 * corrected / (14 * 3 - corrected))
    assert result["kendall_w"] == pytest.approx(corrected / (14 * 3))


def test_demsar_critical_differences_and_groups():
    """At 5 % (CD 1.25) nothing differs; at 10 % (CD 1.12) C4.5 is worse than two others (Fig. 1a)."""
    strict, loose = friedman(DEMSAR, 0.05), friedman(DEMSAR, 0.10)
    assert strict["critical_difference"] == pytest.approx(1.25, abs=0.005)
    assert strict["cliques"] == [["m+cf", "m", "cf", "c4.5"]]
    assert loose["critical_difference"] == pytest.approx(1.12, abs=0.005)
    assert loose["cliques"] == [["m+cf", "m", "cf"], ["cf", "c4.5"]]
    apart = {frozenset((r["a"], r["b"])) for r in loose["nemenyi"] if r["p"] <= 0.10}
    assert apart == {frozenset(("c4.5", "m")), frozenset(("c4.5", "m+cf"))}
    assert all(r["p"] > 0.05 for r in strict["nemenyi"])


@pytest.mark.parametrize(("rows", "q"), [(4, 2.569)])
def test_critical_value_of_demsar(rows, q):
    """Section 3.2.2: for four classifiers q is 2.569 at 5 % and 2.291 at 10 %."""
    error = np.sqrt(rows * (rows + 1) / (6 * 14))
    assert critical_difference(rows, 14, 0.05) / error == pytest.approx(q, abs=5e-4)
    assert critical_difference(rows, 14, 0.10) / error == pytest.approx(2.291, abs=5e-4)


def test_second_published_example():
    """Rounding first base: chi-squared 11.143, 2 degrees of freedom, p 0.003805; fewest seconds rank best."""
    result = friedman(named(ROUNDING), higher_is_better=False)
    assert result["statistic"] == pytest.approx(11.143, abs=5e-4)
    assert (result["df"], result["method"]) == (2, "chi-squared")
    assert result["p"] == pytest.approx(0.003805, abs=5e-7)
    assert min(result["mean_ranks"], key=result["mean_ranks"].get) == "r2"


def test_full_agreement_by_hand():
    """Three blocks in one order give chi-squared 6, W = 1 and infinite F; 3! of the 3!^3 arrangements
    agree."""
    result = friedman(named([[1, 2, 3], [10, 20, 30], [0.1, 0.2, 0.3]]))
    assert result["statistic"] == pytest.approx(6)
    assert result["kendall_w"] == pytest.approx(1)
    assert result["f"] is None
    assert result["p"] == pytest.approx(6 / 216)
    assert result["method"] == "exact, all 216 arrangements"
    assert result["mean_ranks"] == {"r0": 3, "r1": 2, "r2": 1}


def test_the_same_values_give_the_same_p_in_any_order():
    """The drawn arrangements do not depend on the order of rows and blocks."""
    blocks = np.random.default_rng(2).random((6, 5))
    turned = blocks[::-1, ::-1]
    assert friedman(named(turned))["p"] == friedman(named(blocks))["p"]


def test_exact_p_agrees_with_published_tables():
    """For four blocks and three rows P(chi-squared >= 6.5) = 0.042, as in Friedman's tables (1937)."""
    result = friedman(named([[1, 2, 3], [1, 2, 3], [1, 2, 3], [2, 1, 3]]))
    assert result["statistic"] == pytest.approx(6.5)
    assert result["p"] == pytest.approx(0.042, abs=5e-4)


@settings(max_examples=20, deadline=None)
@given(BLOCKS)
def test_agreement_with_scipy_and_scikit_posthocs(blocks):
    """For any ties the statistic is scipy's, Nemenyi's p is that of scikit-posthocs, and W lies in 0 to 1."""
    values = named(blocks)
    result = friedman(values)
    if result["reason"]:
        assert all(len(set(block)) == 1 for block in blocks)
        return
    assert result["statistic"] == pytest.approx(stats.friedmanchisquare(*values.values()).statistic)
    assert -1e-9 <= result["kendall_w"] <= 1 + 1e-9
    table = posthoc_nemenyi_friedman(np.array(blocks, dtype=float)).to_numpy()
    expected = [table[i, j] for i, j in combinations(range(len(values)), 2)]
    assert [r["p"] for r in result["nemenyi"]] == pytest.approx(expected, abs=1e-6)


def test_p_of_nemenyi_and_the_critical_difference_agree():
    """A pair is significant if and only if its mean ranks differ by the critical difference or more."""
    result = friedman(named(np.random.default_rng(0).standard_normal((12, 6)) + np.arange(6) * 0.8))
    ranks = result["mean_ranks"]
    for r in result["nemenyi"]:
        assert (r["p"] <= 0.05) == (abs(ranks[r["a"]] - ranks[r["b"]]) >= result["critical_difference"])


def test_cliques_are_the_largest_and_overlap():
    """Ranks 1, 1.5, 2.4 and 4 with a critical difference of 1 give two bars that share a row; a lone row has
    no bar."""
    assert cliques({"d": 4.0, "a": 1.0, "c": 2.4, "b": 1.5}, 1.0) == [["a", "b"], ["b", "c"]]
    assert cliques({"a": 1.0, "b": 2.0}, 1.0) == []


def test_the_number_of_blocks_determines_the_method():
    """Nine blocks use arrangements, ten chi-squared; the record names the method."""
    blocks = np.random.default_rng(0).random((10, 4))
    assert friedman(named(blocks[:9]))["method"] == "permutation, 9999 arrangements drawn"
    assert friedman(named(blocks))["method"] == "chi-squared"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "three rows"),
        ({"a": [1, 2, 3], "b": [2, 3, 4]}, "three rows"),
        ({"a": [1], "b": [2], "c": [3]}, "two blocks"),
        ({"a": [1, 2], "b": [1, 2], "c": [1, 2]}, "same value"),
    ],
)
def test_a_missing_result_has_a_reason(values, reason):
    """Fewer than three rows or two blocks, or equal values, give a reason and no number."""
    result = friedman(values)
    assert reason in result["reason"]
    assert result["p"] is None
    assert result["critical_difference"] is None
    assert (result["cliques"], result["nemenyi"], result["mean_ranks"]) == ([], [], {})


def test_rows_need_the_same_blocks():
    """A row that lacks a block is an error, not a shorter comparison."""
    with pytest.raises(BenchmarkError, match="blocks"):
        friedman({"a": [1, 2], "b": [1, 2], "c": [1]})


def friedman_rejects(values) -> bool:
    return friedman(values)["p"] <= 0.05


def nemenyi_rejects(values) -> bool:
    """Return True if any pair is significant, the family-wise error; the range suffices, without p values."""
    ranks = stats.rankdata(list(values.values()), axis=0).mean(axis=1)
    return bool(np.ptp(ranks) >= critical_difference(len(values), len(values["r0"]), 0.05))


def false_positives(rejects, rows: int, blocks: int, draws: int) -> float:
    """Return the share of studies with a significant result among equal rows with block effects."""
    rng = np.random.default_rng(rows * 100 + blocks)
    size = (blocks, rows)
    studies = (rng.standard_normal(size) + 3 * rng.standard_normal((blocks, 1)) for _ in range(draws))
    return float(np.mean([rejects(named(study)) for study in studies]))


def test_equal_rows_rarely_differ():
    """Of 100 studies at most 11 are significant (5 expected, plus three standard errors)."""
    assert false_positives(friedman_rejects, 5, 4, 100) <= 0.11
    assert false_positives(nemenyi_rejects, 5, 12, 400) <= 0.083


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "blocks"), [(5, 3), (13, 5), (5, 10), (13, 15)])
def test_friedman_keeps_its_level(rows, blocks):
    """Of 2000 studies of equal rows, 3 to 7 % are significant at 5 %."""
    assert 0.03 <= false_positives(friedman_rejects, rows, blocks, 2000) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "blocks", "least"),
    [(5, 3, 0), (13, 3, 0), (5, 5, 0.03), (5, 10, 0.03), (9, 10, 0.03), (13, 15, 0.03)],
)
def test_nemenyi_keeps_its_family_wise_level(rows, blocks, least):
    """In 3 to 7 % of 2000 studies of equal rows a pair is significant at 5 %; in fewer with three blocks."""
    assert least <= false_positives(nemenyi_rejects, rows, blocks, 2000) <= 0.07


if __name__ == "__main__":
    for rows in (3, 5, 13):
        for blocks in (2, 3, 5, 10, 15):
            shares = [false_positives(f, rows, blocks, 2000) for f in (friedman_rejects, nemenyi_rejects)]
            print(f"| {rows} | {blocks} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)
