"""Which images a training sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.classify.sampling import (
    Batches,
    added_counts,
    draw_order,
    like,
    stratum,
    training_images,
)
from benchmark.errors import DataError
from benchmark.records import Splits
from benchmark.rules import Mix
from samples import blobs

COUNTS = {"a": 12, "b": 6, "c": 3}
labels = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


def with_mix(mix=None, bracket=4, fake=None, train=None, **changes):
    """The training images of one bracket."""
    train = blobs(COUNTS, prefix="real") if train is None else train
    val = blobs({"a": 2, "b": 2, "c": 2}, prefix="val")
    fake = blobs({"a": 50, "b": 50, "c": 50}, prefix="fake") if fake is None else fake
    splits = Splits(train, val, val, val)
    return training_images(splits, fake, mix or Mix(**changes), bracket, train.classes)


def several(images, **columns):
    """The same images with labels that may be several."""
    multi = np.eye(len(images.classes), dtype=np.uint8)[images.label]
    multi[:, 0] = 1
    return replace(images, label=multi, **columns)


def test_bracket_adds_so_many_of_every_class():
    """A bracket of 4 adds the first 4 synthetic images of each class to all real ones."""
    found = with_mix()
    assert found.train.counts() == {"a": 16, "b": 10, "c": 7}
    assert found.real.counts() == COUNTS
    assert "fake-00003" in found.train.image_id
    assert "fake-00004" not in found.train.image_id


def test_bracket_larger_than_the_samples_is_an_error():
    """Six of five cannot be had; nothing is drawn twice in silence."""
    with pytest.raises(DataError, match="has 5 images, bracket needs 6"):
        with_mix(bracket=6, fake=blobs({"a": 5, "b": 5, "c": 5}, prefix="f"))


@pytest.mark.parametrize(
    ("mix", "bracket", "expected"),
    [
        ({"classes": ("c",)}, 4, {"c": 4}),
        ({"unit": "real_image"}, 2, {"a": 24, "b": 12, "c": 6}),
        ({"unit": "real_image", "factor": {"c": 11, "a": 1 / 3}}, 1, {"a": 4, "b": 6, "c": 33}),
        ({"unit": "still_image", "classes": ("b",)}, 32, {"b": 64}),
    ],
)
def test_a_bracket_counts_what_the_mix_says(mix, bracket, expected):
    """Per class, per real image with a factor, or per still image: two of the six images of b are stills."""
    clip = np.where(np.arange(21) < 14, "", "film")
    train = replace(blobs(COUNTS), clip=clip)
    assert added_counts(train, Mix(**mix), bracket, train.classes) == expected


def test_a_class_that_would_get_nothing_is_told():
    """Frames of clips alone: no still image to count, and nobody would see that nothing was added."""
    train = replace(blobs(COUNTS), clip=np.full(21, "film"))
    with pytest.raises(
        DataError, match="'c': gets no synthetic image: train has 0 of what 'still image' counts"
    ):
        added_counts(train, Mix(unit="still_image", classes=("c",)), 32, train.classes)


def test_a_class_that_only_a_label_policy_made_gets_no_synthetic_images():
    """'uncertain' is learned beside the task's two classes, and is not asked of a generator."""
    train = blobs({"negative": 5, "positive": 3, "uncertain": 2})
    assert added_counts(train, Mix(), 7, ("negative", "positive")) == {"negative": 7, "positive": 7}


def test_training_on_synthetic_images_sees_no_real_one():
    """12 of each class: two of each choose the epoch, ten are learned, and no real image is among them."""
    found = with_mix(training="synthetic", bracket=12)
    assert found.train.counts() == {"a": 10, "b": 10, "c": 10}
    assert found.val.counts() == {"a": 2, "b": 2, "c": 2}
    assert found.real is found.train
    assert all(i.startswith("fake") for part in (found.train, found.val) for i in part.image_id)


def test_synthetic_labels_become_what_the_training_images_have():
    """Of several classes: all that the generator knows, else the one asked for; soft labels: certainty."""
    fake, train = blobs({"a": 1, "b": 1, "c": 1}, prefix="f"), several(blobs(COUNTS))
    assert like(fake, train).label.tolist() == np.eye(3, dtype=int).tolist()
    report = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]], np.int8)
    assert like(replace(fake, report=report), train).label.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    soft = replace(blobs(COUNTS), soft=np.full((21, 3), 1 / 3, np.float32))
    assert like(fake, soft).soft.tolist() == np.eye(3).tolist()


def test_oversampling_several_labels_goes_by_the_rarest():
    """An image with a common and a rare class counts as rare; one without any is a stratum of its own."""
    images = several(blobs(COUNTS))
    images = replace(images, label=np.vstack([images.label[:-1], np.zeros((1, 3), np.uint8)]))
    assert np.bincount(stratum(images)).tolist() == [12, 6, 2, 1]


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
