"""Detection of copies, and no false alarms among different images."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from benchmark.datasets.phantom import chest
from benchmark.errors import DataError
from benchmark.images import duplicates
from benchmark.images.lazy import LazyImages
from benchmark.images.symmetries import changes_of

SIZE, COUNT, PLANTED = 64, 600, 60


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that saves as JPEG and reads again."""

    def saved(picture: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return saved


def scaled(side: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that resizes to ``side`` and back."""

    def there_and_back(picture: np.ndarray) -> np.ndarray:
        other = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
        return np.asarray(other.resize(picture.shape[::-1], Image.Resampling.BICUBIC))

    return there_and_back


def shifted(picture: np.ndarray) -> np.ndarray:
    """Shift by one pixel to the right and one down."""
    return np.pad(picture, 1, mode="edge")[:SIZE, :SIZE]


def noisy(picture: np.ndarray) -> np.ndarray:
    """Add noise of two gray values."""
    noise = np.random.default_rng(5).normal(0, 2, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "darker and flatter": lambda p: (p * 0.8 + 25).astype(np.uint8),
    "jpeg 75": jpeg(75),
    "jpeg 40": jpeg(40),
    "smaller and back": scaled(48),
    "larger and back": scaled(128),
    "shifted": shifted,
    "noise": noisy,
}


@dataclass(frozen=True, eq=False)
class Planted:
    """Phantoms of distinct patients, and copies of some under other names."""

    image: np.ndarray
    source: np.ndarray  # index of the original of each image
    kind: np.ndarray


@pytest.fixture(scope="module")
def planted() -> Planted:
    """600 phantoms, 60 of them copied in seven ways."""
    drawn = np.stack(
        [chest.draw(chest.CLASSES[i % 5], seed=3, index=i, size=SIZE).image for i in range(COUNT)]
    )
    copied = np.arange(0, COUNT, COUNT // PLANTED)
    images = [drawn, *(np.stack([change(drawn[i]) for i in copied]) for change in COPIES.values())]
    kinds = [np.full(COUNT, ""), *(np.full(len(copied), name) for name in COPIES)]
    sources = [np.arange(COUNT), *(copied for _ in COPIES)]
    return Planted(np.concatenate(images), np.concatenate(sources), np.concatenate(kinds))


@pytest.fixture(scope="module")
def pairs(planted: Planted) -> list[duplicates.Pair]:
    """The pairs that a scan reports."""
    result = duplicates.scan(planted.image)
    return duplicates.same_picture(planted.image, result, np.arange(len(planted.image)))


@pytest.mark.parametrize("kind", list(COPIES))
def test_planted_copies_are_detected(planted, pairs, kind):
    """At least 98 % of the copies of each kind are paired with their original."""
    of_original = {(p.first, p.second) for p in pairs}
    rows = np.flatnonzero(planted.kind == kind)
    exact = [np.array_equal(planted.image[planted.source[r]], planted.image[r]) for r in rows]
    detected = [(int(planted.source[r]), int(r)) in of_original for r in rows]
    assert np.mean(np.logical_or(detected, exact)) >= 0.98


def test_different_images_are_not_reported(planted, pairs):
    """None of the 180,000 pairs of different patients is reported as a copy."""
    wrong = [p for p in pairs if planted.source[p.first] != planted.source[p.second]]
    assert wrong == []


def test_hash_bits_lose_no_confirmed_copies(planted, pairs):
    """On a few images, comparing every pair without bits gives no further pair."""
    some = np.flatnonzero(planted.source < 30)
    every = np.stack(np.triu_indices(len(some), 1), axis=1)
    alike = duplicates._similarity(planted.image[some], every) >= duplicates.SAME_DETAIL
    exact = [np.array_equal(*planted.image[some[pair]]) for pair in every]
    reported = {(p.first, p.second) for p in pairs}
    missed = [
        tuple(some[p]) for p in every[alike & ~np.array(exact)] if tuple(some[p].tolist()) not in reported
    ]
    assert len(missed) <= 0.02 * alike.sum()


def test_images_of_one_patient_are_not_compared(planted):
    """Pairs within a group are skipped: frames of one video look alike."""
    result = duplicates.scan(planted.image)
    assert duplicates.same_picture(planted.image, result, planted.source) == []


def test_exact_copies_are_grouped():
    """Every group of identical images is reported in order; a single image is not a group."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 20, 20), np.uint8)
    image[4] = image[5] = image[1]
    image[3] = image[0]
    groups = duplicates.same_bytes(duplicates.scan(image))
    assert [g.tolist() for g in groups] == [[0, 3], [1, 4, 5]]


def test_broken_and_blank_images_are_recorded():
    """An unreadable image is named with its fault, a blank one is marked, and the rest is scanned."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (300, 16, 16), np.uint8)
    image[7] = 3

    def read(row: int) -> np.ndarray:
        if row == 290:
            raise DataError("x.png", "is corrupt", "Replace it.")
        return image[row]

    result = duplicates.scan(LazyImages.each(read, 300, 16))
    assert result.broken == ((290, "x.png: is corrupt"),)
    assert result.indices.tolist() == [i for i in range(300) if i != 290]
    assert np.flatnonzero(result.empty).tolist() == [7]


@pytest.mark.parametrize("size", [16, 28, 64, 100])
def test_two_images_are_enough(size):
    """In the smallest set of any image size, a copy is reported and a different image is not."""
    image = np.stack([chest.draw("viral", seed=1, index=i, size=size).image for i in (1, 2)])
    image = np.concatenate([image, (image[:1] * 0.9 + 10).astype(np.uint8)])
    result = duplicates.scan(image)
    assert [(p.first, p.second) for p in duplicates.same_picture(image, result, np.arange(3))] == [(0, 2)]


def test_every_candidate_pair_occurs_once():
    """The pairs of equal bands are complete and unique, also when they come in several parts."""
    rng = np.random.default_rng(2)
    queries, candidates = rng.integers(0, 4, 30).astype(np.uint16), rng.integers(0, 4, 20).astype(np.uint16)
    order = np.argsort(candidates, kind="stable")
    pairs_at_once = duplicates._PAIRS
    duplicates._PAIRS = 7
    try:
        parts = list(duplicates._meetings(queries, candidates[order], order))
    finally:
        duplicates._PAIRS = pairs_at_once
    got = sorted((int(i), int(j)) for a, b in parts for i, j in zip(a, b, strict=True))
    assert len(parts) > 5
    assert got == [(i, j) for i in range(30) for j in range(20) if queries[i] == candidates[j]]


@pytest.mark.parametrize("kind", ["exact", "jpeg 40", "noise"])
def test_symmetric_copies_are_detected(kind):
    """Each of the fifteen forms of an image, also saved again, is paired with it, and nothing else is."""
    drawn = np.stack([chest.draw("viral", seed=4, index=i, size=SIZE).image for i in range(60)])
    forms = changes_of(SIZE, SIZE)
    alter = COPIES.get(kind, lambda picture: picture)
    copies = np.stack([alter(np.ascontiguousarray(c(drawn[k : k + 1])[0])) for k, c in enumerate(forms)])
    image = np.concatenate([drawn, copies])
    pairs = duplicates.same_picture(image, duplicates.scan(image, symmetric=True), np.arange(len(image)))
    assert {(p.first, p.second): p.change for p in pairs} == {(k, 60 + k): c for k, c in enumerate(forms)}
    assert duplicates.same_picture(image, duplicates.scan(image), np.arange(len(image))) == []
