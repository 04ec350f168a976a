"""Fit a row's generator."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.engine.node import StageConfig
from benchmark.errors import BenchmarkError, GeneratorError, MetricError
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Learning
from benchmark.protocol.mixing import receiving_classes
from benchmark.stages.fit_context import Fit, ShouldPrune
from benchmark.stages.job import DATA, SELECTION, Job, first_line
from benchmark.stages.plugin import PluginReference, generator_errors
from benchmark.stages.records import History, Record, StageResult
from benchmark.stages.select import learning_images
from benchmark.tasks.rules import Mix


class FitConfig(StageConfig, stage="fit", version="2", seconds=100.0):
    """Configuration of ``fit``.

    Attributes:
        mix: names the classes that get synthetic images, where the generator is fitted once per class.
        preview: images of a preview.
        reserve: hand the generator the images of ``reserve``; for the control ``oracle`` alone.
    """

    plugin: PluginReference
    params: dict[str, Any]
    per_class: bool
    classes: tuple[str, ...]
    mix: Mix
    extractor: str
    extractor_hash: str
    preview: int
    device: str
    precision: str
    reserve: bool


class FittedPart(Record):
    """One fit: the scalars at its best preview (empty without previews), and at every step."""

    chosen: dict[str, float]
    history: History


class FitResult(StageResult):
    """The fits of a generator, by class, or one with the name ``joint``; ``history`` is of the first."""

    parts: dict[str, FittedPart]


def fit(job: Job[FitConfig], should_prune: ShouldPrune = lambda step, fid: False) -> FitResult:
    """Fit a generator on ``train``, jointly or once per class, and save its best state by FID on ``val``.

    Args:
        should_prune: called with step and FID of every preview; True ends the fit.
    """
    config = job.config
    selection = job.input(SELECTION) if SELECTION in job.inputs else None
    learning = learning_images(job.input(DATA), selection, config.classes, reserve=config.reserve)
    if not config.per_class:
        joint = _fit_part(job, learning, "joint", job.progress, should_prune)
        return FitResult(parts={"joint": joint}, history=joint.history)
    train = arrow.read_learning(job.input(DATA), reserve=False).train
    requested = receiving_classes(train, config.mix, config.classes)
    names = [name for name in learning.train.classes if name in requested]
    parts: dict[str, FittedPart] = {}
    for name in names:
        done, own = len(parts), learning.of_class(learning.train.classes.index(name))

        def progress(share: float, done: int = done) -> None:
            job.progress((done + share) / len(names))

        parts[name] = _fit_part(job, own, name, progress, should_prune)
    return FitResult(parts=parts, history=parts[names[0]].history if names else [])


def _fit_part(
    job: Job[FitConfig],
    learning: Learning,
    part: str,
    progress: Callable[[float], None],
    should_prune: ShouldPrune,
) -> FittedPart:
    config, name = job.config, job.node.row
    module = config.plugin.load()
    scratch = job.work / part
    scratch.mkdir(parents=True, exist_ok=True)
    with generator_errors(name, "fit()"):
        generator = module.Generator(module.Params(**config.params))
        context = Fit(
            generator=generator,
            name=name,
            val=learning.val,
            preview=config.preview,
            preview_fid=_PreviewFid(learning.val, config.extractor, config.device),
            metric=f"val_fid_{config.extractor}",
            device=config.device,
            precision=config.precision,
            seed=job.node.seed,
            scratch=scratch,
            checkpoints=scratch / "checkpoints",
            reserve=learning.reserve,
            fold=job.node.fold,
            progress=progress,
            should_prune=should_prune,
        )
        generator.fit(learning.train, context)
        folder, entry = context.best()
    refuse_pickles(folder, name)
    shutil.copytree(folder, job.out / part, dirs_exist_ok=True)
    return FittedPart(chosen=entry, history=context.history)


class _PreviewFid:
    """FID of previews against ``val``, whose features are computed once."""

    def __init__(self, val: ImageSet, extractor: str, device: str) -> None:
        self.val, self.extractor, self.device = val, extractor, device
        self.real: np.ndarray | None = None

    def __call__(self, preview: ImageSet) -> float:
        from benchmark.metrics.extractor.features import features
        from benchmark.metrics.fid import fid

        try:
            if self.real is None:
                self.real = features(self.val.image, self.extractor, self.device)
            return fid(self.real, features(preview.image, self.extractor, self.device))
        except BenchmarkError:
            raise
        except Exception as error:  # a fault of the suite itself, not of the generator
            raise MetricError("preview FID", f"{type(error).__name__}: {first_line(error)}") from error


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
