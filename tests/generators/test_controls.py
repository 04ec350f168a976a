"""Control generators and the known answers that they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.errors import GeneratorError
from benchmark.generators import copycat, duplicate_real, noise, oracle, traditional
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.stages.samples import check_samples
from support.fit_context import FakeContext
from support.samples import blobs

COUNTS = {"a": 5, "b": 3, "c": 2}
TRAIN = blobs(COUNTS, size=16)


def smooth(size: int, count: int = 6) -> ImageSet:
    """Return images with one broad bump on black, far from the border; three of each of two classes."""
    grid = np.arange(size) - (size - 1) / 2
    image = np.empty((count, size, size), np.uint8)
    for i, out in enumerate(image):
        out[:] = 200 * np.exp(-(grid[:, None] ** 2 + (grid - i / 4) ** 2) / (size / 6) ** 2)
    base = blobs({"a": count // 2, "b": count - count // 2}, size=size)
    return ImageSet(image, base.label, base.classes, base.image_id, base.patient_id, base.origin)


def sample(module: Any, train: ImageSet, label: list[int], folder: Path, **params: Any) -> Samples:
    """Fit a generator and sample from it."""
    generator = module.Generator(module.Params(**params))
    context = FakeContext(folder, image_size=train.size, classes=train.classes, labels=(0, 1))
    generator.fit(train, context)
    request = SampleRequest(np.array(label), train.classes, train.size)
    return check_samples(generator.sample(request, SampleContext(seed=3)), request, "g")


def hashes(images: np.ndarray) -> list[bytes]:
    """Return one hash per image."""
    return [i.tobytes() for i in images]


def test_duplicates_are_training_images_of_the_class(tmp_path: Path) -> None:
    """Ten of a class with five images give each exactly twice, pixel for pixel, and each names its source."""
    drawn = sample(duplicate_real, TRAIN, [0] * 10, tmp_path)
    assert sorted(hashes(drawn.image)) == sorted(2 * hashes(TRAIN.of_class(0).image))
    place = {name: row for row, name in enumerate(TRAIN.image_id.tolist())}
    assert np.array_equal(drawn.image, TRAIN.image[[place[name] for name in drawn.source_id]])


def test_oracle_draws_from_the_reserve(tmp_path: Path) -> None:
    """Images of the reserve are distinct until exhausted, then repeat."""
    reserve = blobs({"a": 3, "b": 3, "c": 3}, seed=7)
    control = oracle.Oracle(oracle.Params())
    control.fit(TRAIN, FakeContext(tmp_path, reserve=reserve))
    drawn = control.sample(SampleRequest(np.full(5, 1), TRAIN.classes, 16), SampleContext())
    assert sorted(hashes(drawn.image[:3])) == sorted(hashes(reserve.of_class(1).image))
    assert len(set(hashes(drawn.image[3:]))) == 2
    assert set(drawn.source_id) == set(reserve.of_class(1).image_id)


@pytest.mark.parametrize(
    ("reserve", "problem"),
    [(None, "no reserve"), (blobs({"a": 3, "b": 3, "c": 0}, seed=7), "no image of class 'c'")],
)
def test_oracle_needs_a_reserve_of_every_class(
    reserve: ImageSet | None, problem: str, tmp_path: Path
) -> None:
    """Without a reserve, or a class in it, the error names what is missing and the remedy."""
    with pytest.raises(GeneratorError, match=problem) as error:
        oracle.Oracle(oracle.Params()).fit(TRAIN, FakeContext(tmp_path, reserve=reserve))
    assert "split.reserve" in error.value.remedy


def test_copycat_is_near_and_not_equal(tmp_path: Path) -> None:
    """The nearest training image of a copy is of its class, and no copy equals it."""
    train = smooth(32)
    drawn = sample(copycat, train, [0, 1] * 20, tmp_path)
    flat = train.image.reshape(6, -1).astype(float)
    distance = np.abs(drawn.image.reshape(40, 1, -1) - flat).mean(2)
    assert distance.min(1).min() > 0
    assert distance.min(1).max() < 12  # of 255; the six differ by up to a pixel and a quarter


def test_copycat_without_changes_is_the_image(tmp_path: Path) -> None:
    """With every limit at zero the copies are exact."""
    drawn = sample(copycat, TRAIN, [0, 1, 2], tmp_path, shift=0, brightness=0, contrast=0, noise=0)
    assert set(hashes(drawn.image)) <= set(hashes(TRAIN.image))


def test_traditional_without_changes_is_the_image(tmp_path: Path) -> None:
    """Without movement, and with probability zero of the rest, images are unchanged."""
    drawn = sample(traditional, TRAIN, [0, 1, 2], tmp_path, shift=0, scale=0, rotate=0, probability=0)
    assert set(hashes(drawn.image)) <= set(hashes(TRAIN.image))


def center_of_mass(images: np.ndarray) -> np.ndarray:
    """Return (N, 2) row and column."""
    weight, place = images.astype(float), np.arange(images.shape[1])
    total = weight.sum((1, 2))
    rows = (weight.sum(2) * place).sum(1) / total
    columns = (weight.sum(1) * place).sum(1) / total
    return np.stack([rows, columns], 1)


def test_traditional_shifts_up_to_its_limit(tmp_path: Path) -> None:
    """At a tenth of 64 pixels, shifts reach 5 pixels and stay below 6.4 plus rounding."""
    train = smooth(64, 2)
    drawn = sample(traditional, train, [0] * 200, tmp_path, scale=0, rotate=0, probability=0)
    moved = np.abs(center_of_mass(drawn.image) - center_of_mass(train.image[:1]))
    assert 5.5 < moved.max() < 6.6


def test_traditional_scales_about_the_center(tmp_path: Path) -> None:
    """At a scale within 30 percent, the bump's area is 0.7 ** 2 to 1.3 ** 2, and its center stays."""
    train = smooth(64, 2)
    drawn = sample(traditional, train, [0] * 200, tmp_path, scale=0.3, shift=0, rotate=0, probability=0)
    area = (drawn.image > 100).sum((1, 2)) / (train.image[0] > 100).sum()
    assert area.min() == pytest.approx(0.49, abs=0.05)
    assert area.max() == pytest.approx(1.69, abs=0.05)
    assert np.abs(center_of_mass(drawn.image) - 31.5).max() < 0.3


def test_traditional_does_not_flip(tmp_path: Path) -> None:
    """A bright left half stays left: the heart is on one side."""
    train = smooth(32, 2)
    train.image[:, :, :16] = 250
    train.image[:, :, 16:] = 20
    drawn = sample(traditional, train, [0] * 100, tmp_path).image
    assert (drawn[:, 12:20, 6:12].mean((1, 2)) > drawn[:, 12:20, 20:26].mean((1, 2))).all()


def test_noise_has_histograms_of_the_training_images(tmp_path: Path) -> None:
    """Every image has exactly the gray values of one training image, permuted."""
    drawn = sample(noise, TRAIN, [0, 1, 2] * 5, tmp_path)
    known = {np.sort(i, axis=None).tobytes() for i in TRAIN.image}
    assert {np.sort(i, axis=None).tobytes() for i in drawn.image} <= known
    assert not set(hashes(drawn.image)) & set(hashes(TRAIN.image))


def test_noise_carries_no_label(tmp_path: Path) -> None:
    """Other labels with the same seed give the same images."""
    one, two = (sample(noise, TRAIN, label, tmp_path) for label in ([0] * 6, [2, 1, 2, 1, 2, 1]))
    assert np.array_equal(one.image, two.image)


def test_noise_has_the_spectrum_but_not_the_anatomy(tmp_path: Path) -> None:
    """Neighboring pixels correlate as in the training images, but the mean image does not resemble theirs."""
    train = smooth(32)
    drawn = sample(noise, train, [0] * 300, tmp_path).image.astype(float)
    real = train.image.astype(float)

    def neighbors(x: np.ndarray) -> float:
        return float(np.corrcoef(x[:, :, 1:].ravel(), x[:, :, :-1].ravel())[0, 1])

    assert neighbors(drawn) == pytest.approx(neighbors(real), abs=0.06)
    assert drawn.mean(0).std() < 0.15 * real.mean(0).std()
