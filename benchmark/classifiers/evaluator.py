"""Evaluators: classifiers trained on real images alone, which score other images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.classifiers import network as networks
from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.metrics import class_metrics, metric_values
from benchmark.classifiers.predict import compute_in_batches, predict
from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    from torch import nn

    from benchmark.classifiers.heads import Classifier

WEIGHTS, META = "network.safetensors", "network.json"


@dataclass(frozen=True)
class Evaluator:
    """A trained classifier, its training, and the mean and standard deviation of its training pixels."""

    network: Classifier
    config: TrainingConfig
    normal: tuple[float, float]

    def scores(self, images: ImageSet) -> np.ndarray:
        """Return (N, K) probabilities of the predicted classes."""
        return predict(self.network, images, self.config, self.normal)

    def penultimate_features(self, images: ImageSet) -> np.ndarray:
        """Return (N, D) float32 features before the last layer."""
        body = self.network.eval().body
        parts = compute_in_batches(lambda batch: body(batch).float(), images, self.config, self.normal)
        return np.concatenate(list(parts))

    def last_layer(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (K, D) weights and (K,) offsets of the logits of the predicted classes.

        A single logit z of the second of two classes becomes the logits 0 and z.
        """
        layer = self.network.last
        weight = layer.weight.detach().float().cpu().numpy()
        offset = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().float().cpu().numpy()
        if len(weight) == 1:
            weight, offset = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], offset])
        return weight[: self.config.predicted], offset[: self.config.predicted]


def save_evaluator(network: nn.Module, normal: tuple[float, float], folder: Path) -> None:
    """Write a network and its normalization."""
    networks.save(network, folder / WEIGHTS)
    (folder / META).write_text(json.dumps({"normal": list(normal)}) + "\n", encoding="utf-8")


def load_evaluator(folder: Path, config: TrainingConfig, n_classes: int, *, multilabel: bool) -> Evaluator:
    """Read what ``save_evaluator`` wrote.

    Args:
        config: of its training.
        n_classes: number of outputs, those of classes that a label policy adds included.
    """
    mean, std = json.loads((folder / META).read_text(encoding="utf-8"))["normal"]
    network = networks.load(config.classifier, n_classes, folder / WEIGHTS, multilabel=multilabel)
    return Evaluator(network.to(config.device), config, (mean, std))


def mean_scores(evaluators: Sequence[Evaluator], images: ImageSet) -> np.ndarray:
    """Return (N, K) probabilities, the mean over the evaluators."""
    return np.mean([evaluator.scores(images) for evaluator in evaluators], axis=0)


def evaluate(
    evaluators: Sequence[Evaluator], images: ImageSet, metric: str
) -> tuple[list[float], dict[str, float]]:
    """Return a metric per evaluator, and the mean ``class_metrics`` over the evaluators.

    The list is empty if the metric is not defined for these labels.
    """
    scores = [evaluator.scores(images) for evaluator in evaluators]
    values = [metric_values(images.label, part).get(metric) for part in scores]
    classes = [class_metrics(images.label, part, images.classes) for part in scores]
    means = {name: float(np.mean([part[name] for part in classes])) for name in classes[0]}
    return [float(value) for value in values if value is not None], means
