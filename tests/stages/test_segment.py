"""The stage that trains the segmenter: with masks, and without."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.engine.node import Node
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.metrics.segmenter import segmenter
from benchmark.stages.job import DATA, SEGMENTER, Job
from benchmark.stages.segment import SegmentConfig, held_out_dice, segment, segmentation
from support.samples import blobs


def trained(folder: Path, change: dict[str, Any]) -> tuple[Job[Any], ImageSet]:
    """Run the stage on blobs with these columns; return a job that reads its result, and images."""
    parts = [replace(blobs({"a": 6, "b": 6}, seed=i, prefix=f"s{i}"), **change) for i in range(4)]
    for name in ("data", "out", "work"):
        (folder / name).mkdir()
    arrow.write_splits(folder / "data", Splits(*parts))
    node = Node("segment", SegmentConfig(device="cpu"), {DATA: ("data",)})
    job: Job[Any] = Job(node, {DATA: (folder / "data",)}, folder / "out", folder / "work")
    job.write(segment(job))
    return replace(job, inputs={SEGMENTER: (folder / "out",)}), parts[2]


def test_masks_train_a_segmenter_that_metrics_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With masks of train, lesions of other images are looked for, each that of its image's class."""
    monkeypatch.setattr(segmenter, "STEPS", 2)
    monkeypatch.setattr(segmenter.train, "__defaults__", (2, None))
    job, images = trained(tmp_path, {"mask": np.full((12, 16, 16), 255, np.uint8)})
    result = segmentation(job, images, "cpu")
    assert result is not None
    lesions, able = result
    assert lesions.shape == images.image.shape
    assert set(np.unique(lesions)) <= {0, 255}
    assert able.tolist() == [False, False]  # the mean mask is perfect where every mask is full
    assert "a is not segmented: Dice" in (tmp_path / "out" / "result.json").read_text()


def test_held_out_dice_is_compared_with_the_guess() -> None:
    """Perfect lesions beat a guess of half their Dice, equal ones do not; few lesions are not judged."""
    masks = np.zeros((18, 16, 16), np.uint8)
    masks[:, :4, :4] = 255
    images = replace(blobs({"a": 7, "b": 7, "c": 4}), mask=masks)
    lesions, guess = masks.copy(), np.repeat(masks[:1], 3, 0)
    guess[0] = 0
    guess[0, :4, 2:6] = 255
    dice = held_out_dice(lesions, guess, images)
    assert {name: (own.segmenter, own.mean_mask, own.n, own.better) for name, own in dice.items()} == {
        "a": (1.0, 0.5, 7, True),
        "b": (1.0, 1.0, 7, False),
    }


@pytest.mark.parametrize("mask", [None, np.zeros((12, 16, 16), np.uint8)], ids=["none", "empty"])
def test_without_masks_nothing_is_found(mask: Any, tmp_path: Path) -> None:
    """A source without masks leaves a note, and the metrics have no found masks."""
    job, images = trained(tmp_path, {"mask": mask})
    assert segmentation(job, images, "cpu") is None
    assert "no masks" in (tmp_path / "out" / "result.json").read_text()
