"""One score from the similarities of all comparisons, calibrated on images that are no copies."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from benchmark.images.copies.detector import Matches

FOLDS = 20  # an image is scored on the scales of the other folds, as new images are
NARROWEST = 0.02  # of a similarity; a smaller spread is no reason to trust a comparison more
CERTAIN = 1.4  # times the largest score of images that are no copies: one image alone counts as a copy


@dataclass(frozen=True, eq=False)
class Calibration:
    """The scale of every comparison and of every group of comparisons.

    Images that are no copies have scores around 0, one in a hundred reaches 1. Whole images and parts, before
    and after alignment, are groups of their own, since searching more places finds larger similarities.

    Attributes:
        center, width: (C,) of every comparison; of every group ``group_center``, ``group_width`` (G,).
        scores: (N,) of the images that are no copies.
    """

    bounds: tuple[int, ...]
    center: np.ndarray
    width: np.ndarray
    group_center: np.ndarray
    group_width: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, similarity: np.ndarray) -> "Calibration":
        """Calibrate on (N, C) similarities of images that are no copies, such as those of other patients."""
        from benchmark.images.copies.windows import WHOLE

        half = similarity.shape[1] // 2
        bounds = (0, WHOLE, half, half + WHOLE, 2 * half)
        whole = cls._scaled(similarity, bounds)
        fold = np.arange(len(similarity)) % min(FOLDS, len(similarity))
        scores = np.zeros(len(similarity))
        for k in np.unique(fold):
            others = cls._scaled(similarity[fold != k], bounds)
            scores[fold == k] = others._score(similarity[fold == k])
        return replace(whole, scores=scores)

    @classmethod
    def _scaled(cls, similarity: np.ndarray, bounds: tuple[int, ...]) -> "Calibration":
        """Return the scales alone."""
        center = np.median(similarity, 0)
        width = np.maximum(np.quantile(similarity, 0.95, 0) - center, NARROWEST)
        groups = _groups((similarity - center) / width, bounds)
        group_center = np.median(groups, 0)
        group_width = np.maximum(np.quantile(groups, 0.985, 0) - group_center, 1e-6)
        return cls(bounds, center, width, group_center, group_width, np.zeros(0))

    def score(self, matches: Matches) -> np.ndarray:
        """Return the (N,) scores of matches; higher is more like a copy."""
        return self._score(matches.similarity)

    def _score(self, similarity: np.ndarray) -> np.ndarray:
        groups = _groups((similarity - self.center) / self.width, self.bounds)
        score: np.ndarray = ((groups - self.group_center) / self.group_width).max(1)
        return score

    def reference(self, matches: Matches) -> np.ndarray:
        """Return the (N,) rows of the references that the scores are about."""
        z = (matches.similarity - self.center) / self.width
        group = np.searchsorted(self.bounds, np.arange(z.shape[1]), side="right") - 1
        standard = (z - self.group_center[group]) / self.group_width[group]
        row: np.ndarray = matches.reference[np.arange(len(z)), standard.argmax(1)]
        return row

    @property
    def certain(self) -> float:
        """The score from which one image alone counts as a copy."""
        return float(CERTAIN * max(self.scores.max(), 1.0))


def _groups(z: np.ndarray, bounds: tuple[int, ...]) -> np.ndarray:
    return np.stack([z[:, a:b].max(1) for a, b in pairwise(bounds)], 1)
