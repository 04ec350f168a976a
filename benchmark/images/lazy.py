"""Lazy images: pixels that are decoded when they are read, so that a dataset need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmark.errors import DataError

BLOCK = 512  # images read at once when all are read in order


class LazyImages:
    """(N, H, W) uint8 images behind a reader: indexing reads, ``take`` only selects.

    They behave like an array for ``len``, ``shape``, ``dtype``, ``ndim`` and for indexing by a number, a
    slice, an array of indices or a boolean mask, which return arrays in memory. ``map`` changes every image
    when it is read.

    Args:
        read: returns the (M, H, W) uint8 images at (M,) int64 indices of the source.
        shape: (N, H, W) of the selection.
        indices: (N,) indices into the source; by default all, in order.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, int, int],
        indices: np.ndarray | None = None,
    ) -> None:
        self._read = read
        self._indices = np.arange(shape[0]) if indices is None else indices
        self.shape = shape

    @classmethod
    def each(cls, read: Callable[[int], np.ndarray], count: int, size: int) -> LazyImages:
        """Return images that are read one by one, (size, size) each."""

        def read_all(indices: np.ndarray) -> np.ndarray:
            block = np.empty((len(indices), size, size), np.uint8)
            for i, index in enumerate(indices.tolist()):
                block[i] = read(index)
            return block

        return cls(read_all, (count, size, size))

    @classmethod
    def pair(
        cls, read: Callable[[int], tuple[np.ndarray, np.ndarray]], count: int, size: int
    ) -> tuple[LazyImages, LazyImages]:
        """Return images and their masks from one reader, which is called once per block that both read."""
        last: dict[bytes, np.ndarray] = {}

        def both(indices: np.ndarray) -> np.ndarray:
            key = indices.tobytes()
            if key not in last:
                block = np.empty((2, len(indices), size, size), np.uint8)
                for i, index in enumerate(indices.tolist()):
                    block[:, i] = read(index)
                last.clear()
                last[key] = block
            return last[key]

        shape = (count, size, size)
        return cls(lambda indices: both(indices)[0], shape), cls(lambda indices: both(indices)[1], shape)

    @classmethod
    def joined(cls, parts: Sequence[np.ndarray | LazyImages]) -> LazyImages:
        """Return several sets one after the other."""
        first = np.cumsum([0, *(len(p) for p in parts)])
        height, width = parts[0].shape[1:]

        def read_all(indices: np.ndarray) -> np.ndarray:
            block = np.empty((len(indices), height, width), np.uint8)
            part = np.searchsorted(first, indices, side="right") - 1
            for k in np.unique(part).tolist():
                block[part == k] = parts[k][indices[part == k] - first[k]]
            return block

        return cls(read_all, (int(first[-1]), height, width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, (int, np.integer)):
            return np.asarray(self._checked(self._indices[[int(index)]])[0])
        return self._checked(self._indices[index])

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return self[:]

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in blocks(self):
            yield from block

    def take(self, index: np.ndarray) -> LazyImages:
        """Select the images at these indices (or under this mask) without reading them."""
        indices = self._indices[index]
        return LazyImages(self._read, (len(indices), *self.shape[1:]), indices)

    def map(self, change: Callable[[np.ndarray], np.ndarray]) -> LazyImages:
        """Apply a function of (M, H, W) uint8 that keeps type and size when images are read."""
        read = self._read
        return LazyImages(lambda indices: change(read(indices)), self.shape, self._indices)

    def _checked(self, indices: np.ndarray) -> np.ndarray:
        shape = (len(indices), *self.shape[1:])
        block = self._read(indices) if len(indices) else np.zeros(shape, np.uint8)
        if block.dtype != np.uint8 or block.shape != shape:
            problem = f"a reader returned {block.dtype} of shape {block.shape}"
            raise DataError("lazy images", problem, f"Expected uint8 of shape {shape}.")
        return block


def as_lazy(images: np.ndarray | LazyImages) -> LazyImages:
    """Return the same images as ``LazyImages``, whose selections copy nothing before they are read."""
    return images if isinstance(images, LazyImages) else LazyImages.joined([images])


def select(images: np.ndarray | LazyImages, index: np.ndarray) -> Any:
    """Select the images at these indices: copied from an array, still lazy from ``LazyImages``."""
    return images.take(index) if isinstance(images, LazyImages) else images[index]


def blocks(images: np.ndarray | LazyImages, count: int = BLOCK) -> Iterator[np.ndarray]:
    """Yield all images in order as arrays of up to ``count``."""
    for start in range(0, len(images), count):
        yield images[start : start + count]


def join(parts: Sequence[np.ndarray | LazyImages]) -> np.ndarray | LazyImages:
    """Join several sets in order; the result is lazy if one of them is."""
    return (
        LazyImages.joined(parts) if any(isinstance(p, LazyImages) for p in parts) else np.concatenate(parts)
    )
