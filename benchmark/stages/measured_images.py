"""Images with what the metrics of a run read of them, each input computed once for all metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.images.lazy import select
from benchmark.plugins.metric import FeatureMaps, Need
from benchmark.statistics.youden import youden_threshold

if TYPE_CHECKING:
    from benchmark.classifiers.evaluator import Evaluator

# How a note names an input that is missing; by default by its need
WORDS: dict[Need, str] = {
    "sources": "source image",
    "found_masks": "found masks: the training images have no masks to train a segmenter on",
    "segmented_classes": "found masks: the training images have no masks to train a segmenter on",
    "predicted_labels": "predicted labels: val lacks positive or negative images of a class for a threshold",
}


@dataclass(frozen=True, eq=False)
class MeasuredImages:
    """Images with what metrics read of them; what no metric needs is None.

    Attributes:
        multilabel: whether ``reported_labels`` holds every class of a single-label view of the images.
        features: (N, D) of the run's extractor.
        feature_maps: of the run's extractor.
        predictions: (E, N, K) of the evaluators.
        predicted_labels: (E, N, K) bool, by the evaluators.
        sources: (N, H, W) source image of each; see ``plugins.metric.Side``.
        found_masks: (N, H, W) by the segmenter; ``segmented_classes``: (K,) bool, those that it finds.
    """

    images: ImageSet
    multilabel: bool = False
    features: np.ndarray | None = None
    feature_maps: FeatureMaps | None = None
    predictions: np.ndarray | None = None
    predicted_labels: np.ndarray | None = None
    sources: Any = None
    found_masks: np.ndarray | None = None
    segmented_classes: np.ndarray | None = None

    def select(self, index: np.ndarray) -> MeasuredImages:
        """Return the images at these indices."""
        return replace(
            self,
            images=self.images.select(index),
            features=None if self.features is None else self.features[index],
            predictions=None if self.predictions is None else self.predictions[:, index],
            predicted_labels=None if self.predicted_labels is None else self.predicted_labels[:, index],
            sources=None if self.sources is None else select(self.sources, index),
            found_masks=None if self.found_masks is None else self.found_masks[index],
        )

    def given(self, needs: Iterable[Need]) -> dict[Need, Any]:
        """Return the inputs by need; None for what these images do not have."""
        images = self.images
        every: dict[Need, Any] = {
            "features": self.features, "feature_maps": self.feature_maps, "images": images.image,
            "labels": self.labels(), "masks": images.mask, "prompts": images.prompt, "sex": images.sex,
            "predictions": self.predictions, "predicted_labels": self.predicted_labels,
            "sources": self.sources, "found_masks": self.found_masks, "laterality": images.laterality,
            "severity": images.severity, "segmented_classes": self.segmented_classes,
        }  # fmt: skip
        return {need: every[need] for need in needs}

    def labels(self) -> np.ndarray:
        """Return (N, K) bool, every known class of each image."""
        own = np.eye(len(self.images.classes), dtype=bool)[self.images.label]
        reported = self.images.reported_labels
        return own if reported is None or not self.multilabel else own | (reported == POSITIVE)

    def missing(self, needs: Iterable[Need]) -> list[str]:
        """Return the inputs that these images lack, in the words of a note."""
        return [
            WORDS.get(need, need.replace("_", " "))
            for need, column in self.given(needs).items()
            if column is None
        ]


def source_images(images: ImageSet, train: ImageSet) -> Any:
    """Return (N, H, W), the training image that each image came from; None unless every image names one."""
    if images.source_id is None:
        return None
    row = {name: i for i, name in enumerate(train.image_id.tolist())}
    rows = np.array([row.get(name, -1) for name in images.source_id.tolist()], dtype=np.int64)
    return None if (rows < 0).any() else select(train.image, rows)


def other_patients(images: ImageSet) -> Any:
    """Return (N, H, W), for each image one of another patient with its class; None where a class has none.

    Sorted by patient, the image half of the class further on is taken, and the next ones while the patient
    is the same: images of one class get different partners.
    """
    partner = np.zeros(len(images), dtype=np.int64)
    for k in np.unique(images.label):
        rows = np.flatnonzero(images.label == k)
        rows = rows[np.argsort(images.patient_id[rows], kind="stable")]
        patient = images.patient_id[rows]
        for i, row in enumerate(rows):
            others = (i + len(rows) // 2 + np.arange(len(rows))) % len(rows)
            others = others[patient[others] != patient[i]]
            if not len(others):
                return None
            partner[row] = rows[others[0]]
    return select(images.image, partner)


def predicted_labels(scores: np.ndarray, networks: Sequence[Evaluator], val: ImageSet) -> np.ndarray | None:
    """Return (E, N, K) bool, the classes that each evaluator sees; see ``plugins.metric.Side``.

    None where *val* lacks positive or negative images of a class of a multi-label task.

    Args:
        scores: (E, N, K) probabilities of the images.
        val: real images that give the thresholds of a multi-label task.
    """
    if not val.multilabel:
        return np.eye(scores.shape[2], dtype=bool)[scores.argmax(2)]
    if (val.label.min(0) == val.label.max(0)).any():
        return None
    thresholds = [
        [youden_threshold(truth, own) for truth, own in zip(val.label.T, network.scores(val).T, strict=True)]
        for network in networks
    ]
    seen: np.ndarray = scores >= np.array(thresholds)[:, None]
    return seen
