"""The search for copies of a set of real images, calibrated on images that are no copies of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.images.copies.calibration import Calibration
from benchmark.images.copies.detector import CopyDetector, Matches
from benchmark.images.copies.model import CopyModel
from benchmark.images.copies.rates import CopyRate, threshold
from benchmark.images.image_set import ImageSet

DOUBTFUL = 2.0  # score of a real image of another patient; the largest of 2,600 phantoms has 1.74


@dataclass(frozen=True, eq=False)
class Bank:
    """A detector over real images, and the matches of images that are no copies of them."""

    detector: CopyDetector
    unrelated: Matches

    @classmethod
    def of(cls, images: np.ndarray, unrelated: np.ndarray, model: CopyModel) -> "Bank":
        """Prepare the search in (N, H, W) uint8 images; ``unrelated`` ones are no copies of them."""
        detector = CopyDetector(images, model=model)
        return cls(detector, detector.match(unrelated))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything but images and model as arrays by name."""
        unrelated = {f"unrelated.{part}": array for part, array in vars(self.unrelated).items()}
        return unrelated | {"poses": self.detector.poses}

    @classmethod
    def of_arrays(cls, stored: Mapping[str, np.ndarray], images: np.ndarray, model: CopyModel) -> "Bank":
        """Return the search whose ``arrays`` are stored, in the same images."""
        detector = CopyDetector(images, model=model, poses=stored["poses"])
        return cls(detector, Matches(stored["unrelated.similarity"], stored["unrelated.reference"]))

    @property
    def calibration(self) -> Calibration:
        """The calibration of the search."""
        return Calibration.of(self.unrelated.similarity)

    def doubtful(self) -> list[tuple[int, int, float]]:
        """Return the unrelated images that look like copies: row, row of the reference, score."""
        scores, reference = self.calibration.scores, self.calibration.reference(self.unrelated)
        return [(int(k), int(reference[k]), float(scores[k])) for k in np.flatnonzero(scores > DOUBTFUL)]

    def copies(self, images: np.ndarray) -> CopyRate:
        """Return the rate of copies among (N, H, W) uint8 images."""
        return self.copies_of(self.calibration.score(self.detector.match(images)))

    def copies_of(self, score: np.ndarray) -> CopyRate:
        """Return the rate of copies among images of these (N,) scores."""
        limit, expected = self.limit()
        return CopyRate.of(int((score > limit).sum()), len(score), expected)

    def limit(self) -> tuple[float, float]:
        """Return the score above which an image counts as a copy, and the rate of other images above it."""
        scores = self.calibration.scores
        return threshold(scores, np.full(len(scores), 1 / len(scores)))


def part_of(stored: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with ``name`` and a dot, without that."""
    return {key.removeprefix(f"{name}."): a for key, a in stored.items() if key.startswith(f"{name}.")}


def drawn(images: ImageSet, count: int) -> ImageSet:
    """Return at most ``count`` images, drawn by the content of all, so that no generator knows which."""
    rng = np.random.default_rng(int(images.content_hash()[:16], 16))
    return images.select(np.sort(rng.permutation(len(images))[:count]))


def spread(images: ImageSet, count: int) -> ImageSet:
    """Return at most ``count`` images, evenly spread over the set."""
    return images.select(np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)))
