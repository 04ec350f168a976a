"""The copy detector over the real images of a fold, with what calibrates it. The same for all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.copies.alterations import KINDS, altered
from benchmark.images.copies.calibration import Calibration
from benchmark.images.copies.detector import CopyDetector, Matches, Poses
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.memorization.rates import CopyRate, threshold

HELDOUT = 500  # images of other patients that calibrate the search in `train`
OTHERS = 200  # training images that calibrate the search in `test` and `reserve`
PLANTED = 20  # altered training images of each kind
ITSELF = 200  # images of a set that are compared with one another


@dataclass(frozen=True, eq=False)
class Bank:
    """A detector over real images, and the (N, C) similarities of images that are no copies of them."""

    detector: CopyDetector
    unrelated: np.ndarray


@dataclass(frozen=True, eq=False)
class RealCopies:
    """Detectors over the splits, and what calibrates them.

    Attributes:
        banks: by split: ``train``, and where they have images ``test`` (all test splits) and ``reserve``.
        heldout_label: (N,) class of the images that calibrate ``train``.
        planted: by kind, the matches of altered training images.
        itself: (N, C) similarities of held-out images with those of other patients.
    """

    banks: Mapping[str, Bank]
    heldout_label: np.ndarray
    planted: Mapping[str, Matches]
    itself: np.ndarray

    @classmethod
    def of(cls, splits: Splits, seed: int) -> "RealCopies":
        """Search for real images of other patients, and for planted copies.

        Raises:
            MetricError: no training images, or fewer than two held-out patients.
        """
        train, heldout = splits.train, spread(splits.test.to_single_label(), HELDOUT)
        _validate(train, heldout)
        detector = CopyDetector(train.image)
        banks = {"train": Bank(detector, detector.match(heldout.image).similarity)}
        others = spread(train, OTHERS)
        for name, images in _hidden(splits).items():
            own = CopyDetector(images)
            banks[name] = Bank(own, own.match(others.image).similarity)
        some = spread(heldout, ITSELF)
        itself = CopyDetector(some.image, some.patient_id).match(some.image, some.patient_id).similarity
        planted = {kind: detector.match(images) for kind, images in planted_copies(train.image, seed).items()}
        return cls(banks, heldout.label, planted, itself)

    def save(self, path: Path) -> None:
        """Write everything but the images to an NPZ file."""
        arrays = {"heldout_label": self.heldout_label, "itself": self.itself}
        for name, bank in self.banks.items():
            poses = bank.detector.poses
            arrays |= {
                f"{name}.unrelated": bank.unrelated,
                f"{name}.templates": poses.templates.numpy(),
                f"{name}.canonical": poses.canonical.numpy(),
            }
        for kind, matches in self.planted.items():
            arrays[f"planted.{kind}"] = matches.similarity
        np.savez(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path, splits: Splits) -> "RealCopies":
        """Read what ``save`` wrote for the same splits."""
        import torch

        with np.load(path) as stored:
            banks = {}
            for name, images in {"train": np.asarray(splits.train.image), **_hidden(splits)}.items():
                poses = Poses(
                    *(torch.from_numpy(stored[f"{name}.{part}"]) for part in ("templates", "canonical"))
                )
                banks[name] = Bank(CopyDetector(images, poses=poses), stored[f"{name}.unrelated"])
            planted = {}
            for kind in KINDS:
                similarity = stored[f"planted.{kind}"]
                planted[kind] = Matches(similarity, np.zeros(similarity.shape, np.int64))
            return cls(banks, stored["heldout_label"], planted, stored["itself"])

    def calibration(self, name: str) -> Calibration:
        """Return the calibration of the search in a split, or of a set with ``itself``."""
        return Calibration.of(self.itself if name == "itself" else self.banks[name].unrelated)

    def copies(self, images: np.ndarray, splits: Sequence[str]) -> dict[str, CopyRate]:
        """Return the rates of copies of images of ``splits`` among (N, H, W) uint8 images."""
        return {
            name: _rate(self.calibration(name), self.banks[name].detector.match(images)) for name in splits
        }

    def repeats(self, images: np.ndarray) -> CopyRate:
        """Return the rate of copies of one another among the first 200 of (N, H, W) uint8 images, N > 1."""
        each = np.arange(len(images[:ITSELF]))
        matches = CopyDetector(images[:ITSELF], each).match(images[:ITSELF], each)
        return _rate(self.calibration("itself"), matches)


def _rate(calibration: Calibration, matches: Matches) -> CopyRate:
    n = len(calibration.scores)
    limit, expected = threshold(calibration.scores, np.full(n, 1 / n))
    score = calibration.score(matches)
    return CopyRate.of(int((score > limit).sum()), len(score), expected)


def planted_copies(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return at most 20 of (N, H, W) uint8 images with each alteration; parts join two of them."""
    rng = np.random.default_rng([seed, 7])
    planted = {}
    for kind in KINDS:
        chosen = np.asarray(images[np.sort(rng.permutation(len(images))[:PLANTED])])
        planted[kind] = altered(kind, chosen, np.roll(chosen, 1, 0), rng)
    return planted


def spread(images: ImageSet, count: int) -> ImageSet:
    """Return at most ``count`` images, evenly spread over the set."""
    return images.select(np.unique(np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)))


def _hidden(splits: Splits) -> dict[str, np.ndarray]:
    """Return the images that no generator may see: of all test splits, and of ``reserve``."""
    test = np.concatenate([np.asarray(images.image) for images in splits.tests.values()])
    hidden = {"test": test}
    if splits.reserve is not None:
        hidden["reserve"] = np.asarray(splits.reserve.image)
    return {name: images for name, images in hidden.items() if len(images) > 1}


def _validate(train: ImageSet, heldout: ImageSet) -> None:
    if len(train) < 2:
        raise MetricError(
            "memorization", f"{len(train)} training images to compare with, it needs at least 2"
        )
    if len(heldout.patients()) < 2:
        raise MetricError(
            "memorization",
            f"{len(heldout.patients())} held-out patients, the threshold needs at least 2",
            "Give the split `test` more patients.",
        )
