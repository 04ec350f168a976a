"""The memorization gate: the rate of synthetic images below a calibrated distance to training images.

The distance of an image is ``sqrt(p f)``. ``f`` is its cosine distance to the nearest training image, in
the extractor's features, divided by its mean distance to the 5 nearest held-out images: a ratio, so that
images in a dense region, or typical ones, do not count as copies. ``p`` is one minus the best pixel
correlation with the 5 nearest training images, over shifts of one pixel at 32 pixels. A training image that
the generator names as an image's source is compared with it too. A share ``ALPHA`` of
held-out real images (of other patients, so none is a copy) lies below the threshold, with classes weighted
as among the synthetic images. Planted near-copies of training images measure the sensitivity; strong
augmentation (rotation by 10 degrees, scaling by half) is not detected.

Source: held-out calibration after Meehan et al. 2020, arXiv:2004.05675; the planted copies and the distance
are this suite's own, see docs/metrics.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet
from benchmark.metrics.memorization.copy_distance import CopyDistance

version = "1"
direction = "minimize"

ALPHA = 0.01  # share of held-out real images that may fall below the threshold
TOLERANCE = 5  # times the expected rate: above it, with certainty, the generator is gated
CONFIDENCE = 0.95  # of the interval, two-sided
PLANTED = 500  # near-copies that prove that the threshold catches copies
RECALL = 0.5  # the least share of planted copies to be caught; below it the gate is blind


def memorization(
    synthetic: ImageSet, train: ImageSet, heldout: ImageSet, extractor: str, device: str, seed: int
) -> dict[str, Any]:
    """Return the share of synthetic images that lie closer to a training image than real patients ever do.

    Args:
        synthetic: classes without held-out images are left out, and listed.
        train: training images of the generator.
        heldout: real images of other patients.
        extractor: a name of ``features.EXTRACTORS``.
        device: torch device.
        seed: of the planted copies.
    Returns:
        ``rate`` (0 to 1, lower is better), ``expected`` (of a generator that does not copy),
        ``threshold``, ``n`` (number of images), ``interval`` (Clopper-Pearson, 95 %), ``planted_recall``,
        ``tolerance`` (5 times expected), ``gated`` (the interval lies above the tolerance), ``blind``
        (too few planted copies are caught, so that ``gated`` false has no meaning), ``left_out``.
    Raises:
        MetricError: no training images, fewer than two held-out patients, or no synthetic image of a
            class with held-out images.
    """
    comparable = np.isin(synthetic.label, np.unique(heldout.label))
    images = synthetic.select(comparable)
    gate = calibrated(images.label, train, heldout, extractor, device, seed)
    hits = gate.hits(images.image, source_rows(images, train))
    interval, tolerance = clopper_pearson(hits, len(images)), TOLERANCE * gate.expected
    return {
        "rate": hits / len(images),
        "expected": gate.expected,
        "threshold": gate.threshold,
        "n": len(images),
        "interval": list(interval),
        "planted_recall": gate.planted_recall,
        "tolerance": tolerance,
        "gated": interval[0] > tolerance,
        "blind": gate.planted_recall < max(RECALL, tolerance),
        "left_out": {k: c for k, c in synthetic.select(~comparable).counts().items() if c},
    }


@dataclass(frozen=True, eq=False)
class Gate:
    """A threshold calibrated on real images.

    Attributes:
        threshold: of the distance; smaller is closer to a training image.
        expected: rate of images below it of a generator that does not copy.
        planted_recall: share of planted near-copies below it.
    """

    threshold: float
    expected: float
    planted_recall: float
    distance: CopyDistance

    def hits(self, images: np.ndarray, source: np.ndarray | None = None) -> int:
        """Count the (N, H, W) uint8 images below the threshold; ``source`` as for ``CopyDistance``."""
        return int((self.distance(images, source) < self.threshold).sum())


def calibrated(
    labels: np.ndarray, train: ImageSet, heldout: ImageSet, extractor: str, device: str, seed: int
) -> Gate:
    """Calibrate the gate for synthetic images of these classes; arguments as for ``memorization``.

    Args:
        labels: (N,) classes of the synthetic images, all of which have held-out images.
    """
    _check(train, heldout, len(labels))
    distance = CopyDistance.of(train, heldout, extractor, device)
    threshold, expected = calibrate(distance.heldout_distances(), class_weights(heldout.label, labels))
    copies = distance(near_copies(train.image, seed))
    return Gate(threshold, expected, float((copies < threshold).mean()), distance)


def source_rows(images: ImageSet, train: ImageSet) -> np.ndarray | None:
    """Return the (N,) row in ``train`` of each image's source, -1 where it has no source there."""
    if images.source_id is None:
        return None
    row = {name: i for i, name in enumerate(train.image_id.tolist())}
    return np.array([row.get(name, -1) for name in images.source_id.tolist()])


def _check(train: ImageSet, heldout: ImageSet, comparable: int) -> None:
    if not len(train):
        raise MetricError("memorization", "there are no training images to compare with")
    if len(heldout.patients()) < 2:
        raise MetricError(
            "memorization",
            f"{len(heldout.patients())} held-out patients, the threshold needs at least 2",
            "Give the split `test` more patients.",
        )
    if not comparable:
        raise MetricError("memorization", "no synthetic image of a class that has held-out images")


def class_weights(labels: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return weights of images, summing to 1, that give the classes their shares in ``target``."""
    n = max(labels.max(), target.max()) + 1
    have, want = np.bincount(labels, minlength=n), np.bincount(target, minlength=n)
    weights = (want / np.maximum(have, 1))[labels]
    return weights / weights.sum()


def calibrate(distance: np.ndarray, weights: np.ndarray, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the threshold, and the expected rate of images of the same distribution below it.

    The threshold is the smallest distance up to which more than ``alpha`` of the weight lies, the rate is
    that weight: a new draw is below the k-th of n values with probability k / (n + 1). With fewer than
    1 / alpha images the threshold is their minimum, and the expected rate is larger than alpha.
    """
    order = np.argsort(distance, kind="stable")
    reached = np.cumsum(weights[order])
    k = min(int(np.searchsorted(reached, alpha, side="right")), len(order) - 1)
    return float(distance[order[k]]), float(reached[k])


def clopper_pearson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of a share. Source: Clopper and Pearson 1934, Biometrika 26."""
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def near_copies(images: np.ndarray, seed: int) -> np.ndarray:
    """Return near-copies of at most 500 of (N, H, W) uint8 images: moved by up to 1/32, other gray, noise."""
    import torch

    from benchmark.metrics.extractor.views import near_copy

    rng = np.random.default_rng([seed, 7])
    chosen = rng.permutation(len(images))[:PLANTED]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    copies = near_copy(torch.from_numpy(images[chosen]).float(), generator)
    return copies.round().byte().numpy()
