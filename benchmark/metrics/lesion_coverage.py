"""Coverage of the locations, sizes and grades of real lesions by synthetic ones."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field
from scipy.spatial.distance import cdist

from benchmark.metrics._lesions import NOT_SEGMENTED, Region, regions
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "2"

card = {
    "title": "Lesion coverage",
    "description": "Share of real lesions with a synthetic lesion of the class nearer in location, size and "
    "contrast than their k-th nearest real one.",
    "citation": "Papadopoulos and Georgiou 2024, Diversity metrics; Naeem et al. 2020, arXiv:2002.09797",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters."""

    k: int = Field(5, ge=1, description="nearest real neighbor; 5 in Naeem et al. 2020")


class Metric:
    """Coverage of Naeem et al. over found lesions: center, logarithm of the area, and contrast.

    The properties are in standard deviations of the real lesions of the class. An image in which the
    segmenter finds nothing covers nothing.
    """

    needs: ClassVar[set[Need]] = {"found_masks", "segmented_classes", "images"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "matched"

    def __init__(self, params: Params, device: str) -> None:
        self.k = params.k

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the coverage, and that of location, size and contrast alone as ``details``."""
        parts = {"": slice(0, 4), "location": slice(0, 2), "size": slice(2, 3), "contrast": slice(3, 4)}
        by_part: dict[str, dict[str, float]] = {part: {} for part in parts}
        if not real.segmented_classes.any():
            return Unmeasured(NOT_SEGMENTED)
        for k in np.flatnonzero(real.segmented_classes).tolist():
            name = real.classes[k]
            theirs, ours = (properties(regions(side, side.found_masks, k)) for side in (real, fake))
            if len(theirs) <= self.k:
                continue
            scale = np.maximum(theirs.std(0), 1e-6)
            for part, columns in parts.items():
                pair = (theirs[:, columns] / scale[columns], ours[:, columns] / scale[columns])
                by_part[part][name] = coverage(*pair, self.k)
        if not by_part[""]:
            return Unmeasured(f"no class has more than {self.k} real lesions that the segmenter finds")
        means = {part: float(np.mean(list(own.values()))) for part, own in by_part.items()}
        return Value(means.pop(""), by_part[""], details=means)


def properties(lesions: list[Region]) -> np.ndarray:
    """Return (N, 4) center across and down, logarithm of the area, contrast."""
    rows = [(r.across, r.down, np.log(r.area), r.contrast) for r in lesions]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def coverage(real: np.ndarray, fake: np.ndarray, k: int) -> float:
    """Return the share of real points with a fake one nearer than their k-th nearest other real one."""
    if not len(fake):
        return 0.0
    radius = np.sort(cdist(real, real), axis=1)[:, k]  # the first is the point itself
    return float((cdist(real, fake).min(1) <= radius).mean())
