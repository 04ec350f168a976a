"""Hypothesis tests against hand arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.compare import tests as ours

RANKED = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0], "c": [7.0, 8.0, 9.0]}


def test_kruskal_wallis_by_hand():
    """Rank sums 6, 15, 24: H = 12 / 90 * 279 - 30 = 7.2, epsilon squared 7.2 / 8."""
    found = ours.kruskal_wallis(RANKED)
    assert found["statistic"] == pytest.approx(7.2)
    assert found["p"] == pytest.approx(np.exp(-3.6))  # chi-squared with two degrees of freedom
    assert found["epsilon_squared"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"a": [1, 2]}, "fewer than two rows"),
        ({"a": [1], "b": [2]}, "two runs"),
        ({"a": [1, 1], "b": [1, 1]}, "same"),
    ],
)
def test_kruskal_wallis_says_why_it_cannot_be_computed(values, reason):
    """No number is made up where there is nothing to compare."""
    found = ours.kruskal_wallis(values)
    assert found["p"] is None
    assert reason in found["reason"]


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_dunn_by_hand(correction):
    """Mean ranks 2, 5, 8 with standard error sqrt(5): z = 6 / sqrt(5) for a against c; three pairs."""
    found = {(r["a"], r["b"]): r["p"] for r in ours.dunn(RANKED, correction)}
    assert found["a", "c"] == pytest.approx(3 * 2 * stats.norm.sf(6 / np.sqrt(5)))
    others = 2 if correction == "holm" else 3
    assert found["a", "b"] == pytest.approx(others * 2 * stats.norm.sf(3 / np.sqrt(5)))


def test_holm_by_hand():
    """Ordered 0.01, 0.03, 0.04 times 3, 2, 1, never falling; an empty family stays empty."""
    assert ours.adjust([0.01, 0.04, 0.03], "holm") == pytest.approx([0.03, 0.06, 0.06])
    assert ours.adjust([0.01, 0.5], "bonferroni") == pytest.approx([0.02, 1.0])
    assert ours.adjust([], "holm") == []


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(["holm", "bonferroni"]))
def test_adjustment_agrees_with_statsmodels(p, correction):
    """The outside reference gives the same values."""
    assert ours.adjust(p, correction) == pytest.approx(multipletests(p, method=correction)[1])


def rows(gained: int, lost: int, both: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and scores of a row and a baseline with so many discordant images."""
    right, wrong = [0.1, 0.9], [0.9, 0.1]
    row = [right] * gained + [wrong] * lost + [right] * both
    base = [wrong] * gained + [right] * lost + [right] * both
    return np.ones(gained + lost + both, int), np.array([row]), np.array([base])


def test_mcnemar_is_exact_for_few_discordant_images():
    """Five against one: p = 2 * (1 + 6) / 64."""
    found = ours.mcnemar(*rows(5, 1, 10))
    assert (found["gained"], found["lost"], found["method"]) == (5, 1, "exact binomial")
    assert found["p"] == pytest.approx(14 / 64)


def test_mcnemar_is_corrected_for_many_discordant_images():
    """Thirty against ten: (20 - 1)^2 / 40 on one degree of freedom."""
    found = ours.mcnemar(*rows(30, 10, 5))
    assert found["method"].startswith("chi-squared")
    assert found["p"] == pytest.approx(stats.chi2.sf(19**2 / 40, 1))


def test_mcnemar_without_a_difference():
    """As many gained as lost, or none at all: p = 1."""
    assert ours.mcnemar(*rows(20, 20, 5))["p"] == 1
    assert ours.mcnemar(*rows(0, 0, 5))["p"] == 1


def test_mcnemar_averages_the_scores_of_runs():
    """One confident run outvotes two doubtful ones: the argmax is of the mean score."""
    label = np.array([1])
    row = np.array([[[0.1, 0.9]], [[0.6, 0.4]], [[0.6, 0.4]]])
    base = np.array([[[0.6, 0.4]], [[0.6, 0.4]], [[0.6, 0.4]]])
    assert ours.mcnemar(label, row, base)["gained"] == 1
