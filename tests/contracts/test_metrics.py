"""Properties of every distance between two sets of features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import MetricError
from benchmark.metrics.fid import fid
from benchmark.metrics.kid import kid

each_distance = pytest.mark.parametrize("distance", [fid, kid], ids=lambda f: f.__name__)


def draws(seed: int, n: int = 60, d: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(distance, seed):
    """Shuffling the images of either side changes only rounding."""
    a, b = draws(seed), draws(seed + 1) + 0.5
    order = np.random.default_rng(seed).permutation(len(a))
    assert distance(a[order], b) == pytest.approx(distance(a, b), rel=1e-6)
    assert distance(a, b[order]) == pytest.approx(distance(a, b), rel=1e-6)


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_distance_is_symmetric(distance, seed):
    """The distance from real to fake equals the distance from fake to real."""
    a, b = draws(seed), draws(seed + 1, n=45) * 2
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-6)


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_identity_is_zero_or_below(distance, seed):
    """A set against itself has FID 0, and KID at most 0, since KID is unbiased."""
    a = draws(seed)
    assert distance(a, a) <= 1e-6


@each_distance
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_grows_with_a_shift_of_the_mean(distance, seed):
    """A larger shift of one side gives a larger distance."""
    a, b = draws(seed), draws(seed + 1)
    scores = [distance(a, b + shift) for shift in (0.0, 1.0, 2.0, 4.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1] / 10


@each_distance
@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (np.zeros((1, 6)), "at least two"),
        (np.zeros((5, 4)), "same extractor"),
        (np.zeros(6), "expected \\(N, D\\)"),
        (np.full((5, 6), np.nan), "NaN"),
    ],
)
def test_incomparable_inputs_are_refused(distance, fake, words):
    """One row, another width, no matrix or NaN raises a MetricError with the reason and the remedy."""
    with pytest.raises(MetricError, match=words):
        distance(draws(1), fake)
    with pytest.raises(MetricError, match=words):
        distance(fake, draws(1))
