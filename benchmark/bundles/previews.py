"""The few images of a row that its bundle shows: enough to look at, and to check for copies."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.bundles.io import MOST_SHOWN
from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    import pandas as pd


def shown(folds: Sequence[ImageSet], most: int = MOST_SHOWN) -> pd.DataFrame:
    """Some images of every fold and class, as even as there are images.

    Args:
        folds: the row's synthetic images, (N, H, W) uint8 with one class each, fold by fold.
        most: images in all.
    Returns:
        ``class``, ``fold`` and ``image`` (PNG without loss), by fold and class; the first of each.
    """
    import pandas as pd

    groups = [
        (fold, k, np.flatnonzero(images.label == k))
        for fold, images in enumerate(folds)
        for k in range(len(images.classes))
    ]
    taken = even_shares([len(rows) for _, _, rows in groups], most)
    records = [
        {"class": folds[fold].classes[k], "fold": fold, "image": png(folds[fold].image[row])}
        for (fold, k, rows), count in zip(groups, taken, strict=True)
        for row in rows[:count]
    ]
    return pd.DataFrame(records, columns=["class", "fold", "image"])


def even_shares(available: Sequence[int], most: int) -> list[int]:
    """How many to take of each group: one after the other in turn, until there are enough.

    >>> even_shares([5, 1, 5], 6)
    [3, 1, 2]
    """
    taken = [0] * len(available)
    while sum(taken) < min(most, sum(available)):
        for i, count in enumerate(available):
            if taken[i] < count and sum(taken) < most:
                taken[i] += 1
    return taken


def png(image: np.ndarray) -> bytes:
    """An (H, W) uint8 image as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
