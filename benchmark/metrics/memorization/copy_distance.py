"""The distance of the memorization gate: to training images, relative to images of other patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.metrics.extractor.features import features

CANDIDATES = 5  # nearest training images that are compared pixel by pixel
NEIGHBORS = 5  # nearest held-out images, which measure the density of this region
PIXELS, SHIFT = 32, 1  # pixels are compared at this size, over shifts of -1 to 1 pixel per axis
BLOCK = 1024  # rows compared at once


@dataclass(frozen=True, eq=False)
class Embedded:
    """Images as (N, D) features of length 1 and as (N, 32, 32) float32 thumbnails, with their patients."""

    features: np.ndarray
    thumbnails: np.ndarray
    patients: np.ndarray | None = None

    @classmethod
    def of(
        cls, image: np.ndarray, extractor: str, device: str, patients: np.ndarray | None = None
    ) -> Embedded:
        """Embed (N, H, W) uint8 images."""
        raw = features(image, extractor, device)
        unit = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
        return cls(unit, _thumbnails(image), patients)


@dataclass(frozen=True, eq=False)
class CopyDistance:
    """The distance ``sqrt(p f)`` of images to the training images; see ``memorization``."""

    train: Embedded
    heldout: Embedded
    extractor: str
    device: str

    @classmethod
    def of(cls, train: ImageSet, heldout: ImageSet, extractor: str, device: str) -> CopyDistance:
        """Embed training and held-out images."""
        a, b = (Embedded.of(s.image, extractor, device, s.patient_id) for s in (train, heldout))
        return cls(a, b, extractor, device)

    def __call__(self, images: np.ndarray, source: np.ndarray | None = None) -> np.ndarray:
        """Return the (N,) distances of (N, H, W) uint8 images.

        Args:
            source: (N,) row of a training image to compare each with beside the nearest ones; -1 for none.
        """
        return self._distances(Embedded.of(images, self.extractor, self.device), source)

    def heldout_distances(self) -> np.ndarray:
        """Return the (N,) distances of the held-out images, compared with other patients alone."""
        return self._distances(self.heldout)

    def _distances(self, images: Embedded, source: np.ndarray | None = None) -> np.ndarray:
        parts = []
        for start in range(0, len(images.features), BLOCK):
            rows = slice(start, start + BLOCK)
            to_train = np.maximum(1 - images.features[rows] @ self.train.features.T, 0)
            to_real = np.maximum(1 - images.features[rows] @ self.heldout.features.T, 0)
            if images.patients is not None:
                to_real[images.patients[rows, None] == images.patients[None]] = np.inf
            ratio = to_train.min(1) / np.maximum(_nearest_mean(to_real), 1e-9)
            nearest = np.argpartition(to_train, range(min(CANDIDATES, to_train.shape[1])), 1)[:, :CANDIDATES]
            if source is not None:
                named = np.where(source[rows] < 0, nearest[:, 0], source[rows])
                nearest = np.concatenate([nearest, named[:, None]], 1)
            pixels = pixel_distance(images.thumbnails[rows], self.train.thumbnails[nearest])
            parts.append(np.sqrt(ratio * pixels))
        return np.concatenate(parts)


def _nearest_mean(distances: np.ndarray) -> np.ndarray:
    """Return the mean of the 5 smallest finite distances of each row (of all, if there are fewer)."""
    nearest = np.sort(distances, 1)[:, :NEIGHBORS]
    finite = np.isfinite(nearest)
    return np.where(finite, nearest, 0).sum(1) / finite.sum(1)


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """Resize (N, H, W) uint8 to (N, 32, 32) float32."""
    import torch

    from benchmark.metrics.extractor.views import resize

    blocks = (np.array(images[i : i + BLOCK]) for i in range(0, len(images), BLOCK))
    return torch.cat([resize(torch.from_numpy(block).float(), PIXELS) for block in blocks]).numpy()


def pixel_distance(images: np.ndarray, candidates: np.ndarray, shift: int = SHIFT) -> np.ndarray:
    """Return one minus the best correlation of each image's inner part with any candidate, over small shifts.

    Args:
        images: (N, S, S) float.
        candidates: (N, K, S, S) float.
        shift: pixels per axis.
    Returns:
        (N,) from 0 (the same except for brightness and contrast) to 2.
    """
    inner = images.shape[1] - 2 * shift
    middle = _standardized(images[:, None, shift : shift + inner, shift : shift + inner])
    best = np.full(len(images), -1.0)
    for dy in range(2 * shift + 1):
        for dx in range(2 * shift + 1):
            moved = _standardized(candidates[:, :, dy : dy + inner, dx : dx + inner])
            best = np.maximum(best, np.einsum("nip,nkp->nk", middle, moved).max(1))
    return np.maximum(1 - best, 0)


def _standardized(images: np.ndarray) -> np.ndarray:
    """Convert (N, K, H, W) to (N, K, H * W) of mean 0 and length 1 (0 for a uniform image)."""
    flat = images.reshape(*images.shape[:2], -1)
    flat = flat - flat.mean(-1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
