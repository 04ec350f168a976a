"""Train the segmenter that finds lesions for metrics, on real training images and their masks."""

from typing import Any

import numpy as np
from pydantic import Field

from benchmark.engine.node import StageConfig
from benchmark.images.image_set import ImageSet
from benchmark.metrics.segmenter import version as code
from benchmark.stages.job import SEGMENTER, Job
from benchmark.stages.records import StageResult

LOGGED = 50  # approximate number of entries in the curve


class SegmentConfig(StageConfig, stage="segment", version="1", seconds=60.0):
    """Configuration of ``segment``; ``code`` is the version of the segmenter."""

    code: str = Field(default=code)
    device: str


class SegmentResult(StageResult):
    """A training; ``classes`` outputs, 0 where no training image has a mask."""

    classes: int


def segment(job: Job[SegmentConfig]) -> SegmentResult:
    """Train a segmenter on the real training images, and save it; without masks only leave a note."""
    from benchmark.metrics.segmenter import segmenter

    train = job.splits().train.to_single_label()
    if train.mask is None or not any((mask > 0).any() for mask in train.mask):
        return SegmentResult(classes=0, notes=["no lesion is segmented: the training images have no masks"])
    every = max(1, segmenter.STEPS // LOGGED)

    def report(step: int, loss: float) -> None:
        if step % every == 0:
            job.log(step, {"loss": loss})
            job.progress(step / segmenter.STEPS)

    trained = segmenter.train(train, job.node.seed, job.config.device, report=report)
    trained.save(job.out)
    return SegmentResult(classes=len(train.classes))


def found_masks(job: Job[Any], images: ImageSet, device: str) -> np.ndarray | None:
    """Return (N, H, W) uint8, 255 inside the finding that the segmenter sees; None without a segmenter."""
    from benchmark.metrics.segmenter import segmenter

    about = job.read(SEGMENTER, SegmentResult)
    if not about.classes:
        return None
    return segmenter.load(job.input(SEGMENTER), about.classes, device).find(images.image, images.label)
