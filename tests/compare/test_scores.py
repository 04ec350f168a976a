"""Scores against hand arithmetic."""

import numpy as np
import pytest

from benchmark.compare import scores

LABEL = np.array([0, 0, 0, 1])
SCORES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])


def test_accuracy_and_balanced_accuracy_differ_by_the_weight_of_classes():
    """Three of four are right; recalls are 2/3 and 1, so balanced accuracy is 5/6."""
    assert scores.accuracy(LABEL, SCORES) == pytest.approx(3 / 4)
    assert scores.balanced_accuracy(LABEL, SCORES) == pytest.approx(5 / 6)


def test_per_class_scores():
    """Class 1 is predicted twice, once rightly: precision 1/2, recall 1, F1 2/3."""
    found = scores.per_class(LABEL, SCORES)
    assert found["recall"] == pytest.approx([2 / 3, 1])
    assert found["precision"] == pytest.approx([1, 1 / 2])
    assert found["f1"] == pytest.approx([0.8, 2 / 3])


def test_auroc_counts_ordered_pairs():
    """Of the three pairs of a class-1 and a class-0 image, two are in order: 0.6 > 0.1, 0.2, but < 0.7."""
    assert scores.macro_auroc(LABEL, SCORES) == pytest.approx(2 / 3)


def test_a_tie_goes_to_the_first_class():
    """Equal scores are no reason to depend on the platform."""
    assert scores.predicted(np.array([[0.5, 0.5]])).tolist() == [0]
