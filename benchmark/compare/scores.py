"""Classification scores of one run, by scikit-learn."""

from __future__ import annotations

import numpy as np


def predicted(scores: np.ndarray) -> np.ndarray:
    """(..., n) class of the highest score; the first of equals.

    Args:
        scores: (..., n, K) one score per class, higher is more likely.
    """
    return np.asarray(scores).argmax(-1)


def accuracy(label: np.ndarray, scores: np.ndarray) -> float:
    """Share of the images that are classified correctly, 0 to 1, higher is better.

    Args:
        label: (n,) class index.
        scores: (n, K).
    """
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(label, predicted(scores)))


def balanced_accuracy(label: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes of the share of their images classified correctly, 0 to 1, higher is better.

    Args:
        label: (n,) class index, every class present.
        scores: (n, K).
    """
    from sklearn.metrics import recall_score

    classes = np.arange(scores.shape[1])
    return float(recall_score(label, predicted(scores), labels=classes, average="macro", zero_division=0.0))


def per_class(label: np.ndarray, scores: np.ndarray) -> dict[str, list[float]]:
    """Recall, precision and F1 of every class, each 0 to 1; 0 where nothing was predicted as the class.

    Args:
        label: (n,) class index.
        scores: (n, K).
    """
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.arange(scores.shape[1])
    precision, recall, f1, _ = precision_recall_fscore_support(
        label, predicted(scores), labels=classes, zero_division=0.0
    )
    return {"recall": recall.tolist(), "precision": precision.tolist(), "f1": f1.tolist()}


def macro_auroc(label: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the classes of the one-versus-rest area under the ROC curve, 0 to 1, chance is 0.5.

    Args:
        label: (n,) class index, every class present and none alone.
        scores: (n, K).
    """
    from sklearn.metrics import roc_auc_score

    one_hot = np.eye(scores.shape[1], dtype=int)[label]
    return float(roc_auc_score(one_hot, scores, average="macro"))
