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
from benchmark.stages.segment import SegmentConfig, found_masks, segment
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
    found = found_masks(job, images, "cpu")
    assert found is not None
    assert found.shape == images.image.shape
    assert set(np.unique(found)) <= {0, 255}


@pytest.mark.parametrize("mask", [None, np.zeros((12, 16, 16), np.uint8)], ids=["none", "empty"])
def test_without_masks_nothing_is_found(mask: Any, tmp_path: Path) -> None:
    """A source without masks leaves a note, and the metrics have no found masks."""
    job, images = trained(tmp_path, {"mask": mask})
    assert found_masks(job, images, "cpu") is None
    assert "no masks" in (tmp_path / "out" / "result.json").read_text()
