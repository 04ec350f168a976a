"""Fit a row's generator: on all classes, on one class, or on one image."""

import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from benchmark.errors import DataError, GeneratorError
from benchmark.images import arrow
from benchmark.images.image_set import Learning
from benchmark.protocol.mixing import receiving_classes
from benchmark.stages.fit_context import STATE, Fit, ShouldPrune
from benchmark.stages.foreign import foreign_generator
from benchmark.stages.guide import guide_files, load_guide
from benchmark.stages.job import DATA, SELECTION, Job
from benchmark.stages.plugin import GeneratorStageConfig, generator_errors, seed_of
from benchmark.stages.preview_images import GRID, STORED
from benchmark.stages.previews import PreviewFid
from benchmark.stages.records import StageResult
from benchmark.stages.requests import Conditions
from benchmark.stages.select import learning_images
from benchmark.tasks.classifier import ClassifierConfig
from benchmark.tasks.profile import Previews
from benchmark.tasks.rules import Mix

FITTED = "fitted"  # folder of the saved generator


class FitConfig(GeneratorStageConfig, stage="fit", version="4", seconds=100.0):
    """Configuration of ``fit``.

    Attributes:
        paths: parameters that are paths, for which the hashes of ``assets`` stand in the cache key.
        number: of the source image among those of the class, with unit ``per_image``.
        mix: names the classes that get synthetic images; another class is not fitted by itself.
        classifier: of ``context.classifier``, where the generator requires one.
        reserve: hand the generator the images of ``reserve``; for the control ``oracle`` alone.
    """

    params: dict[str, Any]
    paths: dict[str, str] = Field(exclude=True)
    number: int = 0
    mix: Mix
    extractor: str
    extractor_hash: str
    previews: Previews
    classifier: ClassifierConfig | None = None
    reserve: bool


class FitResult(StageResult):
    """One fit.

    Attributes:
        fitted: False where the class gets no synthetic image, or has no further source image.
        chosen: scalars at the best preview; empty without previews.
        source_id: the source image, with unit ``per_image``.
    """

    fitted: bool = True
    chosen: dict[str, float] = {}
    source_id: str = ""


def fit(job: Job[FitConfig], should_prune: ShouldPrune = lambda step, fid: False) -> FitResult:
    """Fit a generator on its part of ``train``, and save its best state by FID.

    Args:
        should_prune: called with step and FID of every preview; True ends the fit.
    """
    learning = _part(job)
    if learning is None:
        return FitResult(fitted=False)
    config, name = job.config, job.node.row
    with _module(job, learning) as module, generator_errors(name, "fit()"):
        generator = module.Generator(module.Params(**config.params, **config.paths))
        context = Fit(
            **config.machine(),
            seed=_seed(job),
            generator=generator,
            name=name,
            previews=config.previews.count,
            preview_fid=PreviewFid(
                name, learning.train, learning.val, config.previews, _conditions(job, learning),
                config.chunk, config.extractor, config.device,
            ),
            metric=f"val_fid_{config.extractor}",
            classes=learning.train.classes,
            scratch=job.work,
            classifier=load_guide(job, config.classifier, config.device) if config.plugin.trusted else None,
            reserve=learning.reserve,
            val=learning.val,
            fold=job.node.fold,
            progress=job.progress,
            on_log=job.log,
            should_prune=should_prune,
        )  # fmt: skip
        generator.fit(learning.train, context)
        folder, entry = context.best()
    refuse_pickles(folder, name)
    shutil.copytree(folder, job.out / FITTED)
    for file in (STORED, GRID):
        if (job.work / file).is_file():
            shutil.copy(job.work / file, job.out / file)
    source = str(learning.train.image_id[0]) if config.unit == "per_image" else ""
    return FitResult(chosen=entry, history=context.history, source_id=source, notes=context.notes)


def _module(job: Job[FitConfig], learning: Learning) -> AbstractContextManager[Any]:
    """Return the generator's module for a block: imported, or its substitute around a sandbox."""
    config = job.config
    if config.plugin.trusted:
        return nullcontext(config.plugin.plugin.load())
    return foreign_generator(
        config.plugin.plugin, config, train=learning.train, state=job.work / STATE,
        classifier=guide_files(job, config.classifier),
    )  # fmt: skip


def learned_images(job: Job[GeneratorStageConfig], *, reserve: bool = False) -> Learning:
    """Return what a row's fits learn from, all classes of it.

    Args:
        reserve: include ``reserve``.
    """
    selection = job.input(SELECTION) if SELECTION in job.inputs else None
    learning = learning_images(job.input(DATA), selection, job.config.classes, reserve=reserve)
    if job.config.learn_from == "still_images" and learning.train.clip is not None:
        return replace(learning, train=learning.train.select(learning.train.clip == ""))
    return learning


def _part(job: Job[FitConfig]) -> Learning | None:
    """Return what this node learns from; None where nothing is to be fitted."""
    config = job.config
    learning = learned_images(job, reserve=config.reserve)
    if config.unit == "joint":
        return learning
    train = arrow.read_learning(job.input(DATA), reserve=False).train
    receiving = receiving_classes(train, config.mix, config.classes)
    if config.of_class not in receiving or config.of_class not in learning.train.classes:
        return None
    own = learning.of_class(learning.train.classes.index(config.of_class))
    if not len(own.train):
        problem = f"has no {'still ' if config.learn_from == 'still_images' else ''}training image"
        raise DataError(
            f"class '{config.of_class}'", problem, "Fit the generator jointly, or leave the class out."
        )
    if config.unit == "per_class":
        return own
    # source images in a random order, the same for every fit seed
    order = np.random.default_rng([len(own.train)]).permutation(len(own.train))
    if config.number >= len(order):
        return None
    return Learning(own.train.select(order[[config.number]]), own.val, own.reserve)


def _seed(job: Job[FitConfig]) -> int:
    config = job.config
    if config.unit == "joint":
        return job.node.seed
    return seed_of([job.node.seed, config.classes.index(config.of_class), config.number])


def _conditions(job: Job[FitConfig], learning: Learning) -> Conditions:
    return Conditions(frozenset(job.config.conditions), job.config.requests, learning.train)


def refuse_pickles(folder: Path, name: str) -> None:
    """Refuse a saved generator with files that could run code on loading.

    Raises:
        GeneratorError: names the file.
    """
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in {".safetensors", ".json", ".txt", ".yaml"}:
            raise GeneratorError(
                f"generator '{name}'", f"save() wrote '{path.name}'", "Save as safetensors and JSON only."
            )
