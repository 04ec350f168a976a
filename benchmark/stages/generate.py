"""Draw synthetic images from a row's fitted generator."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.images import arrow, plots
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import blocks
from benchmark.plugins.generator import SampleRequest, synthetic_set
from benchmark.protocol.mixing import added_counts
from benchmark.stages.job import DATA, GENERATOR, SYNTHETIC, Job
from benchmark.stages.plugin import PluginReference, generator_errors
from benchmark.stages.records import StageResult
from benchmark.stages.training import AddedImages
from benchmark.tasks.rules import Mix


class GenerateConfig(AddedImages, stage="generate", version="2", seconds=20.0):
    """Configuration of ``generate``; ``per_class`` as in ``fit``."""

    plugin: PluginReference
    per_class: bool
    image_size: int
    device: str
    precision: str


class ImagesResult(StageResult):
    """Number and content hash of the synthetic images that a stage wrote."""

    images: int
    hash: str


class GenerateResult(ImagesResult):
    """The synthetic images; ``card`` is what the generator reports of them."""

    card: dict[str, Any]


def drawn_counts(train: ImageSet, mix: Mix, bracket: int, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the images of each class to draw for a bracket: a surplus where a filter drops some."""
    counts = added_counts(train, mix, bracket, classes)
    if mix.filter == "none":
        return counts
    return {name: math.ceil(mix.surplus * n) for name, n in counts.items()}


def generate(job: Job[GenerateConfig]) -> GenerateResult:
    """Sample the largest bracket from a fitted generator, and a surplus where a filter drops some."""
    config, name = job.config, job.node.row
    train = arrow.read_learning(job.input(DATA), reserve=False).train.only(config.classes)
    counts = drawn_counts(train, config.mix, config.bracket, config.classes)
    request = SampleRequest.of_counts(counts, train.classes, config.image_size)
    module, folder = config.plugin.load(), job.input(GENERATOR)
    with generator_errors(name, "sample()"):
        if config.per_class:
            drawn = _sample_per_class(module, folder, request, job)
        else:
            drawn = _loaded(module, folder / "joint", config.device).sample(request, seed=job.node.seed)
    check_samples(drawn, request, name)
    arrow.write_images(job.out / SYNTHETIC, drawn)
    plots.sample_grid(drawn, job.out / "grid.png")
    return GenerateResult(images=len(drawn), hash=drawn.content_hash(), card=dict(drawn.card))


def _loaded(module: ModuleType, folder: Path, device: str) -> Any:
    """Return a fitted generator, on the run's device if it can move there."""
    generator = module.Generator.load(folder)
    if hasattr(generator, "to"):
        generator.to(device)
    return generator


def _sample_per_class(
    module: ModuleType, folder: Path, request: SampleRequest, job: Job[GenerateConfig]
) -> ImageSet:
    image = np.zeros((len(request.label), request.image_size, request.image_size), np.uint8)
    cards: dict[str, Any] = {}
    for k, part in enumerate(request.classes):
        rows = np.flatnonzero(request.label == k)
        if not len(rows):
            continue
        own = SampleRequest(np.full(len(rows), k), request.classes, request.image_size)
        generator, seed = _loaded(module, folder / part, job.config.device), job.node.seed * 1009 + k
        drawn = generator.sample(own, seed=seed)
        check_samples(drawn, own, job.node.row)
        image[rows], cards[part] = drawn.image, dict(drawn.card)
    return replace(synthetic_set(image, request, generator=job.node.row), card=cards)


def check_samples(drawn: Any, request: SampleRequest, name: str) -> None:
    """Compare the samples of a generator with the request.

    Raises:
        GeneratorError: not an ImageSet, or another count, size, order of labels, or set of classes; or flat.
    """
    where = f"generator '{name}'"
    if not isinstance(drawn, ImageSet):
        raise GeneratorError(
            where,
            f"sample() gave {type(drawn).__name__}, expected an ImageSet",
            "Use plugins.generator.synthetic_set().",
        )
    expected = (len(request.label), request.image_size, request.image_size)
    if drawn.image.shape != expected:
        raise GeneratorError(where, f"sample() gave shape {drawn.image.shape}, expected {expected}")
    if drawn.classes != request.classes or not np.array_equal(drawn.label, request.label):
        raise GeneratorError(
            where, "sample() changed the labels or classes of the request", "Keep their order."
        )
    if len(drawn) > 1 and all((part == drawn.image[0]).all() for part in blocks(drawn.image)):
        raise GeneratorError(
            where, "sample() gave the same picture for every request", "Train longer, or fix it."
        )
