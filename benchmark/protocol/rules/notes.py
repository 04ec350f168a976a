"""Shared by all rules: count the images left out, and refuse to leave none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet


def select_noted(images: ImageSet, mask: np.ndarray, where: str, why: str) -> ImageSet:
    """Return the images under a mask, with a note on the number left out and the reason.

    Raises:
        DataError: no image is left.
    """
    if not mask.any():
        raise DataError(where, f"leaves no image: all {len(images)} left out, {why}", "Change the step.")
    left_out = len(images) - int(mask.sum())
    if not left_out:
        return images
    chosen = images.select(np.flatnonzero(mask))
    return noted(chosen, f"{where}: {left_out} of {len(images)} images left out, {why}")


def noted(images: ImageSet, note: str) -> ImageSet:
    """Return the same images with one more recorded warning."""
    return replace(images, card={**images.card, "notes": [*images.card.get("notes", ()), note]})


def counted(values: Iterable[str]) -> str:
    """Return the number of each value, most frequent first.

    >>> counted(["LATERAL", "LL", "LATERAL"])
    'LATERAL 2, LL 1'
    """
    return ", ".join(f"{value} {n}" for value, n in Counter(values).most_common())
