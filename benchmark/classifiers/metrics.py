"""Metrics of predictions by scikit-learn: to choose an epoch on ``val`` and to log a run."""

from collections.abc import Sequence

import numpy as np


def metric_values(label: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return every metric that is defined for these labels, each 0 to 1, higher is better.

    Args:
        label: (N,) class index, or (N, K) 1 for every class of an image.
        scores: (N, K) probabilities.
    Returns:
        ``auroc`` (of the last of two classes, else the mean over the classes that have positive and negative
        images); with single labels also ``accuracy``, ``balanced_accuracy`` and, with two classes, ``f1`` of
        the last one.
    """
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    values = {}
    if label.ndim == 1:
        predicted, present = scores.argmax(1), np.unique(label)
        values["accuracy"] = float(accuracy_score(label, predicted))
        values["balanced_accuracy"] = float(
            recall_score(label, predicted, labels=present, average="macro", zero_division=0.0)
        )
        if scores.shape[1] == 2:
            values["f1"] = float(f1_score(label, predicted, pos_label=1, zero_division=0.0))
    areas = list(_class_auroc(label, scores).values())
    if areas:
        binary = label.ndim == 1 and scores.shape[1] == 2  # both areas are the same but for ties
        values["auroc"] = areas[-1] if binary else float(np.mean(areas))
    return values


def class_metrics(label: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return the recall of every class that is present, or its AUROC with multi-label images.

    Args:
        label: (N,) class index, or (N, K) 1 for every class of an image.
        scores: (N, K) probabilities.
    """
    from sklearn.metrics import recall_score

    if label.ndim == 2:
        return {classes[k]: area for k, area in _class_auroc(label, scores).items()}
    present = np.unique(label)
    recalls = recall_score(label, scores.argmax(1), labels=present, average=None, zero_division=0.0)
    return {classes[k]: float(recall) for k, recall in zip(present, recalls, strict=True)}


def _class_auroc(label: np.ndarray, scores: np.ndarray) -> dict[int, float]:
    from sklearn.metrics import roc_auc_score

    truth = label if label.ndim == 2 else np.eye(scores.shape[1], dtype=np.int64)[label]
    both = np.flatnonzero((truth.min(0) == 0) & (truth.max(0) == 1))
    return {int(k): float(roc_auc_score(truth[:, k], scores[:, k])) for k in both}


def log_loss(label: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean negative log-likelihood of the true classes, or over all classes if multi-label."""
    safe = np.clip(scores, 1e-7, 1 - 1e-7)
    if label.ndim == 1:
        return float(-np.log(safe[np.arange(len(label)), label]).mean())
    return float(-(label * np.log(safe) + (1 - label) * np.log(1 - safe)).mean())
