"""Draw images of one class from fits, chunk by chunk; each chunk has a separate seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from benchmark.errors import GeneratorError
from benchmark.images import arrow
from benchmark.images.decoding import resized
from benchmark.images.image_set import ImageSet, concatenate
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest, Traits
from benchmark.stages.fit import FITTED
from benchmark.stages.foreign import foreign_generator
from benchmark.stages.guide import GuideFiles, load_guide_files
from benchmark.stages.plugin import GeneratorStageConfig, generator_errors, seed_of
from benchmark.stages.requests import Conditions
from benchmark.stages.samples import added_shares, check_samples, image_set
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.utils.files import atomic_path
from benchmark.utils.sealed import is_intact, seal_file

Given = Mapping[str, np.ndarray]  # values of conditions, which the images of a class take in turn


class DrawingConfig(GeneratorStageConfig):
    """Configuration of drawing.

    Attributes:
        image_size: side of the images that the classifier reads, in pixels.
        classifier: of ``context.classifier``, where the generator requires one; no part of the key elsewhere.
    """

    image_size: int
    classifier: ClassifierConfig | None = Field(None, exclude_if=lambda value: value is None)


@dataclass(frozen=True)
class Learned:
    """Classes, size and images that a fit learned from.

    Attributes:
        classes: names, in the task's order.
        size: side in pixels that the generator draws.
        train: the images, which conditions are drawn from; None where every condition is given.
    """

    classes: tuple[str, ...]
    size: int
    train: ImageSet | None

    @classmethod
    def of(cls, train: ImageSet) -> "Learned":
        """Return what drawing reads of training images."""
        return cls(train.classes, train.size, train)


@dataclass(frozen=True)
class Fits:
    """The fits of one class.

    Attributes:
        row: name of the generator's row, for errors and ids.
        seed: of the drawing; a run takes the seed of the fit.
        folders: of the results of the fits that learned the class.
        learned: returns what a fit learned from, by its folder.
        work: scratch folder; chunks in it survive a crash.
        guide: files of ``context.classifier``.
    """

    row: str
    seed: int
    config: DrawingConfig
    folders: Sequence[Path]
    learned: Callable[[Path], Learned]
    work: Path
    guide: GuideFiles | None = None


def draw(
    fits: Fits, count: int, given: Given | None = None, progress: Callable[[float], None] = lambda share: None
) -> ImageSet | None:
    """Draw images of a class; those of several fits alternate. None for no image.

    Drawn chunks survive a crash; damaged ones are drawn again. A chunk of a generator with ``whole_chunks``
    is drawn whole, so that the first images do not depend on how many are drawn.

    Args:
        given: values of conditions that replace those of the task's requests.
    Raises:
        GeneratorError: no fit learned the class, or the samples break the contract.
    """
    config, name = fits.config, fits.row
    if not count:
        return None
    if not fits.folders:
        problem = f"was not fitted on class '{config.of_class}', of which {count} images are requested"
        raise GeneratorError(f"generator '{name}'", problem, "Leave the class out of mix.classes.")
    parts = []
    with _module(fits) as module, generator_errors(name, "sample()"):
        for number in range(len(fits.folders)):
            own = range(number, count, len(fits.folders))  # positions of this fit's images in the class
            if own:
                parts.append(_Unit(fits, module, number, given or {}).draw(len(own)))
            progress((number + 1) / len(fits.folders))
    drawn = concatenate(parts).select(_alternating([len(p) for p in parts]))
    return replace(drawn, card=_joined_card([part.card for part in parts]))


def draw_findings(
    fits: Fits, findings: np.ndarray, masks: np.ndarray | None, prompts: np.ndarray | None
) -> np.ndarray:
    """Draw images of several findings at once; (N, S, S) uint8 at the classifier's size.

    Args:
        findings: (N, K) bool, columns as the classes of the fit.
        masks: (N, K, s, s) uint8, a mask of each finding at the generator's size; None where it reads none.
        prompts: (N,) str; None where it reads none.
    Raises:
        GeneratorError: the generator is not built in, or cannot draw several findings.
    """
    where = f"generator '{fits.row}'"
    module = fits.config.plugin.plugin.load() if fits.config.plugin.trusted else None
    if not hasattr(getattr(module, "Generator", None), "draw_findings"):
        problem = "cannot draw several findings in one image"
        raise GeneratorError(where, problem, "Request one lesion, or choose a row of lesion_diffusion.")
    drawn = []
    with generator_errors(fits.row, "draw_findings()"):
        unit = _Unit(fits, module, 0, {})
        for chunk, first in enumerate(range(0, len(findings), fits.config.chunk)):
            rows = slice(first, first + fits.config.chunk)
            own = (None if column is None else column[rows] for column in (masks, prompts))
            drawn.append(unit.generator.draw_findings(findings[rows], *own, unit.context(chunk)))
    return resized(np.concatenate(drawn), fits.config.image_size)


def _module(fits: Fits) -> AbstractContextManager[Any]:
    """Return the generator's module for a block: imported, or its substitute around a sandbox."""
    config = fits.config
    if config.plugin.trusted:
        return nullcontext(config.plugin.plugin.load())
    saved = [folder / FITTED for folder in fits.folders]
    return foreign_generator(config.plugin.plugin, config, fitted=saved, classifier=fits.guide)


def _alternating(lengths: list[int]) -> np.ndarray:
    """Return the order in which parts, joined one after the other, alternate."""
    turn = np.concatenate([np.arange(n) for n in lengths])
    return np.argsort(turn, kind="stable")


def _joined_card(cards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the remarks on the first of several parts, with the shares of all."""
    shares = added_shares(cards)
    return {**cards[0], **({"shares": shares} if shares else {})}


class _Unit:
    """One fitted generator of a class, and the requests that it gets."""

    def __init__(self, fits: Fits, module: Any, number: int, given: Given) -> None:
        self.fits, self.config, self.number, self.given = fits, fits.config, number, given
        config, folder = fits.config, fits.folders[number]
        self.traits = Traits.of(module.Generator)
        learned = fits.learned(folder)
        self.classes, self.size = learned.classes, learned.size
        self.label = learned.classes.index(config.of_class)
        # classes share the patients of a joint fit, and of no other
        self.patients = "0" if config.unit == "joint" else f"{config.of_class}-{number}"
        self.conditions = Conditions(frozenset(config.conditions), config.requests, learned.train)
        trusted = config.plugin.trusted  # another has the classifier in its sandbox
        self.classifier = load_guide_files(fits.guide, config.device) if trusted else None
        self.generator = module.Generator.load(folder / FITTED, self.context(0))

    def context(self, chunk: int) -> SampleContext:
        """Return the context of a chunk, with a separate seed."""
        seed = seed_of([self.fits.seed, 1, self.label, self.number, chunk])
        return SampleContext(seed=seed, classifier=self.classifier, **self.config.machine())

    def draw(self, count: int) -> ImageSet:
        """Draw this many images."""
        parts = list(self._chunks(count))
        images = concatenate(parts).select(np.arange(count))
        return replace(images, card=_joined_card([part.card for part in parts]))

    def _chunks(self, count: int) -> Iterator[ImageSet]:
        size, name = self.config.chunk, self.fits.row
        for chunk, first in enumerate(range(0, count, size)):
            path = self.fits.work / f"{self.number}-{chunk}.arrow"
            if not is_intact(path):
                n = size if self.traits.whole_chunks else min(size, count - first)
                request = self.request(first, n)
                drawn = check_samples(self.generator.sample(request, self.context(chunk)), request, name)
                with atomic_path(path) as part:
                    arrow.write_images(
                        part, image_set(drawn, request, name, self.config.image_size, self.patients)
                    )
                seal_file(path)
            yield arrow.read_images(path)

    def request(self, first: int, count: int) -> SampleRequest:
        """Return the request for images of the class, numbered from ``first`` on."""
        index, label = np.arange(first, first + count), np.full(count, self.label)
        position = self.number + index * len(self.fits.folders)  # among the images of the class
        given = {name: values[position % len(values)] for name, values in self.given.items()}
        return self.conditions.request(label, index, self.classes, self.size, given)
