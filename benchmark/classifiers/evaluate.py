"""What classifiers of real images say of synthetic images, and of the training images they get wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.classifiers import network as networks
from benchmark.classifiers import quality
from benchmark.classifiers.predict import in_batches
from benchmark.classifiers.train import Setting, predict
from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    from torch import nn

    from benchmark.classifiers.heads import Classifier

WEIGHTS, ABOUT = "network.safetensors", "network.json"


@dataclass(frozen=True)
class Evaluator:
    """A trained classifier, how it was trained, and the mean and deviation of the pixels that it learned."""

    network: Classifier
    setting: Setting
    normal: tuple[float, float]

    def scores(self, images: ImageSet) -> np.ndarray:
        """(N, K) probabilities of the predicted classes."""
        return predict(self.network, images, self.setting, self.normal)


def keep(network: nn.Module, normal: tuple[float, float], folder: Path) -> None:
    """Write a network and its normalization, for the stages that ask it."""
    networks.save(network, folder / WEIGHTS)
    (folder / ABOUT).write_text(json.dumps({"normal": list(normal)}) + "\n", encoding="utf-8")


def read(folder: Path, setting: Setting, n_classes: int, *, multilabel: bool) -> Evaluator:
    """The judge that ``keep`` wrote.

    Args:
        setting: of its training.
        n_classes: outputs, those of classes that only a label policy has made included.
        several: whether an image may have several classes.
    """
    mean, std = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["normal"]
    network = networks.load(setting.classifier, n_classes, folder / WEIGHTS, multilabel=multilabel)
    return Evaluator(network.to(setting.device), setting, (mean, std))


def mean_scores(evaluators: Sequence[Evaluator], images: ImageSet) -> np.ndarray:
    """(N, K) probabilities, the mean over the judges."""
    return np.mean([evaluator.scores(images) for evaluator in evaluators], axis=0)


# Figure 20 of Lan 2023: the plane, the boundary in it, and the images near it.


@dataclass(frozen=True, eq=False)
class Plane:
    """Images in the plane of the first two principal components of their features.

    Attributes:
        points: (N, 2) coordinates.
        slope: (K, 2), and ``offset`` (K,): the classifier's own logits in the plane, ``slope z + offset``.
        explained: share of the features' variance that the plane holds, 0 to 1.
    """

    points: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    explained: float

    def logits(self, points: np.ndarray) -> np.ndarray:
        """(..., K) logits at points (..., 2) of the plane."""
        return np.asarray(points @ self.slope.T + self.offset)


def features(evaluator: Evaluator, images: ImageSet) -> np.ndarray:
    """(N, D) float32 features before the last layer."""
    network, setting = evaluator.network.eval(), evaluator.setting
    parts = in_batches(
        lambda batch: networks.penultimate(network, batch).float(),
        images,
        evaluator.normal,
        device=setting.device,
        precision=setting.precision,
    )
    return np.concatenate(list(parts))


def last_layer(evaluator: Evaluator) -> tuple[np.ndarray, np.ndarray]:
    """(K, D) weights and (K,) offsets of the logits of the predicted classes.

    A single logit of the second of two classes stands for the logits 0 and z.
    """
    layer = networks.last_layer(evaluator.network)
    weight = layer.weight.detach().float().cpu().numpy()
    offset = np.zeros(len(weight)) if layer.bias is None else layer.bias.detach().float().cpu().numpy()
    if len(weight) == 1:
        weight, offset = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], offset])
    return weight[: evaluator.setting.predicted], offset[: evaluator.setting.predicted]


def balanced_sample(label: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Positions of as many images of every class, drawn at random: ``most``, or what the rarest class has."""
    rng = np.random.default_rng([seed, 31])
    classes, counts = np.unique(label, return_counts=True)
    each = min(most, int(counts.min()))
    return np.concatenate([rng.permutation(np.flatnonzero(label == k))[:each] for k in classes])


def plane(found: np.ndarray, weight: np.ndarray, offset: np.ndarray, sample: np.ndarray) -> Plane:
    """The first two principal components of features, and a linear classifier restricted to their plane.

    Features are ``mu + P z`` in the plane, so the logits ``W f + b`` become ``(W P) z + (W mu + b)``.

    Args:
        found: (N, D) features, D >= 2.
        weight: (K, D). offset: (K,).
        sample: positions of the images, at least 2, whose components they are.
    Source: Lan 2023, section 4.5, which does not say how the boundary is scaled down; this one is the
        classifier's own.
    """
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full").fit(found[sample].astype(np.float64))
    explained = float(np.nan_to_num(pca.explained_variance_ratio_).sum())
    slope, shift = weight @ pca.components_.T, weight @ pca.mean_ + offset
    return Plane(pca.transform(found), slope, shift, explained)


def boundary_distance(where: Plane, predicted: np.ndarray) -> np.ndarray:
    """(N,) distance of every image to the boundary of its predicted class with the nearest other class.

    The boundary of classes p and j is the line on which their logits are equal; the distance to it is
    ``|d z + e| / |d|`` with ``d`` and ``e`` the differences of slope and offset. Infinite where the plane
    does not tell p from any other class.

    Args:
        predicted: (N,) class index.
    """
    slope = where.slope[predicted][:, None] - where.slope[None]
    offset = where.offset[predicted][:, None] - where.offset[None]
    norm = np.linalg.norm(slope, axis=2)
    gap = np.abs(np.einsum("nkd,nd->nk", slope, where.points) + offset)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(norm > 0, gap / norm, np.inf)
    return np.asarray(distance.min(1))


def mean_distance(distance: np.ndarray) -> float:
    """The mean of the finite distances; 0 where there is none."""
    finite = distance[np.isfinite(distance)]
    return float(finite.mean()) if len(finite) else 0.0


def near_misses(label: np.ndarray, predicted: np.ndarray, distance: np.ndarray, limit: float) -> np.ndarray:
    """(N,) whether an image is misclassified and nearer to the boundary than a limit, the mean distance.

    Source: Lan 2023, section 4.5.
    """
    return (label != predicted) & (distance < limit)


# The quality filter and the GAN-test.


def youden(label: np.ndarray, score: np.ndarray) -> float:
    """The threshold with the largest sensitivity + specificity - 1; the highest of several.

    Args:
        label: (N,) 0 or 1, both present.
        score: (N,) higher for 1.
    Source: Youden 1950, Index for rating diagnostic tests.
    """
    from sklearn.metrics import roc_curve

    false, true, threshold = roc_curve(label, score, drop_intermediate=False)
    return float(threshold[1:][np.argmax((true - false)[1:])])  # the first one is infinite


def thresholds(val: ImageSet, scores: np.ndarray, wanted: Sequence[str]) -> dict[str, float]:
    """Youden's threshold on ``val`` of every class that is asked for, where images have several.

    Raises:
        DataError: ``val`` has no image of a class, or no image without it.
    """
    found = {}
    for k, name in enumerate(val.classes):
        if name not in wanted:
            continue
        if not 0 < val.label[:, k].sum() < len(val):
            raise DataError(
                f"mix.filter: class '{name}'",
                f"val has {int(val.label[:, k].sum())} images with it among {len(val)}, so no threshold",
                "Enlarge val, or leave the filter out.",
            )
        found[name] = youden(val.label[:, k], scores[:, k])
    return found


def plausible(asked: np.ndarray, scores: np.ndarray, least: np.ndarray | None = None) -> np.ndarray:
    """(N,) whether an image passes for what was asked for.

    Args:
        asked: (N,) class index.
        scores: (N, K) mean probabilities.
        least: (K,) thresholds where an image may have several classes; None where the most probable class
            must be the one that was asked for.
    """
    if least is None:
        return np.asarray(scores.argmax(1) == asked)
    return np.asarray(scores[np.arange(len(asked)), asked] >= least[asked])


def by_class(label: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Recall of every class that there is, or its AUROC where an image may have several.

    Args:
        label: (N,) class index, or (N, K) 1 for every class of an image.
        scores: (N, K) probabilities.
    """
    from sklearn.metrics import roc_auc_score

    found = {}
    for k, name in enumerate(classes):
        if label.ndim == 1 and (label == k).any():
            found[name] = float((scores[label == k].argmax(1) == k).mean())
        elif label.ndim == 2 and 0 < label[:, k].sum() < len(label):
            found[name] = float(roc_auc_score(label[:, k], scores[:, k]))
    return found


def values(
    evaluators: Sequence[Evaluator], images: ImageSet, metric: str
) -> tuple[list[float], dict[str, float]]:
    """A metric of every judge on some images, and the mean figure of every class (``by_class``).

    Returns:
        An empty list where the metric is not defined for these labels.
    """
    every = [evaluator.scores(images) for evaluator in evaluators]
    each = [quality.values(images.label, scores).get(metric) for scores in every]
    classes = [by_class(images.label, scores, images.classes) for scores in every]
    means = {name: float(np.mean([c[name] for c in classes])) for name in classes[0]}
    return [float(value) for value in each if value is not None], means
