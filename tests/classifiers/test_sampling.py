"""Selection of the images of a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.classifiers import sampling
from benchmark.classifiers.sampling import Batches, draw_order, stratum, subset, training_images
from benchmark.errors import DataError
from benchmark.images.image_set import Splits
from benchmark.images.lazy import LazyImages
from benchmark.plugins.generator import positions
from benchmark.protocol.mixing import added_counts, first_of_each, receiving_classes, with_labels_like
from benchmark.tasks.rules import Mix
from support.samples import blobs

COUNTS = {"a": 12, "b": 6, "c": 3}
labels = st.lists(st.integers(0, 3), min_size=1, max_size=60).map(np.array)


def with_mix(mix=None, bracket=4, fake=None, train=None, **changes):
    """Return the training images of one bracket."""
    train = blobs(COUNTS, prefix="real") if train is None else train
    val = blobs({"a": 2, "b": 2, "c": 2}, prefix="val")
    fake = blobs({"a": 50, "b": 50, "c": 50}, prefix="fake") if fake is None else fake
    splits = Splits(train, val, val, val)
    return training_images(splits, fake, mix or Mix(**changes), bracket, train.classes)


def multilabel(images, **columns):
    """Return the same images as a multi-label set."""
    multi = np.eye(len(images.classes), dtype=np.uint8)[images.label]
    multi[:, 0] = 1
    return replace(images, label=multi, **columns)


def test_bracket_adds_n_images_per_class():
    """A bracket of 4 adds the first 4 synthetic images of each class to all real images."""
    training_set = with_mix()
    assert training_set.train.counts() == {"a": 16, "b": 10, "c": 7}
    assert training_set.real.counts() == COUNTS
    assert "fake-00003" in training_set.train.image_id
    assert "fake-00004" not in training_set.train.image_id


def test_bracket_larger_than_the_samples_is_an_error():
    """Six of five images is an error: no image is drawn twice silently."""
    with pytest.raises(DataError, match="has 5 images, bracket needs 6"):
        with_mix(bracket=6, fake=blobs({"a": 5, "b": 5, "c": 5}, prefix="f"))


@pytest.mark.parametrize(
    ("mix", "bracket", "expected"),
    [
        ({"classes": ("c",)}, 4, {"c": 4}),
        ({"unit": "real_image"}, 2, {"a": 24, "b": 12, "c": 6}),
        ({"unit": "real_image", "factor": {"c": 11, "a": 1 / 3}}, 1, {"a": 4, "b": 6, "c": 33}),
        ({"unit": "still_image", "classes": ("b",)}, 32, {"b": 64}),
        ({"unit": "deficit"}, 1, {"a": 0, "b": 6, "c": 9}),
        ({"unit": "deficit", "factor": {"b": 0.5}, "classes": ("b", "c")}, 2, {"b": 6, "c": 18}),
        ({"ratio": 0.5}, 4, {"a": 2, "b": 2, "c": 2}),
        ({"unit": "real_image", "classes": ("c",), "ratio": 2.0}, 10, {"c": 60}),
    ],
)
def test_bracket_follows_the_unit_of_the_mix(mix, bracket, expected):
    """The count is per class, real image or still image. Two of b's six images are stills."""
    clip = np.where(np.arange(21) < 14, "", "film")
    train = replace(blobs(COUNTS), clip=clip)
    assert added_counts(train, Mix(**mix), bracket, train.classes) == expected


def test_a_class_without_added_images_is_an_error():
    """With clip frames alone there is no still image to count, so no image would be added unnoticed."""
    train = replace(blobs(COUNTS), clip=np.full(21, "film"))
    with pytest.raises(
        DataError, match="'c': gets no synthetic image: train has 0 of the unit 'still image'"
    ):
        added_counts(train, Mix(unit="still_image", classes=("c",)), 32, train.classes)


def test_the_deficit_makes_classes_equally_frequent():
    """Bracket 1 of the deficit trains on 12 images of each class."""
    assert with_mix(unit="deficit", bracket=1).train.counts() == {"a": 12, "b": 12, "c": 12}


def test_half_the_deficit_closes_half_the_gap():
    """The mixing ratio multiplies the counts: 12, 6 + 3 and 3 + 4 (4.5 rounds to even)."""
    assert with_mix(unit="deficit", ratio=0.5, bracket=1).train.counts() == {"a": 12, "b": 9, "c": 7}


def test_balanced_classes_have_no_deficit():
    """An error reports that no image would be added."""
    train = blobs({"a": 5, "b": 5})
    with pytest.raises(DataError, match="no class is smaller than the largest one"):
        added_counts(train, Mix(unit="deficit"), 1, train.classes)


def test_classes_with_added_images_do_not_depend_on_the_bracket():
    """The largest class by deficit, classes with factor 0 and classes outside mix.classes get no images."""
    train = blobs(COUNTS)
    assert receiving_classes(train, Mix(unit="deficit"), train.classes) == ("b", "c")
    assert receiving_classes(train, Mix(factor={"b": 0.0}), train.classes) == ("a", "c")
    assert receiving_classes(train, Mix(classes=("a",)), train.classes) == ("a",)


def test_a_filter_may_leave_fewer_than_the_bracket():
    """Where the filter leaves three of five requested images of a class, three are trained on."""
    fake = blobs({"a": 9, "b": 3, "c": 0}, prefix="fake")
    assert first_of_each(fake, {"a": 5, "b": 5, "c": 5}, or_fewer=True).counts() == {"a": 5, "b": 3, "c": 0}
    assert with_mix(filter="evaluators", bracket=5, fake=fake).train.counts() == {"a": 17, "b": 9, "c": 3}


def test_too_few_synthetic_images_to_choose_an_epoch_is_an_error():
    """One in six would go to validation, and five per class give none."""
    with pytest.raises(DataError, match="no class has 6 patients, of whom one would choose the epoch"):
        with_mix(training="synthetic", bracket=5)


def test_a_synthetic_patient_is_not_divided_between_training_and_validation():
    """Of twelve patients of class a, the sixth and the twelfth validate, with all images, b's among them."""
    patient = np.repeat(np.arange(12), 3)
    fake = replace(
        blobs({"a": 37, "b": 0, "c": 0}, prefix="fake"),
        patient_id=np.append(np.char.add("s", patient.astype(str)), "s5"),
        label=np.append(np.zeros(36, np.int64), 1),
    )
    held = sampling._held_out(fake)
    assert set(fake.patient_id[held]) == {"s5", "s11"}
    assert held.sum() == 7
    assert not set(fake.patient_id[held]) & set(fake.patient_id[~held])


def test_images_of_separate_patients_are_held_out_one_by_one():
    """Every sixth image of each class validates, as if there were no patients."""
    fake = blobs({"a": 13, "b": 7, "c": 5}, prefix="fake").select(np.random.default_rng(0).permutation(25))
    turn = positions(fake.label)
    assert np.array_equal(sampling._held_out(fake), turn % 6 == 5)


patients = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=50)


def of_patients(pairs):
    """Return images of these patients and classes."""
    patient, label = (np.array(v) for v in zip(*pairs, strict=True))
    base = blobs({"a": len(pairs), "b": 0, "c": 0})
    return replace(base, label=label, patient_id=np.char.add("p", patient.astype(str)))


@given(patients, st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_subsets_are_nested_and_keep_whole_patients_and_all_classes(pairs, one, other, seed):
    """A smaller share is a subset of a larger one; no patient is divided and no class is lost."""
    images = of_patients(pairs)
    small, large = (subset(images, share, seed) for share in sorted((one, other)))
    assert set(small.image_id) <= set(large.image_id)
    for training_set in (small, large):
        rest = set(images.image_id) - set(training_set.image_id)
        assert not training_set.patients() & images.select(np.isin(images.image_id, list(rest))).patients()
        assert set(training_set.label) == set(images.label)


def test_a_subset_has_the_share_of_the_patients_of_every_class():
    """A quarter of 40, 20 and 8 patients is 10, 5 and 2.

    Another seed draws others, and share 1 is the whole set.
    """
    images = blobs({"a": 80, "b": 40, "c": 16}, per_patient=2)
    training_set = subset(images, 0.25, seed=0)
    assert training_set.counts() == {"a": 20, "b": 10, "c": 4}
    assert set(subset(images, 0.25, seed=1).image_id) != set(training_set.image_id)
    assert subset(images, 1.0, seed=0).image_id.tolist() == images.image_id.tolist()


def test_a_multi_label_subset_has_every_finding():
    """The smallest subset has one of two patients with the rare finding.

    It has patients without findings too.
    """
    images = multilabel(blobs({"a": 40, "b": 2, "c": 0}))
    images = replace(images, label=np.vstack([images.label[:10] * 0, images.label[10:]]))
    training_set = subset(images, 0.05, seed=3)
    assert training_set.label[:, 1].sum() == 1
    assert (training_set.label.sum(1) == 0).any()


def test_a_class_added_by_a_label_policy_gets_no_synthetic_images():
    """'uncertain' is trained beside the task's two classes and is not requested from a generator."""
    train = blobs({"negative": 5, "positive": 3, "uncertain": 2})
    assert added_counts(train, Mix(), 7, ("negative", "positive")) == {"negative": 7, "positive": 7}


def test_training_on_synthetic_images_uses_no_real_image():
    """Of 12 images of each class, two choose the epoch and ten are trained on; none is real."""
    training_set = with_mix(training="synthetic", bracket=12)
    assert training_set.train.counts() == {"a": 10, "b": 10, "c": 10}
    assert training_set.val.counts() == {"a": 2, "b": 2, "c": 2}
    assert training_set.real is training_set.train
    assert all(i.startswith("fake") for part in (training_set.train, training_set.val) for i in part.image_id)


def test_synthetic_labels_take_the_form_of_the_training_labels():
    """Multi-label images get all known labels, else the requested class. Soft labels are certain."""
    fake, train = blobs({"a": 1, "b": 1, "c": 1}, prefix="f"), multilabel(blobs(COUNTS))
    assert with_labels_like(fake, train).label.tolist() == np.eye(3, dtype=int).tolist()
    report = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]], np.int8)
    assert with_labels_like(replace(fake, reported_labels=report), train).label.tolist() == [
        [1, 0, 0],
        [1, 1, 0],
        [0, 0, 1],
    ]
    soft = replace(blobs(COUNTS), soft=np.full((21, 3), 1 / 3, np.float32))
    assert with_labels_like(fake, soft).soft.tolist() == np.eye(3).tolist()


def test_multi_label_oversampling_uses_the_rarest_class():
    """An image counts as its rarest class; images without any class are their own stratum."""
    images = multilabel(blobs(COUNTS))
    images = replace(images, label=np.vstack([images.label[:-1], np.zeros((1, 3), np.uint8)]))
    assert np.bincount(stratum(images)).tolist() == [12, 6, 2, 1]


@given(labels, st.integers(0, 9), st.integers(0, 9))
def test_plain_epoch_shows_every_image_once(label, seed, epoch):
    """Without oversampling an epoch is a permutation of the images."""
    assert sorted(draw_order(label, oversample=False, seed=seed, epoch=epoch)) == list(range(len(label)))


@given(labels, st.integers(0, 9))
def test_oversampled_epoch_is_balanced_and_complete(label, seed):
    """With oversampling every class is as frequent as the largest, and no image is left out."""
    order = draw_order(label, oversample=True, seed=seed, epoch=0)
    counts = np.bincount(label[order])
    assert set(counts[counts > 0]) == {np.bincount(label).max()}
    assert set(order) == set(range(len(label)))


def test_batches_are_stateless():
    """The batch of a step does not depend on earlier requests, and epochs follow without a gap."""
    label = np.array([0, 1, 1, 0, 1])
    one = Batches(label, 3, oversample=False, seed=1)
    two = Batches(label, 3, oversample=False, seed=1)
    straight = np.concatenate([one[i] for i in range(10)])
    assert np.array_equal(two[7], one[7])
    for epoch in range(6):
        assert sorted(straight[5 * epoch : 5 * epoch + 5]) == [0, 1, 2, 3, 4]


def test_bracket_copies_no_image():
    """Real and synthetic images stay memory-mapped and read as one joined array."""
    train, fake = blobs(COUNTS, prefix="real"), blobs({"a": 50, "b": 50, "c": 50}, prefix="fake", seed=3)
    training_set = with_mix(train=train, fake=fake, bracket=4).train
    assert isinstance(training_set.image, LazyImages)
    first = np.concatenate([np.flatnonzero(fake.label == k)[:4] for k in range(3)])
    assert np.array_equal(training_set.image[:], np.concatenate([train.image, fake.image[first]]))
    rows = np.array([30, 0, 20, 21])
    assert np.array_equal(training_set.image[rows], np.asarray(training_set.image)[rows])
