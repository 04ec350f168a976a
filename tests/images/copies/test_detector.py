"""The copy detector: known copies, calibration, and the same result from stored models."""

from functools import cache

import numpy as np
import pytest

from benchmark.images.copies.alterations import KINDS, altered
from benchmark.images.copies.bank import Bank, drawn
from benchmark.images.copies.calibration import Calibration
from benchmark.images.copies.detector import CopyDetector, Matches
from benchmark.images.copies.model import CopyModel
from support.samples import blobs

KNOWN = 60


@cache
def pictures(count: int, seed: int) -> np.ndarray:
    """Return (count, 32, 32) pictures: a common shape, and details of each alone."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    common = 90 * np.exp(-4 * (x**2 + 0.5 * y**2)) + 40 * (np.hypot(x - 0.3, y + 0.4) < 0.3)
    noise = np.random.default_rng(seed).normal(size=(count, 32, 32))
    details = gaussian_filter(noise, (0, 1.2, 1.2))
    return np.clip(90 + common + 25 * details / details.std(), 0, 255).astype(np.uint8)


@cache
def bank() -> Bank:
    known = pictures(KNOWN, 0)
    return Bank.of(known, pictures(150, 1), CopyModel.learned(known))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "patch"])
def test_every_kind_of_copy_is_detected_and_named(kind):
    """At least 90 % of the copies count, most name the copied image, and new pictures count as expected."""
    rng, known = np.random.default_rng(3), pictures(KNOWN, 0)
    copies = altered(kind, known[:30], known[30:], rng)
    matches = bank().detector.match(copies)
    assert bank().copies(copies).rate >= 0.9
    named = bank().calibration.reference(matches)
    either = (named == np.arange(30)) | (named == np.arange(30, 60))
    assert either.mean() >= 0.9
    assert bank().copies(pictures(150, 2)).rate <= 0.05


def test_images_of_the_same_group_are_not_compared():
    """A picture among the references matches itself, unless both are of one group."""
    known = pictures(KNOWN, 0)
    groups = np.arange(KNOWN).astype(str)
    detector = CopyDetector(known, groups, bank().detector.model)
    assert detector.match(known).similarity[:, 0].min() > 0.999
    assert detector.match(known, groups).similarity[:, 0].max() < 0.95


def test_a_stored_model_gives_the_same_bytes():
    """Model and poses, written as arrays and read again, give the same matches."""
    known, some = pictures(KNOWN, 0), pictures(20, 5)
    first = bank().detector
    again = CopyDetector(known, None, CopyModel.of_arrays(first.model.arrays()), first.poses)
    for a, b in zip(vars(first.match(some)).values(), vars(again.match(some)).values(), strict=True):
        assert np.array_equal(a, b)


def test_scores_of_images_that_are_no_copies_follow_their_definition():
    """By hand: of one comparison in each group the score is the largest standardized similarity."""
    rng = np.random.default_rng(0)
    similarity = rng.normal(0, 1, (2000, 8))  # 4 windows, of which 3 see the whole; and aligned
    calibration = Calibration.of(similarity)
    assert calibration.bounds == (0, 3, 4, 7, 8)
    matches = Matches(np.zeros((1, 8)), np.arange(8)[None])
    matches.similarity[0, 3] = 10.0  # the only part before alignment
    part = similarity[:, 3]
    center, width = np.median(part), np.quantile(part, 0.95) - np.median(part)
    z = (part - center) / width
    expected = (10 - center) / width / (np.quantile(z, 0.985) - np.median(z))
    assert calibration.score(matches)[0] == pytest.approx(expected)
    assert calibration.reference(matches)[0] == 3
    assert (calibration.scores > 1).mean() == pytest.approx(4 * 0.015, abs=0.01)
    assert calibration.certain == pytest.approx(1.4 * calibration.scores.max())


def test_new_images_are_no_copies_at_the_rate_that_few_calibrating_images_allow():
    """The largest of 40 scores is exceeded by 1 of 41 new images or fewer; more if not cross-fitted."""
    rng = np.random.default_rng(0)
    over: list[tuple[float, float]] = []
    for _ in range(100):
        similarity = rng.normal(0, 1, (240, 40))
        matches = [Matches(part, np.zeros(part.shape, int)) for part in np.split(similarity, [40])]
        calibration = Calibration.of(matches[0].similarity)
        own, new = (calibration.score(part) for part in matches)
        over.append(((new > calibration.scores.max()).mean(), (new > own.max()).mean()))
    cross_fitted, fitted = np.mean(over, 0)
    assert 0.3 / 41 < cross_fitted < 1.1 / 41
    assert fitted > 2 / 41


def test_which_images_are_drawn_depends_on_the_content_of_all():
    """The same set gives the same images; one other pixel anywhere gives others."""
    images = blobs({"a": 200}, size=8)
    first, again = drawn(images, 20), drawn(images, 20)
    assert len(first) == 20
    assert first.image_id.tolist() == again.image_id.tolist()
    images.image[-1, 0, 0] ^= 1
    assert drawn(images, 20).image_id.tolist() != first.image_id.tolist()
