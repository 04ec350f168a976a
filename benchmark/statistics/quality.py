"""All metrics of one run, overall and by class, under many weightings of its images."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.statistics import weighted
from benchmark.statistics.metrics import SINGLE, Kind, findings, members

ALL: tuple[Kind, ...] = (*SINGLE, "multilabel")
BINARY: tuple[Kind, ...] = ("binary",)
Column = tuple[str, int | None]  # a metric, overall (None) or of a class


@dataclass(frozen=True)
class Figure:
    """One named metric."""

    name: str  # in records
    title: str  # heading of a column
    meaning: str  # one sentence for the glossary; ``{positive}`` is replaced by the positive class
    # kinds of task that have it overall: of the last class of a binary task for a metric of one class, else
    # of all classes
    overall: tuple[Kind, ...]
    per_class: bool = False  # whether each class has it, against the rest
    percent: bool = False  # shown in percent, or as a decimal
    direction: str = "maximize"  # ``maximize`` or ``minimize``

    def record(self, kind: Kind, positive: str) -> dict[str, Any]:
        """Description for the pages, as JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "meaning": self.meaning.format(positive=positive, specificity=f"{weighted.SPECIFICITY:.0%}"),
            "direction": self.direction,
            "percent": self.percent,
            "overall": kind in self.overall,
            "per_class": self.per_class,
        }


OF_ONE = "Overall it is that of “{positive}” where there are two classes, else the mean over the classes."
FIGURES: tuple[Figure, ...] = (
    Figure(
        "accuracy", "Accuracy",
        "Share of the images that is classified correctly; the common classes count most.",
        SINGLE, percent=True,
    ),
    Figure(
        "balanced_accuracy", "Balanced accuracy",
        "Mean over the classes of the share of their images that is classified correctly.",
        SINGLE, percent=True,
    ),
    Figure(
        "precision", "Precision", "Share of the images predicted as the class that are of it. " + OF_ONE,
        BINARY, True, True,
    ),
    Figure(
        "recall", "Recall",
        "Share of the images of the class that are predicted as it (sensitivity). " + OF_ONE,
        BINARY, True, True,
    ),
    Figure("f1", "F1", "Harmonic mean of precision and recall. " + OF_ONE, BINARY, True),
    Figure("macro_f1", "Macro F1", "Mean over the classes of F1.", ALL),
    Figure(
        "auroc", "AUROC",
        "Chance that an image of the class gets a higher score for it than one without it; 0.5 is guessing. "
        + OF_ONE, ALL, True,
    ),
    Figure(
        "auprc", "AUPRC",
        "Average precision over the recall, as the threshold falls; guessing gives the share of the class. "
        + OF_ONE, ALL, True,
    ),
    Figure(
        "sensitivity_at_specificity", f"Sensitivity at {weighted.SPECIFICITY:.0%} specificity",
        "Largest share of the images of the class that a threshold finds while it spares at least "
        "{specificity} of the others. " + OF_ONE, ALL, True, True,
    ),
    Figure(
        "cohen_kappa", "Cohen’s kappa",
        "Agreement with the labels beyond what the class shares alone would give; 0 is chance, 1 perfect.",
        SINGLE,
    ),
    Figure(
        "brier", "Brier score",
        "Mean squared error of the probabilities: of the class from 0 to 1; overall summed over the classes, "
        "from 0 to 2, where an image has one of several; lower is better.",
        ALL, True, False, "minimize",
    ),
    Figure(
        "ece", "Expected calibration error",
        f"Mean distance of confidence and outcome over {weighted.BINS} bins of confidence, weighted by the "
        "images in them, of the predicted class; of each class, and so their mean where an image may have "
        "several, of the class’s own score; 0 is perfectly calibrated, chance alone gives a little more.",
        ALL, True, False, "minimize",
    ),
)  # fmt: skip


def columns(kind: Kind, classes: int) -> list[Column]:
    """Metrics of a kind of task: overall first, then by class."""
    overall: list[Column] = [(f.name, None) for f in FIGURES if kind in f.overall]
    return overall + [(f.name, k) for k in range(classes) for f in FIGURES if f.per_class]


class Reading:
    """Labels and scores of one run, prepared for many weightings.

    Args:
        kind: of the task.
        label: (n,) class index, or (n, K) 0 or 1 for ``multilabel``.
        scores: (n, K) probabilities.
    """

    def __init__(self, kind: Kind, label: np.ndarray, scores: np.ndarray) -> None:
        classes = range(scores.shape[1])
        self.kind = kind
        self.scores = scores
        self.actual = np.stack([members(label, k) for k in classes], axis=1)
        self.predicted = np.stack([findings(label, scores, k) for k in classes], axis=1)
        self.ranked = [weighted.RankedClass(self.actual[:, k], scores[:, k]) for k in classes]

    def figures(self, weight: np.ndarray) -> np.ndarray:
        """(B, M) metrics in the order of ``columns``, for (B, n) weights; NaN where not defined."""
        classes = self.scores.shape[1]
        values: dict[Column, np.ndarray] = {}
        for k in range(classes):
            values |= {(name, k): value for name, value in self._of_class(k, weight).items()}
        counts = weighted.counts(self.actual, self.predicted, weight)
        for name in ("precision", "recall", "f1"):
            values |= {(name, k): getattr(counts, name)[:, k] for k in range(classes)}
        for figure in FIGURES:
            if figure.per_class and self.kind in figure.overall:
                averaged = [1] if self.kind == "binary" else range(classes)
                values[figure.name, None] = np.mean([values[figure.name, k] for k in averaged], axis=0)
        values["macro_f1", None] = counts.f1.mean(1)
        if self.kind != "multilabel":
            for name in ("accuracy", "balanced_accuracy", "cohen_kappa"):
                values[name, None] = getattr(counts, name)
            values["ece", None] = weighted.calibration_error(*self.top_label(), weight)
        if self.kind == "multiclass":
            values["brier", None] = weighted.brier(self.actual, self.scores, weight)
        return np.stack([values[c] for c in columns(self.kind, classes)], axis=1)

    def _of_class(self, k: int, weight: np.ndarray) -> dict[str, np.ndarray]:
        actual, score = self.actual[:, k], self.scores[:, k]
        return {
            **self.ranked[k].areas(weight),
            "brier": weighted.brier(actual, score, weight),
            "ece": weighted.calibration_error(score, actual, weight),
        }

    def top_label(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) confidence of the predicted class, and its correctness; of single-label tasks."""
        top = self.scores.argmax(1)[:, None]
        return np.take_along_axis(self.scores, top, 1)[:, 0], np.take_along_axis(self.actual, top, 1)[:, 0]
