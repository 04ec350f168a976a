"""Nearness of images to the training patients, beside patients that nobody learned from.

As many images of both are searched, label by label, those of the latter from at least as many patients. Which
patients were trained on is chance, so the nearest image of one that no training patient influenced is a
training image with probability 1/2 at most, whatever the images look like: blurred, noisy, or typical. Copies
too faint for a threshold shift that share.

Source: the two-sample idea of Meehan et al. 2020, arXiv:2004.05675; the choice of images, the error by
patient and the similarity are this suite's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.images.copies.bank import Bank, part_of
from benchmark.images.copies.model import CopyModel
from benchmark.images.copies.rates import Nearness
from benchmark.images.image_set import ImageSet

FEWEST = 10  # training patients, below which nothing is measured
MOST = 1500  # images of a side


@dataclass(frozen=True, eq=False)
class Proximity:
    """A search among training images and as many of patients that nobody learned from.

    Attributes:
        bank: the first half of its references are training images.
        patient: (R,) number of the patient of each reference.
    """

    bank: Bank
    patient: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything but the images as arrays by name."""
        model = {f"model.{name}": array for name, array in self.bank.detector.model.arrays().items()}
        return self.bank.arrays() | model

    @classmethod
    def of_arrays(cls, stored: Mapping[str, np.ndarray], train: ImageSet, unseen: ImageSet) -> "Proximity":
        """Return the search whose ``arrays`` are stored, of the same images."""
        references, patient = _references(train, unseen)
        model = CopyModel.of_arrays(part_of(stored, "model"))
        return cls(Bank.of_arrays(stored, references, model), patient)

    @classmethod
    def of(cls, train: ImageSet, unseen: ImageSet, unrelated: np.ndarray) -> "Proximity | None":
        """Prepare the search, or return None where there are fewer than ``FEWEST`` patients to compare.

        Args:
            train, unseen: of different patients.
            unrelated: (N, H, W) uint8 images of others, which set the scale of the similarities.
        """
        references, patient = _references(train, unseen)
        if len(np.unique(patient[: len(patient) // 2])) < FEWEST:
            return None
        # The model sees both sides in turn: learned from one of them it would prefer it.
        model = CopyModel.learned(references[np.arange(len(references)).reshape(2, -1).T.ravel()])
        return cls(Bank.of(references, unrelated, model), patient)

    def nearness(self, images: np.ndarray) -> Nearness:
        """Return the nearness of (N, H, W) uint8 images to the training patients."""
        return self.nearness_of(self.nearest(images))

    def nearest(self, images: np.ndarray) -> np.ndarray:
        """Return the (N,) rows of the most similar references of (N, H, W) uint8 images."""
        return self.bank.calibration.reference(self.bank.detector.match(images))

    def of_train(self, reference: np.ndarray) -> np.ndarray:
        """Return whether references (N,) are training images."""
        near: np.ndarray = reference < len(self.patient) // 2
        return near

    def nearness_of(self, reference: np.ndarray) -> Nearness:
        """Return the nearness of images whose most similar references (N,) these are.

        The error is that of the share when chance decides for every patient whether it was trained on: images
        that resemble a few patients alone say little, however many they are.
        """
        share = float(self.of_train(reference).mean())
        weight = np.bincount(self.patient[reference]) / len(reference)
        return Nearness.of(share, 0.5 * float(np.sqrt((weight**2).sum())), len(reference))


def _references(train: ImageSet, unseen: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return images of both sides, and the numbers of their patients."""
    rows = comparable(train, unseen)
    images = [np.asarray(side.image[own]) for side, own in zip((train, unseen), rows, strict=True)]
    patients = [f"{k} {name}" for k, side in enumerate((train, unseen)) for name in side.patient_id[rows[k]]]
    return np.concatenate(images), np.unique(patients, return_inverse=True)[1]


def comparable(train: ImageSet, unseen: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Choose as many images of ``train`` as of ``unseen`` with every label, or set of labels.

    Those of ``unseen`` are from as many patients as possible, those of ``train`` from no more patients. The
    draw depends on the content of ``unseen``, so that no generator knows which images are compared.

    Returns:
        (M,) rows of ``train`` and of ``unseen``; M is at most ``MOST``.
    """
    rng = np.random.default_rng(int(unseen.content_hash()[:16], 16))
    known, other = (_rows_by_label(images) for images in (train, unseen))
    pairs = []
    for label in sorted(known.keys() & other.keys()):
        b = _spread(other[label], unseen.patient_id, rng)
        few = len(np.unique(unseen.patient_id[b]))
        a = _spread(known[label], train.patient_id, rng, few)
        pairs += list(enumerate(zip(a, b, strict=False)))
    # Labels in turn: none is left out where there are more images than can be compared.
    chosen = [pair for _, pair in sorted(pairs, key=lambda item: item[0])][:MOST]
    rows = np.array(chosen, int).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _spread(
    rows: np.ndarray, patient_id: np.ndarray, rng: np.random.Generator, most: int | None = None
) -> np.ndarray:
    """Return rows in random order, the first ones of ``most`` patients, one each, then their second ones."""
    import pandas as pd

    rows = rng.permutation(rows)
    patients, of = np.unique(patient_id[rows], return_inverse=True)
    chosen = np.isin(of, rng.permutation(len(patients))[:most])
    rows, of = rows[chosen], of[chosen]
    turn = pd.Series(of).groupby(of).cumcount().to_numpy()
    return rows[np.argsort(turn, kind="stable")]


def _rows_by_label(images: ImageSet) -> dict[int, np.ndarray]:
    label = images.label @ (1 << np.arange(images.label.shape[1])) if images.multilabel else images.label
    return {int(value): np.flatnonzero(label == value) for value in np.unique(label)}
