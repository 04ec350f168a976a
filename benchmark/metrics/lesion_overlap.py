"""Overlap of the requested masks with the lesions that a segmenter of real images finds."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics._lesions import INSIDE, NOT_SEGMENTED, overlap
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "2"

card = {
    "title": "Lesion overlap (Dice)",
    "description": "Dice of the requested mask and of the lesion found by a segmenter of real images; mean "
    "over the images with a mask.",
    "citation": "Papadopoulos and Georgiou 2024, Lesion preservation metrics",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Mean Dice of mask and found lesion; ``details`` has the IoU, which the paper names.

    The floor is what the segmenter reaches on real test images: a perfect generator cannot exceed it by much.
    Classes that it finds no better than the mean mask are left out.
    """

    needs: ClassVar[set[Need]] = {"found_masks", "segmented_classes", "masks"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the overlap of the synthetic side; the real side does not count."""
        lesions, masks = np.asarray(fake.found_masks[:]), np.asarray(fake.masks[:])
        given = (masks > INSIDE).any((1, 2))
        rows = np.flatnonzero(given & fake.segmented_classes[fake.label])
        if not len(rows):
            return Unmeasured(NOT_SEGMENTED if given.any() else "every mask is empty")
        dice, iou = overlap(lesions[rows], masks[rows])
        label = fake.label[rows]
        missed = ~(lesions[rows] > INSIDE).any((1, 2))
        return Value(
            value=float(dice.mean()),
            per_class={fake.classes[k]: float(dice[label == k].mean()) for k in np.unique(label)},
            n=len(rows),
            details={"iou": float(iou.mean()), "missed": float(missed.mean())},
        )
