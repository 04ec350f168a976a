"""The segmenter of findings on drawn discs with a known truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import overlap
from benchmark.metrics.segmenter import segmenter
from support.samples import blobs


def discs(n: int, seed: int) -> ImageSet:
    """Return noise without (class a) or with a bright disc (class b), and masks."""
    images = blobs({"a": n, "b": n}, size=16, seed=seed)
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((16, 16))
    center, radius = rng.uniform(5, 11, (2, 2 * n, 1, 1)), rng.uniform(2, 4, (2 * n, 1, 1))
    inside = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2
    inside &= (images.label == 1)[:, None, None]
    pixels = (rng.normal(80, 15, inside.shape) + 90 * inside).clip(0, 255).astype(np.uint8)
    return replace(images, image=pixels, mask=np.where(inside, 255, 0).astype(np.uint8))


def test_it_finds_lesions_that_it_never_saw(tmp_path: Path) -> None:
    """Discs of other images are found, nothing where there are none; a saved segmenter finds the same."""
    trained = segmenter.train(discs(40, 0), 0, "cpu", steps=50)
    held_out = discs(20, 1)
    found = trained.find(held_out.image, np.ones(40, np.int64))
    dice, _ = overlap(found, held_out.mask)
    assert dice[held_out.label == 1].mean() > 0.75
    assert (found[held_out.label == 0] > 0).mean() < 0.02
    trained.save(tmp_path)
    loaded = segmenter.load(tmp_path, 2, "cpu")
    assert np.array_equal(loaded.find(held_out.image, np.ones(40, np.int64)), found)


def test_equal_seeds_give_equal_segmenters() -> None:
    """Two trainings with one seed find the same; the global state does not matter."""
    images = discs(10, 2)
    first, second = (segmenter.train(images, 3, "cpu", steps=3).network.state_dict() for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)
