"""Adjusted p values against hand calculation, statsmodels and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from benchmark.errors import BenchmarkError
from benchmark.statistics.adjust import CORRECTIONS, adjust


def test_corrections_by_hand():
    """Ordered 0.01, 0.03, 0.04: Holm times 3, 2, 1, never falling; Benjamini-Hochberg times 3, 3/2, 1."""
    p = [0.01, 0.04, 0.03]
    assert adjust(p, "holm") == pytest.approx([0.03, 0.06, 0.06])
    assert adjust(p, "bonferroni") == pytest.approx([0.03, 0.12, 0.09])
    assert adjust(p, "fdr_bh") == pytest.approx([0.03, 0.04, 0.04])
    assert adjust(p, "none") == p


def test_holm_on_the_published_example():
    """Demsar 2006, section 3.2.2: p of 0.016, 0.019 and 0.607; Holm rejects the first two at 0.05."""
    assert adjust([0.016, 0.019, 0.607], "holm") == pytest.approx([0.048, 0.048, 0.607])


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_an_empty_family_stays_empty(correction):
    """An empty family has no adjusted values and raises no error."""
    assert adjust([], correction) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(["holm", "bonferroni", "fdr_bh"]))
def test_adjustment_agrees_with_statsmodels(p, correction):
    """statsmodels gives the same values in the same order, ties included."""
    assert adjust(p, correction) == pytest.approx(multipletests(p, method=correction)[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_are_ordered(p):
    """An adjusted p is at least the raw p, and Benjamini-Hochberg <= Holm <= Bonferroni."""
    steps = [adjust(p, c) for c in ("none", "fdr_bh", "holm", "bonferroni")]
    assert all((np.diff([s[i] for s in steps]) >= -1e-12).all() for i in range(len(p)))


@pytest.mark.parametrize("p", [[float("nan")], [-0.1], [1.1]])
def test_invalid_p_values_are_refused(p):
    """The error names NaN and values outside 0 to 1."""
    with pytest.raises(BenchmarkError, match="from 0 to 1"):
        adjust(p, "holm")


def test_an_unknown_correction_gets_a_suggestion():
    """The error for a misspelled correction suggests the right name."""
    with pytest.raises(BenchmarkError, match="Did you mean 'holm'"):
        adjust([0.5], "holmes")


def test_the_false_discovery_rate_is_controlled():
    """Of twenty tests ten have an effect: the false discovery rate of Benjamini-Hochberg is 5 % * 10 / 20
    (1000 draws)."""
    from scipy import stats

    z = np.random.default_rng(0).standard_normal((1000, 20)) + 3.0 * (np.arange(20) < 10)
    result = np.array([adjust(2 * stats.norm.sf(np.abs(own)), "fdr_bh") for own in z]) <= 0.05
    shares = result[:, 10:].sum(1) / np.maximum(result.sum(1), 1)
    assert shares.mean() == pytest.approx(0.025, abs=0.005)
