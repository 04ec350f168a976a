"""The segmenter of findings on drawn discs with a known truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

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
    trained = segmenter.train(discs(40, 0), 0, "cpu", steps=60).calibrated(discs(10, 3))
    held_out = discs(20, 1)
    found = trained.find(held_out.image, np.ones(40, np.int64))
    dice, _ = overlap(found, held_out.mask)
    assert dice[held_out.label == 1].mean() > 0.75
    assert (found[held_out.label == 0] > 0).mean() < 0.02
    trained.save(tmp_path)
    loaded = segmenter.load(tmp_path, 2, "cpu")
    assert np.array_equal(loaded.thresholds, trained.thresholds)
    assert np.array_equal(loaded.find(held_out.image, np.ones(40, np.int64)), found)


def test_equal_seeds_give_equal_segmenters() -> None:
    """Two trainings with one seed find the same; the global state does not matter."""
    images = discs(10, 2)
    first, second = (segmenter.train(images, 3, "cpu", steps=3).network.state_dict() for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)


def test_the_threshold_of_a_class_is_that_of_the_best_dice() -> None:
    """Shares of 0.3 inside and 0.1 outside give a threshold between; a class without masks keeps its own."""
    images = discs(5, 0)

    class Known(segmenter.Segmenter):
        def shares(self, pixels: np.ndarray, label: np.ndarray) -> np.ndarray:
            return np.where(images.mask > 127, 0.3, 0.1).astype(np.float32)

    start = Known(None, "cpu", np.array([0.5, 0.5]))  # type: ignore[arg-type]
    assert start.find(images.image, images.label).max() == 0
    trained = start.calibrated(images)
    assert trained.thresholds[0] == 0.5
    assert 0.1 <= trained.thresholds[1] < 0.3
    assert np.array_equal(trained.find(images.image, images.label), images.mask)


def test_the_mean_mask_by_hand() -> None:
    """Of masks that all have one pixel, and each another one, the common pixel is the best guess."""
    masks = np.zeros((6, 8, 8), np.uint8)
    masks[:, 4, 4] = 255
    masks[np.arange(1, 6), 0, np.arange(1, 6)] = 255
    images = blobs({"a": 1, "b": 5}, size=8)
    guess = segmenter.mean_mask(replace(images, mask=masks))
    assert np.argwhere(guess[1]).tolist() == [[4, 4]]


def test_the_loss_of_a_nodule_is_that_of_a_heart() -> None:
    """A pixel missed in a finding of 1 % of the image costs as much as ten in one of 10 %."""
    area = torch.tensor([segmenter.LEAST, 0.01, 0.1])
    score, label = torch.zeros(1, 3, 10, 10), torch.tensor([1])
    base = segmenter._loss(score, torch.zeros(1, 1, 10, 10), label, area)
    assert base.item() == pytest.approx(np.log(2) * (1 / 0.01 + 1 / 0.1) / 2, rel=1e-5)
    sure = score.clone()
    sure[:, 1, :1, :1] = -20  # one pixel of the small finding, ten of the large one
    small = base - segmenter._loss(sure, torch.zeros(1, 1, 10, 10), label, area)
    sure = score.clone()
    sure[:, 2, :1, :] = -20
    assert (base - segmenter._loss(sure, torch.zeros(1, 1, 10, 10), label, area)).item() == pytest.approx(
        small.item(), rel=1e-3
    )
