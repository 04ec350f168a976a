"""Submitted images that copy real images which no generator may see, or one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import SubmissionError
from benchmark.images import duplicates
from benchmark.images.copies.bank import Bank, spread
from benchmark.images.copies.model import CopyModel
from benchmark.images.image_set import ImageSet

UNRELATED = 1000  # training images that calibrate the search in hidden splits
REMEDY = "No generator may learn from these patients: fit it on the output of `data export`."


def count_copies(images: ImageSet) -> tuple[int, int]:
    """Count exact (equal pixels) and near copies of other images in the set.

    All but one of a group of equal pictures count; a near copy is one of another picture, see ``duplicates``.
    """
    scanned = duplicates.scan(images.image)
    exact = sum(len(group) - 1 for group in duplicates.same_bytes(scanned))
    pairs = duplicates.same_picture(images.image, scanned, np.arange(len(images)))
    return exact, len({p.second for p in pairs})


@dataclass(frozen=True, eq=False)
class Hidden:
    """Real images of a split that no generator may see, and the search for copies of them."""

    images: ImageSet
    bank: Bank


def hidden_images(splits: Mapping[str, ImageSet], train: ImageSet) -> dict[str, Hidden]:
    """Prepare the search in hidden splits, ``test...`` and ``reserve``.

    Args:
        train: at least two images of other patients; ``UNRELATED`` of them calibrate the search.
    """
    model, unrelated = CopyModel.learned(train.image), spread(train, UNRELATED).image
    return {
        name: Hidden(real, Bank.of(real.image, unrelated, model))
        for name, real in splits.items()
        if len(real)
    }


def validate_no_copies(images: ImageSet, where: Sequence[str], hidden: Mapping[str, Hidden]) -> None:
    """Refuse samples that copy real images which no generator may see, as they are, altered or in part.

    One sample is enough if it has the pixels of a real image, or resembles one far more than any training
    image does. Less certain resemblance counts where more samples have it than chance explains.

    Args:
        where: of every sample, for the error.
        hidden: by split, at the size of the samples.
    Raises:
        SubmissionError: the number of copies, and one of them with the real image that it shows.
    """
    for split, own in hidden.items():
        _refuse_equal(images, where, own.images, split)
    for split, own in hidden.items():
        bank = own.bank
        matches, calibration = bank.detector.match(images.image), bank.calibration
        score = calibration.score(matches)
        certain, rate = int((score > calibration.certain).sum()), bank.copies_of(score)
        if certain or rate.excess:
            k = int(score.argmax())
            name = own.images.image_id[calibration.reference(matches)[k]]
            more = max(certain, round(rate.rate * rate.n) if rate.excess else 0) - 1
            raise SubmissionError(
                where[k],
                f"looks like an altered or partial copy of the real image '{name}' of {split}, as do "
                f"{more} more of {len(images)} samples",
                REMEDY,
            )


def _refuse_equal(images: ImageSet, where: Sequence[str], real: ImageSet, split: str) -> None:
    """Refuse samples with the pixels of a real image."""
    names = {image.tobytes(): name for image, name in zip(real.image, real.image_id, strict=True)}
    copies = [(k, names[own]) for k, image in enumerate(images.image) if (own := image.tobytes()) in names]
    if copies:
        k, name = copies[0]
        more = f"as are {len(copies) - 1} more of {len(images)} samples"
        raise SubmissionError(where[k], f"is a copy of the real image '{name}' of {split}, {more}", REMEDY)
