"""Select the images of a row that its bundle shows: enough to look at, and to check for copies."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.bundles.tables import MAX_PREVIEWS
from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    import pandas as pd


def preview_images(folds: Sequence[ImageSet], most: int = MAX_PREVIEWS) -> pd.DataFrame:
    """Take the first images of every fold and class, as evenly as possible.

    Args:
        folds: the row's synthetic images by fold, (N, H, W) uint8 with one class each.
        most: total number of images.
    Returns:
        ``class``, ``fold`` and ``image`` (PNG, lossless), sorted by fold and class.
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
    """Number to take of each group, in turns, until there are ``most``.

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
    """Encode an (H, W) uint8 image as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
