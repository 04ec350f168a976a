"""One submitted picture, before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_IMAGES = 500_000  # of a submission; the papers' largest bracket is 3000 in 5 classes
MAX_PICTURE_BYTES = 32_000_000


@dataclass(frozen=True)
class Sample:
    """A submitted picture and its labels.

    Attributes:
        where: file, or row of a table, for errors.
        fold: the fold that it was generated for; 0 without folds.
        label: index of the requested class.
        read: returns its bytes.
        report: in a multi-label task 1 or 0 for each class; None where only ``label`` is given.
    """

    where: str
    fold: int
    label: int
    read: Callable[[], bytes]
    report: tuple[int, ...] | None = None
