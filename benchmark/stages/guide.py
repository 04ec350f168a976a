"""Train the classifier that some generators need during their fit; it neither filters nor evaluates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.stages.job import Job
from benchmark.stages.records import StageResult
from benchmark.stages.training import ClassifierStageConfig, training_config
from benchmark.tasks.classifier import ClassifierConfig

if TYPE_CHECKING:
    from benchmark.classifiers.guide import Guide

CLASSIFIER = "classifier"  # role of this stage's result
SEED = 1_000_003  # of no other training, so that it shares no network with filter or evaluators


class GuideConfig(ClassifierStageConfig, stage="guide", version="1", seconds=15.0):
    """Configuration of ``guide``."""


class GuideResult(StageResult):
    """A training; ``classes`` outputs, which with ``multilabel`` are independent, at ``image_size`` px."""

    classes: int
    multilabel: bool
    image_size: int


def guide(job: Job[GuideConfig]) -> GuideResult:
    """Train a classifier on the real training images, and save it."""
    from benchmark.classifiers import evaluator
    from benchmark.classifiers import train as training

    splits, own = job.splits(), training_config(job)
    trained = training.train(splits.train, splits.train, splits.val, own)
    evaluator.save_evaluator(trained.network, training.normalization(splits.train.image), job.out)
    return GuideResult(
        history=trained.history,
        classes=len(splits.train.classes),
        multilabel=splits.train.multilabel,
        image_size=splits.train.size,
    )


GuideFiles = tuple[Path, ClassifierConfig, dict[str, Any]]  # folder, configuration and shape


def guide_files(job: Job, classifier: ClassifierConfig | None) -> GuideFiles | None:
    """Return folder, configuration and shape of a job's classifier; None if there is none."""
    if classifier is None:
        return None
    about = job.read(CLASSIFIER, GuideResult)
    shape = {name: getattr(about, name) for name in ("classes", "image_size", "multilabel")}
    return job.input(CLASSIFIER), classifier, shape


def load_guide(job: Job, classifier: ClassifierConfig | None, device: str) -> Guide | None:
    """Return the classifier among a job's inputs, frozen and differentiable; None if there is none."""
    return load_guide_files(guide_files(job, classifier), device)


def load_guide_files(files: GuideFiles | None, device: str) -> Guide | None:
    """Return the classifier of these files, frozen and differentiable; None without any."""
    if files is None:
        return None
    from benchmark.classifiers.guide import load

    folder, config, shape = files
    return load(folder, config, device=device, **shape)
