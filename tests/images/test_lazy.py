"""Lazy images behave as their array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import DataError
from benchmark.images.lazy import LazyImages, blocks, join, select

IMAGE = np.random.default_rng(0).integers(0, 256, (23, 4, 4), dtype=np.uint8)
rows = st.lists(st.integers(0, 22), max_size=30).map(lambda r: np.array(r, dtype=np.int64))


def unread(log=None):
    """Return the array as lazy images that log the requested rows."""

    def read(row):
        if log is not None:
            log.append(row)
        return IMAGE[row]

    return LazyImages.each(read, len(IMAGE), 4)


@given(rows, rows)
def test_selecting_and_indexing_agree_with_the_array(first, second):
    """A selection followed by an index equals fancy indexing twice."""
    second = second[second < len(first)]
    assert np.array_equal(unread().take(first)[second], IMAGE[first][second])


def test_selecting_reads_nothing():
    """Only indexing reads images."""
    log = []
    chosen = unread(log).take(np.array([3, 1, 4]))
    assert (len(chosen), chosen.shape, log) == (3, (3, 4, 4), [])
    assert np.array_equal(chosen[1], IMAGE[1])
    assert log == [1]


def test_masks_slices_numbers_and_the_whole():
    """Every kind of array index works."""
    mask = np.arange(23) % 2 == 0
    assert np.array_equal(unread()[mask], IMAGE[mask])
    assert np.array_equal(unread()[5:9], IMAGE[5:9])
    assert np.array_equal(unread()[-1], IMAGE[-1])
    assert np.array_equal(np.asarray(unread()), IMAGE)
    assert np.array_equal(np.stack(list(unread())), IMAGE)
    assert [len(b) for b in blocks(unread(), 10)] == [10, 10, 3]


@given(rows)
def test_joined_parts_are_concatenated(index):
    """Arrays and lazy parts mix, and rows come in the requested order."""
    parts = [IMAGE[:5], LazyImages.each(lambda r: IMAGE[5 + r], 7, 4), IMAGE[12:]]
    assert np.array_equal(join(parts)[index], IMAGE[index])


def test_a_mapped_function_applies_when_read():
    """A mapped set applies its function once, after any selection."""
    assert np.array_equal(unread().map(lambda b: 255 - b).take(np.array([2, 2]))[:], 255 - IMAGE[[2, 2]])


def test_a_pair_reads_each_image_once():
    """Image and mask of a block come from one read."""
    log = []

    def read(row):
        log.append(row)
        return IMAGE[row], 255 - IMAGE[row]

    image, mask = LazyImages.pair(read, len(IMAGE), 4)
    assert np.array_equal(image[:6], IMAGE[:6])
    assert np.array_equal(mask[:6], 255 - IMAGE[:6])
    assert log == list(range(6))


def test_a_reader_of_the_wrong_type_is_an_error():
    """Floats, or another size, are refused at the read."""
    with pytest.raises(DataError, match="float64"):
        LazyImages(lambda rows: np.zeros((len(rows), 4, 4)), (3, 4, 4))[0]


def test_arrays_are_selected_as_arrays():
    """Small sets stay plain arrays."""
    assert isinstance(select(IMAGE, np.array([1])), np.ndarray)
    assert isinstance(join([IMAGE, IMAGE]), np.ndarray)
