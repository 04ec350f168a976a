"""Join the drawn images of all classes of a row."""

from typing import Any

import numpy as np

from benchmark.engine.node import StageConfig
from benchmark.errors import GeneratorError
from benchmark.images import arrow, plots
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.images.lazy import blocks
from benchmark.plugins.generator import positions
from benchmark.stages.job import SYNTHETIC, Job
from benchmark.stages.records import StageResult

DRAWN = "drawn"  # role of the drawn images, one input per class


class GenerateConfig(StageConfig, stage="generate", version="3", seconds=2.0):
    """Configuration of ``generate``."""


class ImagesResult(StageResult):
    """Number and content hash of the synthetic images that a stage wrote."""

    images: int
    hash: str


class GenerateResult(ImagesResult):
    """The synthetic images; ``cards`` is what the generator remarks on those of each class."""

    cards: dict[str, Any]


def generate(job: Job[GenerateConfig]) -> GenerateResult:
    """Join the images of all classes, which alternate while they last."""
    paths = [folder / SYNTHETIC for folder in job.inputs[DRAWN]]
    parts = [arrow.read_images(path) for path in paths if path.exists()]
    if not parts:
        raise GeneratorError(
            f"generator '{job.node.row}'", "drew no image", "Check the task's mix and brackets."
        )
    drawn = concatenate(parts)
    drawn = drawn.select(np.argsort(positions(drawn.label), kind="stable"))
    _refuse_flat(drawn, job.node.row)
    arrow.write_images(job.out / SYNTHETIC, drawn)
    plots.sample_grid(drawn, job.out / "grid.png")
    cards = {part.classes[part.label[0]]: dict(part.card) for part in parts if part.card}
    return GenerateResult(images=len(drawn), hash=drawn.content_hash(), cards=cards)


def _refuse_flat(drawn: ImageSet, name: str) -> None:
    """Refuse a set of equal images.

    Raises:
        GeneratorError: there are several images, and all are equal.
    """
    first = drawn.image[0]
    if len(drawn) > 1 and all((part == first).all() for part in blocks(drawn.image)):
        raise GeneratorError(
            f"generator '{name}'",
            "sample() gave the same picture for every request",
            "Train longer, or fix it.",
        )
