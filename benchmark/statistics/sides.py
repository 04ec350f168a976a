"""Sides of a metric: the patients of each class, whose number limits what an interval can say.

A variance over patients has the degrees of freedom of its smallest part: of one positive patient and eighty
negative ones, the eighty say nothing about other positives. docs/statistics.md shows the simulations behind
the two limits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.statistics.metrics import members

FEWEST = 5  # patients on a side, below which there is no interval and no test
FEW = 20  # patients on a side, below which its own degrees of freedom count


@dataclass(frozen=True, eq=False)
class Side:
    """The images that one part of a metric is a mean over."""

    name: str  # of its patients, within a sentence
    inside: np.ndarray  # (n,) bool
    patient: np.ndarray  # (n,) labels, of all images

    @cached_property
    def patients(self) -> int:
        return len(np.unique(self.patient[self.inside]))

    def __str__(self) -> str:
        name = self.name if self.patients != 1 else self.name.replace("patients", "patient", 1)
        return f"{self.patients} {name}"


def all_patients(patient: np.ndarray, name: str = "patients") -> tuple[Side, ...]:
    """Return the side of a metric over all images."""
    return (Side(name, np.full(len(patient), True), patient),)


def with_and_without(label: np.ndarray, patient: np.ndarray, k: int, name: str) -> tuple[Side, ...]:
    """Return the sides of a metric of class k against the rest."""
    inside = members(label, k)
    return (
        Side(f"patients of class {name}", inside, patient),
        Side(f"patients without {name}", ~inside, patient),
    )


def every_class(label: np.ndarray, patient: np.ndarray, names: Sequence[str]) -> tuple[Side, ...]:
    """Return the sides of a metric over all classes: each class, and in multi-label tasks each one's rest."""
    sides = [with_and_without(label, patient, k, name) for k, name in enumerate(names)]
    return tuple(side for both in sides for side in (both if label.ndim == 2 else both[:1]))


def sides_of(metric: str, label: np.ndarray, patient: np.ndarray, names: Sequence[str]) -> tuple[Side, ...]:
    """Return the sides of a metric over all images, see ``metrics.TABLE``."""
    return all_patients(patient) if metric == "accuracy" else every_class(label, patient, names)


def too_few(sides: Iterable[Side]) -> str | None:
    """Return why a metric of these sides has no interval and no test, or None."""
    small = list(dict.fromkeys(side.name for side in sides if side.patients < FEWEST))
    if not small:
        return None
    more = f" (and of {len(small) - 1} more)" if len(small) > 1 else ""
    return f"fewer than {FEWEST} {small[0]}{more}"


def without_interval(split: str, sides: Iterable[Side]) -> list[str]:
    """Return a sentence on each side of a split that has too few patients for an interval."""
    return [
        f"Split {split} has {side}: its figures have no interval and no test, which take {FEWEST}."
        for side in sides
        if side.patients < FEWEST
    ]
