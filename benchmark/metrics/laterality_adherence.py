"""Adherence to the requested side of a lesion, by the segmenter of real images."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics._lesions import side_of
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "1"

card = {
    "title": "Laterality adherence",
    "description": "Share of images whose lesion lies on the requested side (left, right, both), as a "
    "segmenter of real images finds it.",
    "citation": "Papadopoulos and Georgiou 2024, Table 2, Conditional controllability",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Share of images with the requested side; midline findings do not count, a missed lesion is wrong."""

    needs: ClassVar[set[Need]] = {"found_masks", "laterality"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the share of the synthetic side; the real side does not count."""
        rows = np.flatnonzero(np.isin(fake.laterality.astype(str), ("left", "right", "both")))
        if not len(rows):
            return Unmeasured("no image was requested with a side")
        found = np.array([side_of(mask) for mask in fake.found_masks[rows]])
        right, label = found == fake.laterality[rows].astype(str), fake.label[rows]
        per_class = {fake.classes[k]: float(right[label == k].mean()) for k in np.unique(label)}
        return Value(float(right.mean()), per_class, len(rows))
