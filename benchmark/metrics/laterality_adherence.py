"""Adherence to the requested side of a lesion, by the segmenter of real images."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics._lesions import NOT_SEGMENTED, side_in_words, side_of
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "2"

card = {
    "title": "Laterality adherence",
    "description": "Share of images whose lesion lies on the requested side (left, right, both), as a "
    "segmenter of real images finds it.",
    "citation": "Papadopoulos and Georgiou 2024, Table 2, Conditional controllability",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Share of images with the requested side; midline findings do not count, a missed lesion is wrong.

    The requested side is that of the column ``laterality``; without it that of the mask, else of the prompt.
    """

    needs: ClassVar[set[Need]] = {"found_masks", "segmented_classes"}
    optional: ClassVar[set[Need]] = {"laterality", "masks", "prompts"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the share of the synthetic side; the real side does not count."""
        wanted = _requested(fake)
        sided = np.isin(wanted, ("left", "right", "both"))
        rows = np.flatnonzero(sided & fake.segmented_classes[fake.label])
        if not len(rows):
            return Unmeasured(NOT_SEGMENTED if sided.any() else "no image was requested with a side")
        seen = np.array([side_of(mask) for mask in fake.found_masks[rows]])
        right, label = seen == wanted[rows], fake.label[rows]
        per_class = {fake.classes[k]: float(right[label == k].mean()) for k in np.unique(label)}
        return Value(float(right.mean()), per_class, len(rows))


def _requested(side: Side) -> np.ndarray:
    """Return the (N,) requested sides, empty where none was requested."""
    if side.laterality is not None:
        return side.laterality.astype(str)
    if side.masks is not None:
        return np.array([side_of(mask) for mask in side.masks])
    if side.prompts is not None:
        return np.array([side_in_words(str(text)) for text in side.prompts])
    return np.full(len(side), "")
