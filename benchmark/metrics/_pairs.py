"""Figures of pairs: each synthetic image with the training image that it came from."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmark.plugins.metric import Side, Value

PIXELS = 64 * 64 * 64  # compared at once


def mean_over_pairs(fake: Side, compare: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Value:
    """Return the mean over all pairs, and over those of each class.

    Args:
        fake: side with ``images`` and ``sources``.
        compare: returns (B,) figures of (B, H, W) uint8 source images and as many synthetic ones.
    """
    parts = [compare(fake.sources[rows], fake.images[rows]) for rows in _chunks(fake)]
    figures = np.concatenate(parts)
    of_class = {name: figures[fake.label == k] for k, name in enumerate(fake.classes)}
    return Value(
        value=float(figures.mean()),
        per_class={name: float(own.mean()) for name, own in of_class.items() if len(own)},
    )


def _chunks(fake: Side) -> Iterator[slice]:
    height, width = fake.images.shape[1:]
    step = max(1, PIXELS // (height * width))
    return (slice(start, start + step) for start in range(0, len(fake), step))
