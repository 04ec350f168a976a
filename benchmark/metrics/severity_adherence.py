"""Adherence to the requested severity: rank correlation with the burden of the found lesion."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field
from scipy.stats import kendalltau

from benchmark.metrics._lesions import NOT_SEGMENTED, region, words_of
from benchmark.plugins.metric import Direction, Need, Side, Sides, Unmeasured, Value

version = "2"

card = {
    "title": "Severity adherence",
    "description": "Rank correlation (Kendall's tau-b) within a class between the requested severity and "
    "area times contrast of the lesion that a segmenter of real images finds; mean over the classes.",
    "citation": "Papadopoulos and Georgiou 2024, Table 2, Conditional controllability; Kendall 1945",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters."""

    order: tuple[tuple[str, ...], ...] = Field(
        (("mild", "small"), ("moderate",), ("severe", "large")),
        min_length=2,
        description="words of each grade, from light to severe; those of the phantoms' sentences",
    )
    fewest: int = Field(8, ge=3, description="images of a class with a grade; own choice")


class Metric:
    """Mean over the classes of the correlation; an image without a found lesion has the burden 0.

    The requested severity is that of the column ``severity``; without it the first grade in the prompt.
    """

    needs: ClassVar[set[Need]] = {"found_masks", "segmented_classes", "images"}
    optional: ClassVar[set[Need]] = {"prompts", "severity"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        self.params = params

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the correlation of the synthetic side; the real side does not count."""
        texts = fake.prompts if fake.severity is None else fake.severity
        if texts is None:
            return Unmeasured("its images were requested without a severity")
        grade = np.array([self._grade(str(text)) for text in texts])
        if not fake.segmented_classes.any():
            return Unmeasured(NOT_SEGMENTED)
        per_class, n = {}, 0
        for k in np.intersect1d(fake.label, np.flatnonzero(fake.segmented_classes)):
            rows = np.flatnonzero((fake.label == k) & (grade >= 0))
            if len(rows) < self.params.fewest or np.ptp(grade[rows]) == 0:
                continue
            lesions = [region(np.asarray(fake.images[row]), fake.found_masks[row]) for row in rows]
            burden = np.array([0.0 if lesion is None else lesion.burden for lesion in lesions])
            tau = kendalltau(grade[rows], burden).statistic if np.ptp(burden) else 0.0
            per_class[fake.classes[k]] = float(tau)
            n += len(rows)
        if not per_class:
            return Unmeasured(f"no class has {self.params.fewest} images with different severities")
        return Value(float(np.mean(list(per_class.values()))), per_class, n)

    def _grade(self, text: str) -> int:
        """Return the number of the first grade in a text, -1 without one."""
        order = {word: number for number, words in enumerate(self.params.order) for word in words}
        return next((order[word] for word in words_of(text) if word in order), -1)
