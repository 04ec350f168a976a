"""Train the classifier that some generators need during their fit; it neither filters nor evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def load_guide(job: Job, classifier: ClassifierConfig | None, device: str) -> Guide | None:
    """Return the classifier among a job's inputs, frozen and differentiable; None if there is none."""
    if classifier is None:
        return None
    from benchmark.classifiers.guide import load

    about = job.read(CLASSIFIER, GuideResult)
    return load(
        job.input(CLASSIFIER),
        classifier,
        about.classes,
        about.image_size,
        device,
        multilabel=about.multilabel,
    )
