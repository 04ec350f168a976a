"""The training and validation images at a generator's own size, from the original pixels."""

from dataclasses import replace

import numpy as np

from benchmark.errors import DataError
from benchmark.images import arrow, plots
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.plugins.registry import import_target
from benchmark.protocol import scenario
from benchmark.stages.data import SourceStageConfig
from benchmark.stages.job import DATA, Job
from benchmark.stages.records import StageResult


class ResizedDataConfig(SourceStageConfig, stage="resized_data", version="1", seconds=15.0, imports=()):
    """Configuration of ``resized_data``."""


class ResizedDataResult(StageResult):
    """Number of training images and validation images."""

    train: int
    val: int


def resized_data(job: Job[ResizedDataConfig]) -> ResizedDataResult:
    """Read the images of *train* and *val* again at another size; labels and splits stay as they are.

    Raises:
        DataError: the source has another set of images at this size.
    """
    config = job.config
    module = import_target(config.target)
    images = module.images(
        module.Params(**{**config.params, **config.paths}),
        classes=config.classes,
        image_size=config.image_size,
        reserve_per_class=config.reserve_per_class,
        seed=job.node.seed,
    )
    uncertain = scenario.uncertain_before_split(config.scenario)
    parts = [scenario.before_split(config.scenario)(images)]
    parts += [] if uncertain is None else [uncertain(images)]
    learning = arrow.read_learning(job.input(DATA), reserve=False)
    sizes = {}
    for name, split in (("train", learning.train), ("val", learning.val)):
        resized = at_size(split, parts, config.source)
        arrow.write_images(job.out / f"{name}.arrow", resized)
        sizes[name] = len(resized)
    train = arrow.read_images(job.out / "train.arrow")
    plots.sample_grid(train.to_single_label(), job.out / "grid.png")
    return ResizedDataResult(**sizes)


def at_size(split: ImageSet, parts: list[ImageSet], source: str) -> ImageSet:
    """Return a split with the pixels, masks and boxes of the same images in ``parts``.

    Raises:
        DataError: an image is in none of the parts.
    """
    unlabeled = [
        replace(p, classes=split.classes, label=np.zeros(len(p), np.int64), reported_labels=None, soft=None)
        for p in parts
    ]
    joined = concatenate(unlabeled)
    place = {name: row for row, name in enumerate(joined.image_id.tolist())}
    missing = [name for name in split.image_id.tolist() if name not in place]
    if missing:
        raise DataError(
            f"source {source}",
            f"has no image '{missing[0]}' at {joined.size} px, which it has at {split.size} px",
            "Give an image the same id at every size.",
        )
    own = joined.select(np.array([place[name] for name in split.image_id.tolist()], np.int64))
    return replace(split, image=own.image, mask=own.mask, box=own.box)
