"""Train the segmenter that finds lesions for metrics, on real training images and their masks."""

from typing import Any

import numpy as np
from pydantic import Field

from benchmark.engine.node import StageConfig
from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import INSIDE, overlap
from benchmark.metrics.segmenter import version as code
from benchmark.stages.job import SEGMENTER, Job
from benchmark.stages.records import Record, StageResult

LOGGED = 50  # approximate number of entries in the curve
FEWEST = 5  # held-out lesions of a class, below which its segmentation is not judged
ERRORS = 2.0  # standard errors by which the segmenter must exceed the mean mask


class SegmentConfig(StageConfig, stage="segment", version="2", seconds=40.0):
    """Configuration of ``segment``; ``code`` is the version of the segmenter."""

    code: str = Field(default=code)
    device: str


class HeldOutDice(Record):
    """Mean Dice over the n held-out real lesions of a class: of the segmenter, and of the mean training mask.

    ``better`` where the segmenter's is higher by ``ERRORS`` standard errors of the paired difference.
    """

    segmenter: float
    mean_mask: float
    n: int
    better: bool


class SegmentResult(StageResult):
    """A training; ``classes`` outputs, 0 where no training image has a mask.

    ``dice`` by class is measured on *val*, which also chose the thresholds.
    """

    classes: int
    dice: dict[str, HeldOutDice] = {}

    @property
    def blind(self) -> frozenset[str]:
        """The classes whose lesions the segmenter finds no better than a guess."""
        return frozenset(name for name, dice in self.dice.items() if not dice.better)


def segment(job: Job[SegmentConfig]) -> SegmentResult:
    """Train a segmenter on the real training images, and measure it on *val*; without masks leave a note."""
    from benchmark.metrics.segmenter import segmenter

    splits = job.splits()
    train, val = splits.train.to_single_label(), splits.val.to_single_label()
    if train.mask is None or not any((mask > 0).any() for mask in train.mask):
        return SegmentResult(classes=0, notes=["no lesion is segmented: the training images have no masks"])
    every = max(1, segmenter.STEPS // LOGGED)

    def report(step: int, loss: float) -> None:
        if step % every == 0:
            job.log(step, {"loss": loss})
            job.progress(step / segmenter.STEPS)

    trained = segmenter.train(train, job.node.seed, job.config.device, report=report)
    dice: dict[str, HeldOutDice] = {}
    if val.mask is not None:
        trained = trained.calibrated(val)
        dice = held_out_dice(trained.find(val.image, val.label), segmenter.mean_mask(train), val)
    trained.save(job.out)
    return SegmentResult(
        classes=len(train.classes),
        dice=dice,
        metrics={f"dice_{name}": own.segmenter for name, own in dice.items()},
        notes=[
            f"{name} is not segmented: Dice {own.segmenter:.2f} on {own.n} held-out real lesions, "
            f"{own.mean_mask:.2f} of the mean training mask; metrics that need found lesions leave it out"
            for name, own in dice.items()
            if not own.better
        ],
    )


def held_out_dice(lesions: np.ndarray, guess: np.ndarray, held_out: ImageSet) -> dict[str, HeldOutDice]:
    """Return the Dice of found lesions and of a guess for every class, by name.

    Args:
        lesions: (N, H, W) uint8; guess: (K, H, W) uint8, the same for all images of a class.
        held_out: real images with masks.
    """
    masks = np.asarray(held_out.mask[:])
    result = {}
    for k, name in enumerate(held_out.classes):
        rows = np.flatnonzero((held_out.label == k) & (masks > INSIDE).any((1, 2)))
        if len(rows) < FEWEST:
            continue
        own, naive = (
            overlap(each, masks[rows])[0] for each in (lesions[rows], np.repeat(guess[k][None], len(rows), 0))
        )
        gain = own - naive
        error = gain.std(ddof=1) / np.sqrt(len(rows))
        better = bool(gain.mean() > ERRORS * error)
        result[name] = HeldOutDice(
            segmenter=float(own.mean()), mean_mask=float(naive.mean()), n=len(rows), better=better
        )
    return result


def segmentation(job: Job[Any], images: ImageSet, device: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what the segmenter sees of images; None without a segmenter.

    Returns:
        (N, H, W) uint8, 255 inside the finding of each image's class; (K,) bool, false for the blind classes.
    """
    from benchmark.metrics.segmenter import segmenter

    about = job.read(SEGMENTER, SegmentResult)
    if not about.classes:
        return None
    network = segmenter.load(job.input(SEGMENTER), about.classes, device)
    able = np.array([name not in about.blind for name in images.classes])
    return network.find(images.image, images.label), able
