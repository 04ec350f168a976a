"""Metrics of predictions against hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.classifiers.metrics import log_loss, metric_values

BINARY = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])


def test_binary_metrics():
    """Labels 0 0 1 1 against predictions 0 1 1 0: half correct, F1 = 2/(2+1+1), 3 of 4 pairs in order."""
    values = metric_values(np.array([0, 0, 1, 1]), BINARY)
    assert values == pytest.approx({"accuracy": 0.5, "balanced_accuracy": 0.5, "f1": 0.5, "auroc": 0.75})


def test_multi_label_tasks_have_only_auroc():
    """Classes without a negative or a positive image do not count; accuracy is undefined."""
    label = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]], np.uint8)
    scores = np.column_stack([[0.9, 0.1, 0.3, 0.5], [0.5] * 4, [0.5] * 4])
    assert metric_values(label, scores) == pytest.approx({"auroc": 0.75})


def test_an_undefined_metric_is_left_out():
    """With one class present there is no AUROC."""
    assert "auroc" not in metric_values(np.array([1, 1]), BINARY[:2])


def test_losses():
    """The loss is -log of the true class, or over every class in a multi-label task."""
    assert log_loss(np.array([0, 1]), BINARY[:2]) == pytest.approx(-(np.log(0.9) + np.log(0.6)) / 2)
    both = log_loss(np.array([[1, 0]], np.uint8), np.array([[0.8, 0.3]]))
    assert both == pytest.approx(-(np.log(0.8) + np.log(0.7)) / 2)


def test_multi_label_auroc_is_the_mean_over_findings():
    """AUROCs 3/4 and 1 of two findings give their mean."""
    label = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.uint8)
    scores = np.array([[0.9, 0.0], [0.4, 0.0], [0.5, 1.0], [0.1, 1.0]])
    assert metric_values(label, scores)["auroc"] == 0.875
