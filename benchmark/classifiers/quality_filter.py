"""The quality filter: decide from the evaluators' scores whether an image shows its requested class."""

from collections.abc import Sequence

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet


def youden_threshold(label: np.ndarray, score: np.ndarray) -> float:
    """Return the threshold with the largest sensitivity + specificity - 1; the highest of several.

    Args:
        label: (N,) 0 or 1, both present.
        score: (N,) higher for 1.
    Source: Youden 1950, Index for rating diagnostic tests.
    """
    from sklearn.metrics import roc_curve

    false, true, threshold = roc_curve(label, score, drop_intermediate=False)
    return float(threshold[1:][np.argmax((true - false)[1:])])  # the first one is infinite


def youden_thresholds(val: ImageSet, scores: np.ndarray, requested: Sequence[str]) -> dict[str, float]:
    """Return Youden's threshold on multi-label ``val`` for every requested class.

    Raises:
        DataError: ``val`` has no image of a class, or no image without it.
    """
    thresholds = {}
    for k, name in enumerate(val.classes):
        if name not in requested:
            continue
        positive = int(val.label[:, k].sum())
        if not 0 < positive < len(val):
            raise DataError(
                f"mix.filter: class '{name}'",
                f"val has {positive} images with it among {len(val)}, so no threshold",
                "Enlarge val, or leave the filter out.",
            )
        thresholds[name] = youden_threshold(val.label[:, k], scores[:, k])
    return thresholds


def passes_filter(
    requested: np.ndarray, scores: np.ndarray, thresholds: np.ndarray | None = None
) -> np.ndarray:
    """Return (N,) whether each image passes for its requested class.

    Args:
        requested: (N,) class index.
        scores: (N, K) mean probabilities.
        thresholds: (K,) for multi-label images; None if the requested class must be the most probable one.
    """
    if thresholds is None:
        return np.asarray(scores.argmax(1) == requested)
    return np.asarray(scores[np.arange(len(requested)), requested] >= thresholds[requested])
