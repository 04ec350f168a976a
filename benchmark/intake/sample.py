"""One picture that was handed in, before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MOST = 500_000  # pictures of a submission; the papers' largest bracket is 3000 in 5 classes
LARGEST_PICTURE = 32_000_000  # bytes


@dataclass(frozen=True)
class Sample:
    """Where a picture is, and what it is said to show.

    Attributes:
        where: file, or row of a table, for errors.
        fold: for which it was made; 0 without folds.
        label: index of the class that it was asked to show.
        read: gives its bytes.
        report: where images have several labels: 1 or 0 of every class; None where only ``label`` is said.
    """

    where: str
    fold: int
    label: int
    read: Callable[[], bytes]
    report: tuple[int, ...] | None = None
