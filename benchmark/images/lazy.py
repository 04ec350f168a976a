"""Images that are read when they are looked at, so that a dataset need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmark.errors import DataError

BLOCK = 512  # images read at once where all are gone through
Rows = np.ndarray


class Pixels:
    """(N, H, W) uint8 images behind a reader; what is indexed is read, what is selected is not.

    Behaves like the array for ``len``, ``shape``, ``dtype``, ``ndim`` and indexing by a number, a slice, an
    array of positions or a boolean mask, which return arrays in memory. ``take`` selects without reading,
    ``map`` changes every image when it is read.

    Args:
        read: gives the (M, H, W) uint8 images at (M,) int64 positions of the source.
        shape: (N, H, W) of all that is selected.
        rows: (N,) positions in the source; by default all, in order.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(
        self, read: Callable[[Rows], np.ndarray], shape: tuple[int, int, int], rows: Rows | None = None
    ) -> None:
        self._read = read
        self._rows = np.arange(shape[0]) if rows is None else rows
        self.shape = shape

    @classmethod
    def each(cls, read: Callable[[int], np.ndarray], count: int, size: int) -> Pixels:
        """Images that are read one by one, (size, size) each."""

        def multilabel(rows: Rows) -> np.ndarray:
            block = np.empty((len(rows), size, size), np.uint8)
            for i, row in enumerate(rows.tolist()):
                block[i] = read(row)
            return block

        return cls(multilabel, (count, size, size))

    @classmethod
    def pair(
        cls, read: Callable[[int], tuple[np.ndarray, np.ndarray]], count: int, size: int
    ) -> tuple[Pixels, Pixels]:
        """Images and their masks from one reader, which is asked once when both of a block are read."""
        last: dict[bytes, np.ndarray] = {}

        def both(rows: Rows) -> np.ndarray:
            key = rows.tobytes()
            if key not in last:
                block = np.empty((2, len(rows), size, size), np.uint8)
                for i, row in enumerate(rows.tolist()):
                    block[:, i] = read(row)
                last.clear()
                last[key] = block
            return last[key]

        shape = (count, size, size)
        return cls(lambda rows: both(rows)[0], shape), cls(lambda rows: both(rows)[1], shape)

    @classmethod
    def joined(cls, parts: Sequence[np.ndarray | Pixels]) -> Pixels:
        """Several sets one after the other."""
        first = np.cumsum([0, *(len(p) for p in parts)])
        height, width = parts[0].shape[1:]

        def multilabel(rows: Rows) -> np.ndarray:
            block = np.empty((len(rows), height, width), np.uint8)
            part = np.searchsorted(first, rows, side="right") - 1
            for k in np.unique(part).tolist():
                block[part == k] = parts[k][rows[part == k] - first[k]]
            return block

        return cls(multilabel, (int(first[-1]), height, width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, (int, np.integer)):
            return np.asarray(self._checked(self._rows[[int(index)]])[0])
        return self._checked(self._rows[index])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self[:]

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks():
            yield from block

    def take(self, index: Rows) -> Pixels:
        """The images at these positions (or under this mask), unread."""
        rows = self._rows[index]
        return Pixels(self._read, (len(rows), *self.shape[1:]), rows)

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> Pixels:
        """The same images, changed by a function of (M, H, W) uint8 that keeps type and size, when read."""
        read = self._read
        return Pixels(lambda rows: change(read(rows)), self.shape, self._rows)

    def blocks(self, count: int = BLOCK) -> Iterator[np.ndarray]:
        """All images in order, some at a time."""
        return blocks(self, count)

    def _checked(self, rows: Rows) -> np.ndarray:
        found = self._read(rows) if len(rows) else np.zeros((0, *self.shape[1:]), np.uint8)
        if found.dtype != np.uint8 or found.shape != (len(rows), *self.shape[1:]):
            raise DataError(
                "pixels",
                f"a reader gave {found.dtype} of shape {found.shape}",
                f"Expected uint8 of shape {(len(rows), *self.shape[1:])}.",
            )
        return found


def unread(images: np.ndarray | Pixels) -> Pixels:
    """The same images as ``Pixels``: what is selected or joined is read when it is looked at, not copied."""
    return images if isinstance(images, Pixels) else Pixels.joined([images])


def select(images: np.ndarray | Pixels, index: np.ndarray) -> np.ndarray | Pixels:
    """The images at these positions: copied from an array, unread from ``Pixels``."""
    return images.take(index) if isinstance(images, Pixels) else images[index]


def blocks(images: np.ndarray | Pixels, count: int = BLOCK) -> Iterator[np.ndarray]:
    """All images in order as arrays, some at a time."""
    for start in range(0, len(images), count):
        yield images[start : start + count]


def join(parts: Sequence[np.ndarray | Pixels]) -> np.ndarray | Pixels:
    """Several sets one after the other; unread as soon as one of them is."""
    if any(isinstance(p, Pixels) for p in parts):
        return Pixels.joined(parts)
    return np.concatenate(parts)
