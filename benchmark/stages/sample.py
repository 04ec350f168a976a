"""Draw images of one class from a row's fitted generator, chunk by chunk."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.images import arrow
from benchmark.images.image_set import ImageSet
from benchmark.protocol.mixing import added_counts
from benchmark.stages.drawing import DrawingConfig, Fits, Learned, draw
from benchmark.stages.fit import FitResult, learned_images
from benchmark.stages.guide import guide_files
from benchmark.stages.job import DATA, GENERATOR, RESULT, SYNTHETIC, Job
from benchmark.stages.records import StageResult
from benchmark.stages.select import learning_images
from benchmark.tasks.rules import Mix


class SampleConfig(DrawingConfig, stage="sample", version="1", seconds=10.0):
    """Configuration of ``sample``; ``mix`` and ``bracket`` say how many images to draw."""

    mix: Mix
    bracket: int


class SampleResult(StageResult):
    """Number of drawn images, and what the generator remarks on the first of them; ``shares`` are of all."""

    images: int
    card: dict[str, Any]


def drawn_counts(train: ImageSet, mix: Mix, bracket: int, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the images of each class to draw for a bracket: a surplus where a filter drops some."""
    counts = added_counts(train, mix, bracket, classes)
    if mix.filter == "none":
        return counts
    return {name: math.ceil(mix.surplus * n) for name, n in counts.items()}


def sample(job: Job[SampleConfig]) -> SampleResult:
    """Sample a class of the largest bracket, as ``draw`` does.

    Raises:
        GeneratorError: no fit learned the class, or the samples break the contract.
    """
    config = job.config
    data = arrow.read_learning(job.input(DATA), reserve=False).train.only(config.classes)
    count = drawn_counts(data, config.mix, config.bracket, config.classes).get(config.of_class, 0)
    drawn = draw(fits_of(job), count, progress=job.progress)
    if drawn is None:
        return SampleResult(images=0, card={})
    arrow.write_images(job.out / SYNTHETIC, _numbered(drawn, job.node.row, config.of_class))
    return SampleResult(images=len(drawn), card=dict(drawn.card))


def fits_of(job: Job[SampleConfig]) -> Fits:
    """Return the fits that the images of a job's class come from, and what they learned from."""
    fitted = [folder for folder in job.inputs[GENERATOR] if _fitted(folder).fitted]

    def learned(folder: Path) -> Learned:
        every = learning_images(job.input(DATA), None, job.config.classes).train  # the classes are the task's
        source = _fitted(folder).source_id
        ids = [source] if source else learned_images(job).train.image_id
        return Learned.of(every.select(np.isin(every.image_id, ids)))

    guide = guide_files(job, job.config.classifier)
    return Fits(job.node.row, job.node.seed, job.config, fitted, learned, job.work, guide)


def _fitted(folder: Path) -> FitResult:
    return FitResult.model_validate_json((folder / RESULT).read_text(encoding="utf-8"))


def _numbered(images: ImageSet, row: str, name: str) -> ImageSet:
    """Return the images with ids by their position; one without a series stays its own patient."""
    ids = np.array([f"{row}-{name}-{i:06d}" for i in range(len(images))])
    patients = np.where(images.patient_id == images.image_id, ids, images.patient_id)
    return replace(images, image_id=ids, patient_id=patients)
