"""What every rule does beside its own work: count what it leaves out, and refuse to leave nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.protocol.load import with_note


def keep(images: ImageSet, kept: np.ndarray, where: str, why: str) -> ImageSet:
    """The images under a mask, with a note on how many were left out and why.

    Raises:
        DataError: none is left.
    """
    if not kept.any():
        raise DataError(where, f"leaves no image: all {len(images)} left out, {why}", "Change the step.")
    left_out = len(images) - int(kept.sum())
    if not left_out:
        return images
    chosen = images.select(np.flatnonzero(kept))
    return noted(chosen, f"{where}: {left_out} of {len(images)} images left out, {why}")


def noted(images: ImageSet, note: str) -> ImageSet:
    """The same images with one more recorded warning."""
    return replace(images, card=with_note(images, note))


def counted(values: Iterable[str]) -> str:
    """How often each value comes, most frequent first.

    >>> counted(["LATERAL", "LL", "LATERAL"])
    'LATERAL 2, LL 1'
    """
    return ", ".join(f"{value} {n}" for value, n in Counter(values).most_common())
