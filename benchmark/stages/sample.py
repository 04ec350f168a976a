"""Draw images of one class from a row's fitted generator, chunk by chunk."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from benchmark.errors import GeneratorError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest, Traits
from benchmark.protocol.mixing import added_counts
from benchmark.stages.fit import FITTED, FitResult, learned_images
from benchmark.stages.foreign import foreign_generator
from benchmark.stages.guide import guide_files, load_guide
from benchmark.stages.job import DATA, GENERATOR, RESULT, SYNTHETIC, Job
from benchmark.stages.plugin import GeneratorStageConfig, generator_errors, seed_of
from benchmark.stages.records import StageResult
from benchmark.stages.requests import Conditions
from benchmark.stages.samples import added_shares, check_samples, image_set
from benchmark.stages.select import learning_images
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.rules import Mix
from benchmark.utils.files import atomic_path
from benchmark.utils.sealed import is_intact, seal_file


class SampleConfig(GeneratorStageConfig, stage="sample", version="1", seconds=10.0):
    """Configuration of ``sample``.

    Attributes:
        mix, bracket: how many images to draw.
        image_size: side of the images that the classifier reads, in pixels.
        classifier: of ``context.classifier``, where the generator requires one; no part of the key elsewhere.
    """

    mix: Mix
    bracket: int
    image_size: int
    classifier: ClassifierConfig | None = Field(None, exclude_if=lambda value: value is None)


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
    """Sample a class of the largest bracket; the images of several fits of the class alternate.

    Drawn chunks survive a crash; damaged ones are drawn again. Every chunk has a separate seed, and a chunk
    of a generator with ``whole_chunks`` is drawn whole, so that the first images do not depend on how many
    are drawn.

    Raises:
        GeneratorError: no fit learned the class, or the samples break the contract.
    """
    config, name = job.config, job.node.row
    data = arrow.read_learning(job.input(DATA), reserve=False).train.only(config.classes)
    count = drawn_counts(data, config.mix, config.bracket, config.classes).get(config.of_class, 0)
    fits = [folder for folder in job.inputs[GENERATOR] if _fitted(folder).fitted]
    if count and not fits:
        problem = f"was not fitted on class '{config.of_class}', of which {count} images are requested"
        raise GeneratorError(f"generator '{name}'", problem, "Leave the class out of mix.classes.")
    parts = []
    with _module(job, fits if count else []) as module, generator_errors(name, "sample()"):
        for number, folder in enumerate(fits if count else []):
            own = range(number, count, len(fits))  # positions of this fit's images in the class
            if own:
                parts.append(_Unit(job, module, folder, number, data.classes).draw(len(own)))
            job.progress((number + 1) / len(fits))
    drawn = concatenate(parts).select(_alternating([len(p) for p in parts])) if parts else None
    if drawn is None:
        return SampleResult(images=0, card={})
    drawn = replace(drawn, card=_joined_card([part.card for part in parts]))
    arrow.write_images(job.out / SYNTHETIC, _numbered(drawn, name, config.of_class))
    return SampleResult(images=len(drawn), card=dict(drawn.card))


def _module(job: Job[SampleConfig], fits: Sequence[Path]) -> AbstractContextManager[Any]:
    """Return the generator's module for a block: imported, or its substitute around a sandbox."""
    config = job.config
    if config.plugin.trusted:
        return nullcontext(config.plugin.plugin.load())
    if not fits:
        return nullcontext()
    return foreign_generator(
        config.plugin.plugin, config, fitted=[fit / FITTED for fit in fits],
        classifier=guide_files(job, config.classifier),
    )  # fmt: skip


def _fitted(folder: Path) -> FitResult:
    return FitResult.model_validate_json((folder / RESULT).read_text(encoding="utf-8"))


def _alternating(lengths: list[int]) -> np.ndarray:
    """Return the order in which parts, joined one after the other, alternate."""
    turn = np.concatenate([np.arange(n) for n in lengths])
    return np.argsort(turn, kind="stable")


def _numbered(images: ImageSet, row: str, name: str) -> ImageSet:
    """Return the images with ids by their position; one without a series stays its own patient."""
    ids = np.array([f"{row}-{name}-{i:06d}" for i in range(len(images))])
    patients = np.where(images.patient_id == images.image_id, ids, images.patient_id)
    return replace(images, image_id=ids, patient_id=patients)


def _joined_card(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the remarks on the first of several parts, with the shares of all."""
    shares = added_shares(cards)
    return {**cards[0], **({"shares": shares} if shares else {})}


class _Unit:
    """One fitted generator of a class, and the requests that it gets."""

    def __init__(
        self, job: Job[SampleConfig], module: Any, folder: Path, number: int, classes: tuple[str, ...]
    ) -> None:
        self.job, self.number, self.classes = job, number, classes
        config = job.config
        self.traits = Traits.of(module.Generator)
        self.label = classes.index(config.of_class)
        # classes share the patients of a joint fit, and of no other
        self.patients = "0" if config.unit == "joint" else f"{config.of_class}-{number}"
        train = self._learned(folder)
        self.size = train.size
        self.conditions = Conditions(frozenset(config.conditions), config.requests, train)
        trusted = config.plugin.trusted  # another has the classifier in its sandbox
        self.classifier = load_guide(job, config.classifier, config.device) if trusted else None
        self.generator = module.Generator.load(folder / FITTED, self._context(0))

    def _learned(self, folder: Path) -> ImageSet:
        """Return the images that the fit learned from; the classes are those of the task."""
        every = learning_images(self.job.input(DATA), None, self.job.config.classes).train
        source = _fitted(folder).source_id
        learned = [source] if source else learned_images(self.job).train.image_id
        return every.select(np.isin(every.image_id, learned))

    def _context(self, chunk: int) -> SampleContext:
        seed = seed_of([self.job.node.seed, 1, self.label, self.number, chunk])
        return SampleContext(seed=seed, classifier=self.classifier, **self.job.config.machine())

    def draw(self, count: int) -> ImageSet:
        """Draw this many images."""
        parts = list(self._chunks(count))
        images = concatenate(parts).select(np.arange(count))
        return replace(images, card=_joined_card([part.card for part in parts]))

    def _chunks(self, count: int) -> Iterator[ImageSet]:
        size, name = self.job.config.chunk, self.job.node.row
        for chunk, first in enumerate(range(0, count, size)):
            path = self.job.work / f"{self.number}-{chunk}.arrow"
            if not is_intact(path):
                n = size if self.traits.whole_chunks else min(size, count - first)
                request = self.request(first, n)
                drawn = check_samples(self.generator.sample(request, self._context(chunk)), request, name)
                with atomic_path(path) as part:
                    arrow.write_images(
                        part, image_set(drawn, request, name, self.job.config.image_size, self.patients)
                    )
                seal_file(path)
            yield arrow.read_images(path)

    def request(self, first: int, count: int) -> SampleRequest:
        """Return the request for images of the class, numbered from ``first`` on."""
        label = np.full(count, self.label)
        return self.conditions.request(label, np.arange(first, first + count), self.classes, self.size)
