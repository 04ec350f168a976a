"""Does a generator copy its training images? A nearest-neighbor rate against a calibrated threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.image_set import ImageSet
from benchmark.metrics.features import features

version = "1"
direction = "minimize"

ALPHA = 0.01  # share of held-out real images that may fall below the threshold
TOLERANCE = 5  # times the expected rate: above it, with certainty, the generator is gated
CONFIDENCE = 0.95  # of the interval, two-sided
CANDIDATES = 5  # nearest training images that are compared pixel by pixel
NEIGHBORS = 5  # nearest held-out images that say how dense this region is
PIXELS, SHIFT = 32, 1  # pixels are compared at this size, over shifts of -1 to 1 pixel per axis
PLANTED = 500  # near-copies made to prove that the threshold catches copies
RECALL = 0.5  # the least share of planted copies to be caught; below it the gate is blind
BLOCK = 1024  # rows compared at once


def memorization(
    synthetic: ImageSet, train: ImageSet, heldout: ImageSet, extractor: str, device: str, seed: int
) -> dict[str, Any]:
    """Share of synthetic images that lie closer to a training image than real patients ever do.

    The statistic of an image is ``sqrt(p f)``. ``f`` is its cosine distance to the nearest training
    image, in the extractor's features, over its mean distance to the 5 nearest held-out images: a
    ratio, so that images in a dense region, or typical ones, are not taken for copies. ``p`` is one
    minus the best pixel correlation with the 5 nearest training images, over shifts of one pixel at
    32 pixels. The threshold is the value that a share ``alpha`` of held-out real images stays below
    (other patients, so none is a copy), classes weighted as among the synthetic images.

    Near-copies of training images are planted: ``planted_recall`` says which share of them the
    threshold catches. Strong augmentation (turned by 10 degrees, scaled by half) is beyond its sight.

    Args:
        synthetic: images to judge; classes without held-out images are left out, and named.
        train: what the generator learned from.
        heldout: real images of other patients.
        extractor: a name of ``features.EXTRACTORS``.
        device: torch device.
        seed: of the planted copies.
    Returns:
        ``rate`` (0 to 1, lower is better), ``expected`` (of a generator that does not copy),
        ``threshold``, ``n`` (images judged), ``interval`` (Clopper-Pearson, 95 %), ``planted_recall``,
        ``tolerance`` (5 times expected), ``gated`` (the interval lies above the tolerance), ``blind``
        (too few planted copies are caught: ``gated`` being false then means nothing), ``left_out``.
    Raises:
        MetricError: no training images, fewer than two held-out patients, or no synthetic image of a
            class with held-out images.
    Source: held-out calibration after Meehan et al. 2020, arXiv:2004.05675; the planted copies and the
        statistic are this suite's own, see docs/metrics.md.
    """
    judged = np.isin(synthetic.label, np.unique(heldout.label))
    kept = synthetic.select(judged)
    gate = calibrated(kept.label, train, heldout, extractor, device, seed)
    below = gate.hits(kept.image)
    rate = below / len(kept)
    interval, tolerance = clopper_pearson(below, len(kept)), TOLERANCE * gate.expected
    return {
        "rate": rate,
        "expected": gate.expected,
        "threshold": gate.threshold,
        "n": len(kept),
        "interval": list(interval),
        "planted_recall": gate.planted_recall,
        "tolerance": tolerance,
        "gated": interval[0] > tolerance,
        "blind": gate.planted_recall < max(RECALL, tolerance),
        "left_out": {k: c for k, c in synthetic.select(~judged).counts().items() if c},
    }


@dataclass(frozen=True, eq=False)
class Gate:
    """A threshold that was calibrated on real images, and what it does to planted copies.

    Attributes:
        threshold: of the statistic; smaller is closer to a training image.
        expected: rate of images below it of a generator that does not copy.
        planted_recall: share of planted near-copies below it.
    """

    threshold: float
    expected: float
    planted_recall: float
    space: _Space

    def hits(self, images: np.ndarray) -> int:
        """How many of (N, H, W) uint8 images lie below the threshold."""
        return int((self.space.look(images) < self.threshold).sum())


def calibrated(
    labels: np.ndarray, train: ImageSet, heldout: ImageSet, extractor: str, device: str, seed: int
) -> Gate:
    """The gate for synthetic images of these classes; see ``memorization``, which says what the rest is.

    Args:
        labels: (N,) classes of the synthetic images, all of which have held-out images.
    """
    _check(train, heldout, len(labels))
    space = _Space.of(train, heldout, extractor, device)
    threshold, expected = calibrate(
        space.statistic(space.heldout.images, space.heldout.features, heldout.patient_id),
        class_weights(heldout.label, labels),
    )
    copies = space.look(near_copies(train.image, seed))
    return Gate(threshold, expected, float((copies < threshold).mean()), space)


def _check(train: ImageSet, heldout: ImageSet, judged: int) -> None:
    if not len(train):
        raise MetricError("memorization", "there are no training images to compare with")
    if len(heldout.patients()) < 2:
        raise MetricError(
            "memorization",
            f"{len(heldout.patients())} held-out patients, the threshold needs at least 2",
            "Give the split `test` more patients.",
        )
    if not judged:
        raise MetricError("memorization", "no synthetic image of a class that has held-out images")


def class_weights(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights of rows, summing to 1, that give the classes the shares that they have in ``wanted``."""
    n = max(labels.max(), wanted.max()) + 1
    have, want = np.bincount(labels, minlength=n), np.bincount(wanted, minlength=n)
    weights = (want / np.maximum(have, 1))[labels]
    return weights / weights.sum()


def calibrate(statistic: np.ndarray, weights: np.ndarray, alpha: float = ALPHA) -> tuple[float, float]:
    """The threshold, and the rate to expect of images that are distributed like these.

    Returns:
        The smallest statistic up to which more than ``alpha`` of the weight lies, and that weight: a
        new draw is below the k-th of n values with probability k / (n + 1). With fewer than 1 / alpha
        images the threshold is their minimum, and the expected rate is larger than alpha.
    """
    order = np.argsort(statistic, kind="stable")
    reached = np.cumsum(weights[order])
    k = int(np.searchsorted(reached, alpha, side="right"))
    k = min(k, len(order) - 1)
    return float(statistic[order[k]]), float(reached[k])


def clopper_pearson(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a share. Source: Clopper and Pearson 1934, Biometrika 26."""
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def near_copies(images: np.ndarray, seed: int) -> np.ndarray:
    """At most 500 of (N, H, W) uint8 images, each moved by up to 1/32, brighter or darker, with noise."""
    import torch

    from benchmark.metrics.extractor.views import near_copy

    rng = np.random.default_rng([seed, 7])
    chosen = rng.permutation(len(images))[:PLANTED]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    copies = near_copy(torch.from_numpy(images[chosen]).float(), generator)
    return copies.round().byte().numpy()


@dataclass(frozen=True, eq=False)
class _Side:
    """Real images, once as features of length 1 and once as small pictures."""

    features: np.ndarray  # (N, D)
    images: np.ndarray  # (N, 32, 32) float32
    patients: np.ndarray  # (N,)


@dataclass(frozen=True, eq=False)
class _Space:
    """Where images are compared with training and held-out images."""

    train: _Side
    heldout: _Side
    extractor: str
    device: str

    @classmethod
    def of(cls, train: ImageSet, heldout: ImageSet, extractor: str, device: str) -> _Space:
        def side(images: ImageSet) -> _Side:
            unit = _unit_features(images.image, extractor, device)
            return _Side(unit, _small(images.image), images.patient_id)

        return cls(side(train), side(heldout), extractor, device)

    def look(self, images: np.ndarray) -> np.ndarray:
        """The statistic of (N, H, W) uint8 images."""
        return self.statistic(_small(images), _unit_features(images, self.extractor, self.device))

    def statistic(
        self, images: np.ndarray, unit: np.ndarray, patients: np.ndarray | None = None
    ) -> np.ndarray:
        """``sqrt(p f)`` of the docstring above; held-out images of the own patient do not count."""
        parts = []
        for start in range(0, len(unit), BLOCK):
            rows = slice(start, start + BLOCK)
            to_train = np.maximum(1 - unit[rows] @ self.train.features.T, 0)
            to_real = np.maximum(1 - unit[rows] @ self.heldout.features.T, 0)
            if patients is not None:
                to_real[patients[rows, None] == self.heldout.patients[None]] = np.inf
            ratio = to_train.min(1) / np.maximum(_nearest_mean(to_real), 1e-9)
            nearest = np.argpartition(to_train, range(min(CANDIDATES, to_train.shape[1])), 1)[:, :CANDIDATES]
            parts.append(np.sqrt(ratio * pixel_distance(images[rows], self.train.images[nearest])))
        return np.concatenate(parts)


def _nearest_mean(distances: np.ndarray) -> np.ndarray:
    """Mean of the 5 smallest finite distances of each row (of all, where there are fewer)."""
    nearest = np.sort(distances, 1)[:, :NEIGHBORS]
    there = np.isfinite(nearest)
    return np.where(there, nearest, 0).sum(1) / there.sum(1)


def _unit_features(images: np.ndarray, extractor: str, device: str) -> np.ndarray:
    found = features(images, extractor, device)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)


def _small(images: np.ndarray) -> np.ndarray:
    """(N, H, W) uint8 to (N, 32, 32) float32."""
    import torch

    from benchmark.metrics.extractor.views import resize

    parts = [
        resize(torch.from_numpy(np.array(images[i : i + BLOCK])).float(), PIXELS)
        for i in range(0, len(images), BLOCK)
    ]
    return torch.cat(parts).numpy()


def pixel_distance(images: np.ndarray, candidates: np.ndarray, shift: int = SHIFT) -> np.ndarray:
    """One minus the best correlation of the images' inner part with any candidate, over small shifts.

    Args:
        images: (N, S, S) float.
        candidates: (N, K, S, S) float.
        shift: pixels per axis.
    Returns:
        (N,) from 0 (the same but for brightness and contrast) to 2.
    """
    inner = images.shape[1] - 2 * shift
    middle = _standardized(images[:, None, shift : shift + inner, shift : shift + inner])
    best = np.full(len(images), -1.0)
    for dy in range(2 * shift + 1):
        for dx in range(2 * shift + 1):
            moved = _standardized(candidates[:, :, dy : dy + inner, dx : dx + inner])
            best = np.maximum(best, np.einsum("nip,nkp->nk", middle, moved).max(1))
    return np.maximum(1 - best, 0)


def _standardized(pictures: np.ndarray) -> np.ndarray:
    """(N, K, H, W) to (N, K, H * W) of mean 0 and length 1 (0 for a flat picture)."""
    flat = pictures.reshape(*pictures.shape[:2], -1)
    flat = flat - flat.mean(-1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
