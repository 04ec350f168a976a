"""Kruskal-Wallis and Dunn's test against hand calculation, published examples, other implementations and
simulation.

``PYTHONPATH=. python tests/statistics/test_between_runs.py`` prints the tables of
docs/statistics.md.
"""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scikit_posthocs import posthoc_dunn
from scipy import stats

from benchmark.errors import BenchmarkError
from benchmark.statistics.between_runs import dunn, kruskal_wallis

RANKED = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0], "c": [7.0, 8.0, 9.0]}
# Hollander and Wolfe 1973, p. 116, mucociliary efficiency; the example of R's kruskal.test.
MUCOCILIARY = {
    "normal": [2.9, 3.0, 2.5, 2.6, 3.2],
    "obstructive": [3.8, 2.7, 4.0, 2.4],
    "asbestosis": [2.8, 3.4, 3.7, 2.2, 2.0],
}
RUN_VALUES = st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=6), min_size=2, max_size=5).filter(
    lambda rows: len({v for row in rows for v in row}) > 1
)


def named(rows) -> dict[str, list[float]]:
    return {f"r{i}": [float(v) for v in row] for i, row in enumerate(rows)}


def test_kruskal_wallis_by_hand():
    """Rank sums 6, 15, 24 give the maximum H = 12 / 90 * 279 - 30 = 7.2; p is 3! of 9! / 3!^3
    arrangements."""
    result = kruskal_wallis(RANKED)
    assert result["statistic"] == pytest.approx(7.2)
    assert result["df"] == 2
    assert result["epsilon_squared"] == pytest.approx(0.9)
    assert result["p"] == pytest.approx(6 / 1680)
    assert result["method"] == "exact, all 1680 arrangements"


def test_kruskal_wallis_on_the_published_example():
    """H is 0.7714 on 2 degrees of freedom; p agrees with the enumeration of all 252252 arrangements."""
    result = kruskal_wallis(MUCOCILIARY)
    assert (result["statistic"], result["df"]) == (pytest.approx(0.77143, abs=5e-6), 2)
    ranks = stats.rankdata(np.concatenate(list(MUCOCILIARY.values())))
    normal = np.array([sum(ranks[list(c)]) for c in combinations(range(14), 5)])
    others = [np.setdiff1d(range(14), c) for c in combinations(range(14), 5)]
    obstructive = np.array([[ranks[o[list(c)]].sum() for c in combinations(range(9), 4)] for o in others])
    asbestosis = ranks.sum() - normal[:, None] - obstructive
    h = 12 / (14 * 15) * (normal[:, None] ** 2 / 5 + obstructive**2 / 4 + asbestosis**2 / 5) - 3 * 15
    assert result["p"] == pytest.approx((h >= 0.7714).mean(), abs=0.015)
    assert result["method"] == "permutation, 9999 arrangements drawn"


def test_many_runs_use_chi_squared():
    """With ten runs or more per row, statistic and p are scipy's, ties included."""
    rows = named(np.random.default_rng(3).integers(0, 12, (4, 10)))
    result = kruskal_wallis(rows)
    assert (result["statistic"], result["p"]) == pytest.approx(tuple(stats.kruskal(*rows.values())))
    assert result["method"] == "chi-squared"


def test_one_row_of_fewer_than_ten_runs_uses_arrangements():
    """The smallest row determines the method of p, which the record names."""
    rng = np.random.default_rng(3)
    assert kruskal_wallis({"a": rng.random(30), "b": rng.random(9)})["method"].startswith("permutation")


@settings(max_examples=15, deadline=None)
@given(RUN_VALUES)
def test_statistic_agrees_with_scipy_for_any_ties(rows):
    """For any ties and sizes, H is scipy's, epsilon squared lies in 0 to 1, and p is above 0."""
    result = kruskal_wallis(named(rows))
    assert result["statistic"] == pytest.approx(stats.kruskal(*rows).statistic)
    assert -1e-9 <= result["epsilon_squared"] <= 1 + 1e-9
    assert 0 < result["p"] <= 1


def test_the_same_values_give_the_same_p_in_any_order():
    """Arrangements are drawn from a fixed seed, and p does not depend on the order of rows and runs."""
    rng = np.random.default_rng(5)
    rows = {f"r{n}": rng.random(n).tolist() for n in (4, 6, 3, 5)}
    again = {name: own[::-1] for name, own in reversed(rows.items())}
    assert kruskal_wallis(again) == pytest.approx(kruskal_wallis(rows))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "fewer than two rows"),
        ({"a": [1, 2]}, "fewer than two rows"),
        ({"a": [1], "b": [2]}, "two runs"),
        ({"a": [1, 1], "b": [1, 1]}, "same"),
    ],
)
def test_a_missing_kruskal_wallis_has_a_reason(values, reason):
    """With nothing to compare the result has a reason and no number."""
    result = kruskal_wallis(values)
    assert result["p"] is None
    assert result["statistic"] is None
    assert reason in result["reason"]


@pytest.mark.parametrize("test", [kruskal_wallis, lambda values: dunn(values, "holm")])
def test_a_value_that_is_not_finite_is_refused(test):
    """The error names the row with the NaN."""
    with pytest.raises(BenchmarkError, match=r"^b: "):
        test({"a": [1.0, 2.0], "b": [1.0, float("nan")]})


@pytest.mark.parametrize(
    ("correction", "others"), [("holm", 2), ("bonferroni", 3), ("none", 1), ("fdr_bh", 1)]
)
def test_dunn_by_hand(correction, others):
    """Sums 6, 15, 24: z = -6 / sqrt(5) for a and c, as large in 2 of the 84 * 20 ways to fill both rows."""
    result = {(r["a"], r["b"]): r for r in dunn(RANKED, correction)}
    assert result["a", "c"]["z"] == pytest.approx(-6 / np.sqrt(5))
    assert result["a", "c"]["p"] == pytest.approx(2 / (84 * 20))
    assert result["a", "c"]["method"] == "exact"
    assert result["a", "b"]["p_adjusted"] == pytest.approx(others * result["a", "b"]["p"])


@settings(max_examples=15, deadline=None)
@given(RUN_VALUES.filter(lambda rows: sum(map(len, rows)) <= 10))
def test_exact_p_of_dunn_counts_all_arrangements(rows):
    """p agrees with the enumeration of the ranks that the first two rows can get, for any ties and sizes."""
    ranks = stats.rankdata(np.concatenate(rows))
    a, b = len(rows[0]), len(rows[1])
    apart = [
        abs(ranks[list(one)].mean() - ranks[list(two)].mean())
        for one in combinations(range(len(ranks)), a)
        for two in combinations(np.setdiff1d(range(len(ranks)), one), b)
    ]
    observed = abs(ranks[:a].mean() - ranks[a : a + b].mean())
    assert dunn(named(rows), "none")[0]["p"] == pytest.approx((np.array(apart) >= observed - 1e-9).mean())


@settings(max_examples=15, deadline=None)
@given(RUN_VALUES, st.sampled_from(["holm", "bonferroni", "fdr_bh", None]))
def test_dunn_agrees_with_scikit_posthocs(rows, correction):
    """With ten runs or more per row, scikit-posthocs gives the same adjusted p for any ties and sizes."""
    longer = [[v + 0.5 * (i % 3) for i, v in enumerate(row * 5)] for row in rows]
    table = posthoc_dunn(longer, p_adjust=correction).to_numpy()
    result = dunn(named(longer), correction or "none")
    expected = [table[i, j] for i in range(len(rows)) for j in range(i + 1, len(rows))]
    assert [r["p_adjusted"] for r in result] == pytest.approx(expected)
    assert {r["method"] for r in result} == {"normal"}


def test_z_of_few_runs_agrees_with_scikit_posthocs():
    """z does not depend on the method of p: its normal p is that of scikit-posthocs."""
    rows = np.random.default_rng(0).integers(0, 6, (4, 5))
    table = posthoc_dunn(rows.tolist()).to_numpy()
    for r in dunn(named(rows), "none"):
        assert 2 * stats.norm.sf(abs(r["z"])) == pytest.approx(table[int(r["a"][1]), int(r["b"][1])])


@pytest.mark.parametrize("runs", [2, 12])
def test_equal_values_do_not_differ(runs):
    """If every run has the same value, Dunn's z is 0 and p is 1, exact or not."""
    (result,) = dunn({"a": [1.0] * runs, "b": [1.0] * runs}, "holm")
    assert (result["z"], result["p"], result["p_adjusted"]) == (0, 1, 1)


def test_dunn_without_pairs():
    """One row, or none, has no pairs."""
    assert dunn({}, "holm") == dunn({"a": [1.0, 2.0]}, "holm") == []


def kruskal_wallis_rejects(values) -> bool:
    return kruskal_wallis(values)["p"] <= 0.05


def dunn_rejects(values) -> bool:
    """Return True if any pair is significant, the family-wise error with Holm's correction."""
    return any(r["p_adjusted"] <= 0.05 for r in dunn(values, "holm"))


def false_positives(rejects, rows: int, runs: int, draws: int) -> float:
    """Return the share of studies of equal rows with a significant result."""
    rng = np.random.default_rng(rows * 100 + runs)
    return float(np.mean([rejects(named(rng.standard_normal((rows, runs)))) for _ in range(draws)]))


@pytest.mark.parametrize(("rows", "runs"), [(3, 3), (9, 10)])
def test_equal_rows_rarely_differ(rows, runs):
    """Of 100 studies of equal rows at most 11 are significant (5 expected, plus three standard errors)."""
    assert false_positives(kruskal_wallis_rejects, rows, runs, 100) <= 0.11


def test_a_real_difference_is_significant():
    """With one of four rows 2.5 standard deviations better and five runs, at least 80 % of 50 studies are
    significant."""
    rng = np.random.default_rng(0)
    shifted = [named(rng.standard_normal((4, 5)) + np.array([[0], [0], [0], [2.5]])) for _ in range(50)]
    assert np.mean([kruskal_wallis_rejects(v) for v in shifted]) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "runs"), [(3, 3), (5, 3), (13, 5), (5, 10), (13, 15)])
def test_kruskal_wallis_keeps_its_level(rows, runs):
    """Of 2000 studies of equal rows, 3 to 7 % are significant at 5 %."""
    assert 0.03 <= false_positives(kruskal_wallis_rejects, rows, runs, 2000) <= 0.07


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "runs", "least"), [(3, 3, 0.03), (5, 5, 0.03), (5, 10, 0.03), (13, 15, 0)])
def test_dunn_keeps_its_family_wise_level(rows, runs, least):
    """In 3 to 7 % of 2000 studies of equal rows a pair is significant after Holm; in fewer with 13 rows and
    normal z."""
    assert least <= false_positives(dunn_rejects, rows, runs, 2000) <= 0.07


if __name__ == "__main__":
    for rows in (2, 3, 5, 13):
        for runs in (3, 5, 10, 15):
            shares = [false_positives(f, rows, runs, 2000) for f in (kruskal_wallis_rejects, dunn_rejects)]
            print(f"| {rows} | {runs} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)
