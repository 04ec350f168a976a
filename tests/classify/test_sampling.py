"""Which images a training sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.classify.sampling import Batches, draw_order, with_bracket
from benchmark.errors import DataError
from samples import blobs

COUNTS = {"a": 12, "b": 6, "c": 3}
labels = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


def test_bracket_adds_so_many_of_every_class():
    """A bracket of 4 adds the first 4 synthetic images of each class to all real ones."""
    real, fake = blobs(COUNTS, prefix="real"), blobs({"a": 5, "b": 5, "c": 5}, prefix="fake")
    both = with_bracket(real, fake, 4)
    assert both.counts() == {"a": 16, "b": 10, "c": 7}
    assert "fake-00004" not in both.image_id


def test_bracket_larger_than_the_samples_is_an_error():
    """Six of five cannot be had; nothing is drawn twice in silence."""
    with pytest.raises(DataError, match="has 5 images, bracket needs 6"):
        with_bracket(blobs(COUNTS), blobs({"a": 5, "b": 5, "c": 5}, prefix="f"), 6)


@given(labels, st.integers(0, 9), st.integers(0, 9))
def test_plain_epoch_shows_every_image_once(label, seed, epoch):
    """Without oversampling an epoch is a permutation."""
    assert sorted(draw_order(label, oversample=False, seed=seed, epoch=epoch)) == list(range(len(label)))


@given(labels, st.integers(0, 9))
def test_oversampled_epoch_is_balanced_and_complete(label, seed):
    """With oversampling all classes are as frequent as the largest, and no image is left out."""
    order = draw_order(label, oversample=True, seed=seed, epoch=0)
    counts = np.bincount(label[order])
    assert set(counts[counts > 0]) == {np.bincount(label).max()}
    assert set(order) == set(range(len(label)))


def test_batches_follow_each_other_without_state():
    """Any step's batch is the same whether or not the steps before were asked for; epochs leave no gap."""
    label = np.array([0, 1, 1, 0, 1])
    one = Batches(label, 3, oversample=False, seed=1)
    two = Batches(label, 3, oversample=False, seed=1)
    straight = np.concatenate([one[i] for i in range(10)])
    assert np.array_equal(two[7], one[7])
    for epoch in range(6):
        assert sorted(straight[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]
