"""The copy detector over the real images of a fold, with what calibrates it. The same for all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import MetricError
from benchmark.images.copies.alterations import KINDS, altered
from benchmark.images.copies.bank import Bank, part_of, spread
from benchmark.images.copies.calibration import Calibration
from benchmark.images.copies.detector import CopyDetector, Matches
from benchmark.images.copies.model import CopyModel
from benchmark.images.copies.proximity import Proximity
from benchmark.images.copies.rates import CopyRate
from benchmark.images.image_set import ImageSet, Splits

HELDOUT = 500  # images of other patients that calibrate the search in `train`
OTHERS = 200  # training images that calibrate the search in `test` and `reserve`
PLANTED = 20  # altered training images of each kind
ITSELF = 200  # images of a set that are compared with one another


@dataclass(frozen=True, eq=False)
class RealCopies:
    """Detectors over the splits, and what calibrates them.

    Attributes:
        banks: by split: ``train``, and where they have images ``test`` (all test splits) and ``reserve``.
        heldout_label: (N,) class of the images that calibrate ``train``.
        planted: by kind, the matches of altered training images.
        itself: (N, C) similarities of held-out images with those of other patients.
        proximity: training patients beside those of ``reserve``; None where these are too few.
    """

    banks: Mapping[str, Bank]
    heldout_label: np.ndarray
    planted: Mapping[str, Matches]
    itself: np.ndarray
    proximity: Proximity | None

    @property
    def model(self) -> CopyModel:
        """The model that all detectors share."""
        return self.banks["train"].detector.model

    @classmethod
    def of(cls, splits: Splits, seed: int) -> "RealCopies":
        """Search for real images of other patients, and for planted copies.

        Raises:
            MetricError: no training images, or fewer than two held-out patients.
        """
        train, heldout = splits.train, spread(splits.test.to_single_label(), HELDOUT)
        _validate(train, heldout)
        model = CopyModel.learned(train.image)
        banks = {"train": Bank.of(train.image, heldout.image, model)}
        others = spread(train, OTHERS).image
        banks |= {name: Bank.of(images, others, model) for name, images in _hidden(splits).items()}
        some = spread(heldout, ITSELF)
        own = CopyDetector(some.image, some.patient_id, model)
        itself = own.match(some.image, some.patient_id).similarity
        search = banks["train"].detector
        planted = {kind: search.match(images) for kind, images in planted_copies(train.image, seed).items()}
        reserve = splits.reserve
        proximity = None if reserve is None else Proximity.of(train, reserve, heldout.image)
        return cls(banks, heldout.label, planted, itself, proximity)

    def save(self, path: Path) -> None:
        """Write everything but the images to an NPZ file."""
        arrays = {"heldout_label": self.heldout_label, "itself": self.itself}
        parts: dict[str, CopyModel | Bank | Proximity] = {"model": self.model, **self.banks}
        if self.proximity:
            parts["proximity"] = self.proximity
        for name, part in parts.items():
            arrays |= {f"{name}.{key}": array for key, array in part.arrays().items()}
        for kind, matches in self.planted.items():
            arrays[f"planted.{kind}"] = matches.similarity
        np.savez(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path, splits: Splits) -> "RealCopies":
        """Read what ``save`` wrote for the same splits."""
        with np.load(path) as file:
            stored = dict(file)
        model = CopyModel.of_arrays(part_of(stored, "model"))
        images = {"train": splits.train.image, **_hidden(splits)}
        banks = {name: Bank.of_arrays(part_of(stored, name), own, model) for name, own in images.items()}
        proximity, near = None, part_of(stored, "proximity")
        if near and splits.reserve is not None:
            proximity = Proximity.of_arrays(near, splits.train, splits.reserve)
        planted = {}
        for kind in KINDS:
            similarity = stored[f"planted.{kind}"]
            planted[kind] = Matches(similarity, np.zeros(similarity.shape, np.int64))
        return cls(banks, stored["heldout_label"], planted, stored["itself"], proximity)

    def doubtful_splits(self, splits: Splits) -> list[str]:
        """Return notes on held-out images that look like altered or partial copies of training images."""
        heldout, train = spread(splits.test.to_single_label(), HELDOUT), splits.train
        return [
            f"image '{heldout.image_id[k]}' of test (patient {heldout.patient_id[k]}) resembles "
            f"'{train.image_id[j]}' of train (patient {train.patient_id[j]}) as copies do (score {score:.1f})"
            for k, j, score in self.banks["train"].doubtful()
        ]

    def copies(self, images: np.ndarray, splits: Sequence[str]) -> dict[str, CopyRate]:
        """Return the rates of copies of images of ``splits`` among (N, H, W) uint8 images."""
        return {name: self.banks[name].copies(images) for name in splits}

    def repeats(self, images: np.ndarray) -> CopyRate:
        """Return the rate of copies of one another among the first 200 of (N, H, W) uint8 images, N > 1.

        Synthetic images resemble one another more than patients do: what counts is far beyond any two.
        """
        each = np.arange(len(images[:ITSELF]))
        matches = CopyDetector(images[:ITSELF], each, self.model).match(images[:ITSELF], each)
        calibration = Calibration.of(self.itself)
        hits = int((calibration.score(matches) > calibration.certain).sum())
        return CopyRate.of(hits, len(each), 1 / (len(self.itself) + 1))

    def expected(self, name: str) -> float:
        """Return the rate of images that count as copies of ``test``, ``reserve`` or ``itself`` by chance."""
        return 1 / (len(self.itself) + 1) if name == "itself" else self.banks[name].limit()[1]


def planted_copies(images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return at most 20 of (N, H, W) uint8 images with each alteration; parts join two of them."""
    rng = np.random.default_rng([seed, 7])
    planted = {}
    for kind in KINDS:
        chosen = np.asarray(images[np.sort(rng.permutation(len(images))[:PLANTED])])
        planted[kind] = altered(kind, chosen, np.roll(chosen, 1, 0), rng)
    return planted


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
