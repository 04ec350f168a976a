"""Classification metrics, each as one value per image whose mean is the metric.

A metric of n images becomes values v (n,) such that ``mean(v)`` is the metric and (v - mean) / n is the
influence of an image: the derivative of the metric with respect to the weight of the image. One method for
intervals (see ``intervals``) then serves all metrics. Accuracy and balanced accuracy are linear, so exact; F1
and kappa are ratios, by the delta method; AUROC by its structural components (DeLong et al. 1988).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmark.errors import SubmissionError

Kind = Literal["binary", "multiclass", "multilabel"]
SINGLE: tuple[Kind, ...] = ("binary", "multiclass")
THRESHOLD = 0.5  # from which a score of a multi-label task counts as a positive prediction


@dataclass(frozen=True)
class Metric:
    """One named metric."""

    name: str  # in tasks and records
    title: str  # heading of a column
    noun: str  # within a sentence, after "points of"
    meaning: str  # one sentence for the glossary; ``{positive}`` is replaced by the positive class
    kinds: tuple[Kind, ...]  # kinds of task that it is defined for
    percent: bool  # shown in percent, or as a decimal
    lowest: float  # smallest possible value; the largest is 1
    # function of label, (n,) int or (n, K) 0 or 1 for multi-label tasks, and scores (R, n, K); returns (R, n)
    # values per image
    values: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def record(self, positive: str) -> dict[str, Any]:
        """Description for the pages, as JSON values."""
        meaning = self.meaning.format(positive=positive)
        return {"name": self.name, "title": self.title, "noun": self.noun, "meaning": meaning,
                "percent": self.percent}  # fmt: skip


def predicted(scores: np.ndarray) -> np.ndarray:
    """(..., n) class of the highest of the (..., n, K) scores; the first of equals."""
    return np.asarray(scores).argmax(-1)


def by_group(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Values per image for the mean over groups of the mean within each group.

    Args:
        values: (..., n).
        group: (n,) labels.
    Returns:
        (..., n); an image's influence is (value - mean of its group) / (groups * images in its group).
    """
    values = np.asarray(values, dtype=np.float64)
    groups, code, size = np.unique(group, return_inverse=True, return_counts=True)
    means = np.stack([values[..., group == g].mean(-1) for g in groups], axis=-1)
    weight = len(group) / (len(groups) * size[code])
    return np.asarray(means.mean(-1)[..., None] + weight * (values - means[..., code]))


def accuracy(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) correctness; the mean is the share of correct predictions, 0 to 1."""
    return (predicted(scores) == label).astype(np.float64)


def balanced_accuracy(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) values whose mean is the mean recall of the classes, 0 to 1; every class must be present."""
    return by_group(accuracy(label, scores), label)


def f1_of(actual: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Values per image for F1 = 2 TP / (actual + predicted positives), 0 to 1, by the delta method.

    Without a predicted positive, F1 and all values are 0: more images of the same kind would not change it.

    Args:
        actual: (n,) bool, at least one True.
        positive: (..., n) bool, predicted as positive.
    Returns:
        (..., n).
    """
    both, size = (positive & actual).astype(np.float64), positive.astype(np.float64) + actual
    mean = size.mean(-1, keepdims=True)
    f1 = 2 * both.mean(-1, keepdims=True) / mean
    return np.asarray(f1 + (2 * both - f1 * size) / mean)


def f1(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) values whose mean is the F1 of the last class of a binary task."""
    return f1_of(label == 1, predicted(scores) == 1)


def macro_f1(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) values whose mean is the mean of the classes' F1, each class against the rest."""
    guess = predicted(scores)
    return np.mean([f1_of(label == k, guess == k) for k in range(scores.shape[-1])], axis=0)


def cohen_kappa(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) values whose mean is Cohen's kappa, -1 to 1, 0 at chance; by the delta method.

    The variance agrees with Fleiss, Cohen and Everitt 1969; a test compares it with statsmodels.
    """
    guess = predicted(scores)
    agree = (guess == label).astype(np.float64)
    observed = agree.mean(-1, keepdims=True)
    expected, partial = np.zeros_like(observed), np.zeros_like(agree)
    for k in range(scores.shape[-1]):
        actual, positive = label == k, guess == k
        p, q = actual.mean(), positive.mean(-1, keepdims=True)
        expected += p * q
        partial += actual * q + p * positive
    kappa = (observed - expected) / (1 - expected)
    change = (agree - observed) * (1 - expected) - (partial - 2 * expected) * (1 - observed)
    return np.asarray(kappa + change / (1 - expected) ** 2)


def auroc_components(actual: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Structural components of the area under the ROC curve; their mean over either side is the area.

    The component of an image is the share of the images of the other side that are ordered correctly relative
    to it, ties counting half; from midranks, in O(n log n).

    Args:
        actual: (n,) bool, some True and some False.
        score: (..., n).
    Returns:
        (..., n), 0 to 1.
    Source: DeLong, DeLong and Clarke-Pearson 1988; midranks as in Sun and Xu 2014.
    """
    from scipy.stats import rankdata

    beaten = rankdata(score, axis=-1)
    for side in (actual, ~actual):
        beaten[..., side] -= rankdata(score[..., side], axis=-1)
    return np.where(actual, beaten / (~actual).sum(), 1 - beaten / actual.sum())


def auroc_of(actual: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Values per image for the area under the ROC curve, 0 to 1, 0.5 at chance; ties count half.

    Args:
        actual: (n,) bool, some True and some False.
        score: (..., n).
    Returns:
        (..., n), from ``auroc_components``.
    """
    component = auroc_components(actual, score)
    area = component[..., actual].mean(-1, keepdims=True)
    weight = len(actual) / np.where(actual, actual.sum(), (~actual).sum())
    return np.asarray(area + weight * (component - area))


def auroc(label: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(R, n) values whose mean is the AUROC: of the last of two classes, else the mean over classes."""
    classes = [1] if label.ndim == 1 and scores.shape[-1] == 2 else range(scores.shape[-1])
    return np.mean([class_auroc(label, scores, k) for k in classes], axis=0)


def class_auroc(label: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """(R, n) values whose mean is the AUROC of one class against the rest."""
    return auroc_of(members(label, k), scores[..., k])


def members(label: np.ndarray, k: int) -> np.ndarray:
    """(n,) bool, the images of class k."""
    return np.asarray(label[:, k] == 1 if label.ndim == 2 else label == k)


def findings(label: np.ndarray, scores: np.ndarray, k: int) -> np.ndarray:
    """(R, n) bool, the images predicted as class k; by a threshold of 0.5 in multi-label tasks."""
    return np.asarray(scores[..., k] >= THRESHOLD if label.ndim == 2 else predicted(scores) == k)


def precision_of(actual: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(...) share of the (..., n) predicted positives that are actual (n,) ones; 0 if there are none."""
    return np.asarray((positive & actual).sum(-1) / np.maximum(positive.sum(-1), 1))


TABLE: tuple[Metric, ...] = (
    Metric(
        "balanced_accuracy", "Balanced accuracy", "balanced accuracy",
        "Mean over the classes of the share of their test images that is classified correctly.",
        SINGLE, True, 0.0, balanced_accuracy,
    ),
    Metric(
        "accuracy", "Accuracy", "accuracy",
        "Share of the test images that is classified correctly; the common classes count most.",
        SINGLE, True, 0.0, accuracy,
    ),
    Metric(
        "f1", "F1", "F1",
        "Harmonic mean of precision and recall of “{positive}”, from 0 to 1; right negatives do not count.",
        ("binary",), False, 0.0, f1,
    ),
    Metric(
        "macro_f1", "Macro F1", "macro F1",
        "Mean over the classes of the harmonic mean of precision and recall, from 0 to 1.",
        ("multiclass",), False, 0.0, macro_f1,
    ),
    Metric(
        "auroc", "AUROC", "AUROC",
        "Chance that an image of “{positive}” gets a higher score than one without it; 0.5 is guessing.",
        ("binary",), False, 0.0, auroc,
    ),
    Metric(
        "cohen_kappa", "Cohen’s kappa", "kappa",
        "Agreement with the labels beyond what the class shares alone would give; 0 is chance, 1 perfect.",
        SINGLE, False, -1.0, cohen_kappa,
    ),
    Metric(
        "auroc", "AUROC", "AUROC",
        "Mean over the classes of the chance that an image of the class gets a higher score for it than "
        "an image without it; 0.5 is guessing.",
        ("multiclass", "multilabel"), False, 0.0, auroc,
    ),
)  # fmt: skip


def kind_of(labels: str, classes: int) -> Kind:
    """Kind of task: multi-label, or single-label with two or with more classes."""
    if labels == "multilabel":
        return "multilabel"
    return "binary" if classes == 2 else "multiclass"


def reported(kind: Kind, primary: str) -> dict[str, Metric]:
    """Metrics that are reported for a kind of task, the primary one first.

    Raises:
        SubmissionError: the primary metric is not defined for the kind.
    """
    known = {m.name: m for m in TABLE if kind in m.kinds}
    if primary not in known:
        raise SubmissionError(
            "primary_metric.name",
            f"'{primary}' is not defined for a {kind} task",
            f"Choose one of: {', '.join(known)}.",
        )
    return {primary: known.pop(primary), **known}
