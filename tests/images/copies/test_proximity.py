"""Nearness to training patients: its null, its arithmetic, and copies too faint for a threshold."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark.datasets.phantom.chest import draw
from benchmark.images.copies.proximity import Proximity, comparable
from benchmark.images.copies.rates import Nearness
from benchmark.images.image_set import ImageSet
from support.samples import blobs


def patients(n: int, first: int) -> ImageSet:
    images = np.stack([draw("healthy", seed=5, index=first + i, size=32).image for i in range(n)])
    return replace(blobs({"healthy": n}, prefix=f"p{first}"), image=images)


@cache
def search() -> tuple[ImageSet, ImageSet, Proximity]:
    train, unseen = patients(150, 0), patients(150, 1000)
    proximity = Proximity.of(train, unseen, patients(100, 2000).image)
    assert proximity is not None
    return train, unseen, proximity


def test_new_patients_are_as_near_to_either_side():
    """Images that no patient of either side influenced are nearest to a training patient by chance."""
    new = patients(150, 3000)
    near = search()[2].nearness(new.image)
    assert abs(near.share - 0.5) < 3 * near.error
    blurred = np.stack([gaussian_filter(image, 3) for image in new.image])
    assert not search()[2].nearness(blurred).excess


def test_faint_copies_are_nearer_to_training_patients():
    """Blurred and noisy training images, and means of three, are in excess; those of unseen ones are not."""
    train, unseen, proximity = search()
    rng = np.random.default_rng(0)

    def faint(images: np.ndarray) -> np.ndarray:
        smooth = np.stack([gaussian_filter(image.astype(float), 1.2) for image in images])
        return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)

    def means(images: np.ndarray) -> np.ndarray:
        return np.stack([images[rng.permutation(len(images))[:3]].mean(0) for _ in images]).astype(np.uint8)

    for change in (faint, means):
        assert proximity.nearness(change(train.image)).excess
        assert proximity.nearness(change(unseen.image)).share < 0.3


def test_images_of_few_patients_say_little():
    """By hand: of two patients with a half of the images each, the error is half of sqrt(1/4 + 1/4)."""
    proximity = search()[2]
    half = len(proximity.patient) // 2
    both = proximity.nearness_of(np.repeat([0, half], 50))
    assert (both.share, both.n) == (0.5, 100)
    assert both.error == pytest.approx(0.5 * np.sqrt(0.5))
    one = proximity.nearness_of(np.zeros(100, int))
    assert (one.share, one.error, one.excess) == (1.0, 0.5, False)
    assert proximity.nearness_of(np.arange(half)).error == pytest.approx(0.5 / np.sqrt(half))


@pytest.mark.parametrize(
    ("share", "error", "excess"), [(0.70, 0.05, True), (0.67, 0.05, False), (0.5, 0.0, False)]
)
def test_the_verdict_follows_from_share_and_error(share, error, excess):
    """The share less 2.576 errors must exceed 0.55."""
    assert Nearness.of(share, error, 100).excess is excess


def test_chance_assignment_of_patients_rarely_gives_an_excess():
    """Images that prefer some of 60 patients, which are divided at random: 1 in 100 or fewer."""
    rng = np.random.default_rng(1)
    weight = rng.dirichlet(np.full(60, 0.5), 1000)
    share = np.array([own[rng.permutation(60)[:30]].sum() for own in weight])
    error = 0.5 * np.sqrt((weight**2).sum(1))
    excess = [Nearness.of(float(s), float(e), 100).excess for s, e in zip(share, error, strict=True)]
    assert np.mean(excess) < 0.01


def test_images_of_both_sides_match_in_labels_and_patients():
    """As many of each label, those of train from no more patients than those of unseen."""
    train, unseen = blobs({"a": 60, "b": 20}, per_patient=3), blobs({"a": 30, "b": 40}, prefix="u")
    known, other = comparable(train, unseen)
    assert train.label[known].tolist() == unseen.label[other].tolist()
    assert np.bincount(train.label[known]).tolist() == [30, 20]
    assert len(set(unseen.patient_id[other])) == 50
    few = blobs({"a": 60, "b": 20}, prefix="u", per_patient=10)
    known, other = comparable(train, few)
    for label, most in ((0, 6), (1, 2)):
        assert len(set(train.patient_id[known][train.label[known] == label])) <= most
    assert not len(comparable(train.select(train.label == 0), unseen.select(unseen.label == 1))[0])


def test_a_stored_search_gives_the_same_nearness():
    """Written as arrays and read with the same images."""
    train, unseen, proximity = search()
    again = Proximity.of_arrays(proximity.arrays(), train, unseen)
    some = patients(20, 4000).image
    assert again.nearness(some) == proximity.nearness(some)


def test_too_few_patients_are_not_compared():
    """Nine training patients are below the least number."""
    few = patients(9, 0)
    assert Proximity.of(few, patients(50, 1000), few.image) is None
