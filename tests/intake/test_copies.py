"""Submitted images that copy hidden real images, or one another."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmark.errors import SubmissionError
from benchmark.images.copies.alterations import altered
from benchmark.images.duplicates import moved
from benchmark.images.image_set import ImageSet
from benchmark.intake.copies import Hidden, count_copies, hidden_images, validate_no_copies
from support.samples import blobs


def textures(count: int, seed: int) -> np.ndarray:
    """Return (count, 64, 64) pictures with distinct details."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=(count, 64, 64))
    smooth = gaussian_filter(noise, (0, 1.2, 1.2))
    return np.clip(128 + 120 * smooth / np.abs(smooth).max((1, 2), keepdims=True), 0, 255).astype(np.uint8)


def of_pixels(pixels: np.ndarray) -> ImageSet:
    return replace(blobs({"a": len(pixels)}, size=64), image=pixels, classes=("a",))


REAL, TRAIN = of_pixels(textures(60, 1)), of_pixels(textures(200, 3))


@cache
def hidden() -> dict[str, Hidden]:
    return hidden_images({"test": REAL}, TRAIN)


def submit(pixels: np.ndarray, own: dict[str, Hidden] | None = None) -> None:
    where = [f"s/a/{k}.png" for k in range(len(pixels))]
    validate_no_copies(of_pixels(pixels), where, own or hidden())


def test_repeats_among_samples_are_counted():
    """Of twenty pictures one is repeated twice and one moved by a pixel: 2 exact and 1 near copies."""
    pixels = textures(20, 0)
    again = np.concatenate([pixels, pixels[3:4], pixels[3:4], moved(pixels[5:6], (0, 1))])
    assert count_copies(of_pixels(again)) == (2, 1)
    assert count_copies(of_pixels(pixels)) == (0, 0)


def test_one_sample_with_the_pixels_of_a_test_image_is_refused():
    """The error names the sample and the test image; the other pictures pass."""
    own = textures(200, 2)
    submit(own)
    own[11] = REAL.image[7]
    with pytest.raises(SubmissionError, match=r"s/a/11\.png: is a copy of the real image 'p-00007' of test"):
        submit(own)


@pytest.mark.parametrize("change", ["moved", "brighter", "mirrored", "inverted"])
def test_one_evident_copy_is_refused(change):
    """One altered copy among 200 is named with the test image."""
    own, leak = textures(200, 2), REAL.image[[7]]
    changed = {
        "moved": moved(leak, (1, 0)),
        "brighter": (leak * 0.8 + 30).astype(np.uint8),
        "mirrored": leak[:, :, ::-1],
        "inverted": 255 - leak,
    }
    own[11] = changed[change][0]
    match = r"s/a/11\.png: looks like .* copy of the real image 'p-00007' of test, as do 0 more of 200"
    with pytest.raises(SubmissionError, match=match):
        submit(own)


@pytest.mark.parametrize("kind", ["rotated", "shifted", "zoomed", "cropped", "warped", "half"])
def test_copies_that_are_not_evident_one_by_one_are_refused_together(kind):
    """Fifty altered test images among 200 samples are refused."""
    own = textures(200, 2)
    own[:50] = altered(kind, REAL.image[:50], np.roll(REAL.image[:50], 1, 0), np.random.default_rng(0))
    with pytest.raises(SubmissionError, match="copy of the real image"):
        submit(own)


def test_copies_of_any_hidden_split_are_refused():
    """A copy of a reserve image is refused as one of reserve."""
    own, other = textures(200, 2), of_pixels(textures(60, 8))
    own[3] = other.image[5][:, ::-1]
    with pytest.raises(SubmissionError, match=r"s/a/3\.png: .*'p-00005' of reserve"):
        submit(own, hidden() | hidden_images({"reserve": other}, TRAIN))


def test_chance_similarity_of_patients_is_not_a_copy():
    """A sample passes if a training image is as close to the test image as the sample is."""
    rng = np.random.default_rng(0)
    noisy, noisier = (
        np.clip(REAL.image[[7]] + rng.normal(0, sd, (1, 64, 64)), 0, 255).astype(np.uint8) for sd in (4, 6)
    )
    train = of_pixels(np.concatenate([TRAIN.image, noisy]))
    with pytest.raises(SubmissionError, match="copy"):
        submit(noisier)
    submit(noisier, hidden_images({"test": REAL}, train))
