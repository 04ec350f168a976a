"""How good predictions are, by scikit-learn: to choose an epoch on ``val`` and to log a run."""

from __future__ import annotations

import numpy as np


def values(label: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Every figure that is defined for these labels, each 0 to 1, higher is better.

    Args:
        label: (N,) class index, or (N, K) 1 for every class of an image.
        scores: (N, K) probabilities.
    Returns:
        ``auroc`` (of the last class where an image has one of two, else the mean over the classes that have
        both positive and negative images); with one class per image also ``accuracy``, ``balanced_accuracy``
        and, with two classes, ``f1`` of the last one. A figure that is not defined is left out.
    """
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    found = {}
    if label.ndim == 1:
        taken, present = scores.argmax(1), np.unique(label)
        found["accuracy"] = float(accuracy_score(label, taken))
        found["balanced_accuracy"] = float(
            recall_score(label, taken, labels=present, average="macro", zero_division=0.0)
        )
        if scores.shape[1] == 2:
            found["f1"] = float(f1_score(label, taken, pos_label=1, zero_division=0.0))
    areas = _areas(label, scores)
    if areas:
        binary = label.ndim == 1 and scores.shape[1] == 2  # both areas are the same but for ties
        found["auroc"] = areas[-1] if binary else float(np.mean(areas))
    return found


def _areas(label: np.ndarray, scores: np.ndarray) -> list[float]:
    from sklearn.metrics import roc_auc_score

    truth = label if label.ndim == 2 else np.eye(scores.shape[1], dtype=np.int64)[label]
    both = np.flatnonzero((truth.min(0) == 0) & (truth.max(0) == 1))
    return [float(roc_auc_score(truth[:, k], scores[:, k])) for k in both]


def loss(label: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative log-likelihood of the true classes; over all classes where an image may have several."""
    safe = np.clip(scores, 1e-7, 1 - 1e-7)
    if label.ndim == 1:
        return float(-np.log(safe[np.arange(len(label)), label]).mean())
    return float(-(label * np.log(safe) + (1 - label) * np.log(1 - safe)).mean())
