"""Youden's threshold by hand arithmetic and by trying every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import SubmissionError
from benchmark.statistics.youden import youden_threshold


def index(label: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """Return sensitivity + specificity - 1 of ``scores >= threshold``."""
    seen = scores >= threshold
    return seen[label == 1].mean() - seen[label == 0].mean()


def test_by_hand():
    """From 0.6 on, both positive and none of the three negative images count: J is 1."""
    assert youden_threshold(np.array([0, 0, 1, 0, 1]), np.array([0.1, 0.2, 0.6, 0.5, 0.9])) == 0.6


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=40))
def test_no_other_threshold_is_better(pairs):
    """Of all scores as thresholds none has a larger J, and no higher one an equal J."""
    label, scores = np.array(pairs).T
    if len(set(label)) < 2:
        return
    scores = scores / 10
    chosen = youden_threshold(label, scores)
    best = index(label, scores, chosen)
    for other in set(scores):
        assert index(label, scores, other) <= best + 1e-12
        assert other <= chosen or index(label, scores, other) < best + 1e-12


def test_one_label_has_no_threshold():
    """Without a positive image sensitivity is not defined."""
    with pytest.raises(SubmissionError, match="with and without"):
        youden_threshold(np.zeros(3), np.arange(3.0))
