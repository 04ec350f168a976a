"""Misclassified images near the decision boundary (Lan 2023, section 4.5 and Figure 20)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class FeaturePlane:
    """Images in the plane of the first two principal components of their features.

    Attributes:
        points: (N, 2) coordinates.
        slope, offset: (K, 2) and (K,): in the plane, the classifier's logits are ``slope z + offset``.
        explained: share of the features' variance in the plane, 0 to 1.
    """

    points: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    explained: float

    def logits(self, points: np.ndarray) -> np.ndarray:
        """Return (..., K) logits at points (..., 2) of the plane."""
        return np.asarray(points @ self.slope.T + self.offset)


def balanced_sample(label: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Draw positions of equally many images per class: ``most``, or the size of the rarest class."""
    rng = np.random.default_rng([seed, 31])
    classes, counts = np.unique(label, return_counts=True)
    each = min(most, int(counts.min()))
    return np.concatenate([rng.permutation(np.flatnonzero(label == k))[:each] for k in classes])


def fit_plane(
    features: np.ndarray, weight: np.ndarray, offset: np.ndarray, sample: np.ndarray
) -> FeaturePlane:
    """Project features on two principal components, and restrict a linear classifier to their plane.

    Features are ``mu + P z`` in the plane, so the logits ``W f + b`` become ``(W P) z + (W mu + b)``.

    Args:
        features: (N, D), D >= 2.
        weight, offset: (K, D) and (K,).
        sample: positions of the images, at least 2, that define the components.
    Source: Lan 2023, section 4.5, which does not state how the boundary is projected; here it is the
        classifier's own.
    """
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full").fit(features[sample].astype(np.float64))
    explained = float(np.nan_to_num(pca.explained_variance_ratio_).sum())
    slope, shift = weight @ pca.components_.T, weight @ pca.mean_ + offset
    return FeaturePlane(pca.transform(features), slope, shift, explained)


def boundary_distance(plane: FeaturePlane, predicted: np.ndarray) -> np.ndarray:
    """Return the (N,) distances of images to the nearest boundary of their predicted class.

    The boundary of classes p and j is the line on which their logits are equal; the distance to it is
    ``|d z + e| / |d|`` with ``d`` and ``e`` the differences of slope and offset. Infinite where the plane
    does not separate p from any other class.

    Args:
        predicted: (N,) class index.
    """
    slope = plane.slope[predicted][:, None] - plane.slope[None]
    offset = plane.offset[predicted][:, None] - plane.offset[None]
    norm = np.linalg.norm(slope, axis=2)
    gap = np.abs(np.einsum("nkd,nd->nk", slope, plane.points) + offset)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(norm > 0, gap / norm, np.inf)
    return np.asarray(distance.min(1))


def mean_distance(distance: np.ndarray) -> float:
    """Return the mean of the finite distances; 0 if there is none."""
    finite = distance[np.isfinite(distance)]
    return float(finite.mean()) if len(finite) else 0.0


def near_misses(label: np.ndarray, predicted: np.ndarray, distance: np.ndarray, limit: float) -> np.ndarray:
    """Return (N,) whether an image is misclassified and nearer to the boundary than a limit.

    Source: Lan 2023, section 4.5, where the limit is the mean distance.
    """
    return (label != predicted) & (distance < limit)
