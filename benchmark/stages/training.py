"""Configuration that stages with a classifier share, and the evaluators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field

from benchmark.classifiers.versions import TRAINING, augmentation_version
from benchmark.engine.node import StageConfig
from benchmark.images.image_set import ImageSet, Splits
from benchmark.protocol.mixing import added_counts
from benchmark.stages.job import EVALUATORS, Job
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Mix

if TYPE_CHECKING:
    from benchmark.classifiers.config import TrainingConfig
    from benchmark.classifiers.evaluator import Evaluator


def _code_version(fields: dict[str, Any]) -> str:
    """Return the versions of the training code and of the classifier's augmentation."""
    return f"{TRAINING}.{augmentation_version(fields['classifier'].augmentation)}"


class ClassifierStageConfig(StageConfig):
    """Configuration of a stage that trains a classifier or reads a trained one.

    Attributes:
        metric: on ``val``, chooses the epoch.
        code: versions of the classifiers' code.
    """

    imports: ClassVar[tuple[str, ...]] = ("torch", "timm", "sklearn.metrics")

    classes: tuple[str, ...]
    labels: Literal["single", "multilabel"]
    metric: str
    balance: Literal["none", "oversample", "class_weights"] = "none"
    classifier: ClassifierConfig
    budget: Budget
    device: str
    precision: str
    code: str = Field(default_factory=_code_version)


class AddedImages(StageConfig):
    """Numbers of synthetic images that a row adds, by class."""

    mix: Mix
    bracket: int
    classes: tuple[str, ...]

    def counts(self, train: ImageSet) -> dict[str, int]:
        """Return the synthetic images of each class that the bracket adds."""
        return added_counts(train, self.mix, self.bracket, self.classes)


def training_config(job: Job[StageConfig], config: ClassifierStageConfig | None = None) -> TrainingConfig:
    """Return the configuration of a training, by default the job's, for the training loop."""
    from benchmark.classifiers.config import TrainingConfig

    config = config or cast(ClassifierStageConfig, job.config)
    return TrainingConfig(
        classifier=config.classifier,
        budget=config.budget,
        balance=config.balance,
        seed=job.node.seed,
        device=config.device,
        precision=config.precision,
        scratch=job.work,
        progress=job.progress,
        metric=config.metric,
        predicted=len(config.classes),
    )


def evaluators(
    job: Job[StageConfig], splits: Splits, config: ClassifierStageConfig | None = None
) -> list[Evaluator]:
    """Return the classifiers of ``real_only`` that score images for this stage.

    Args:
        config: of their training; by default the job's.
    """
    from benchmark.classifiers.evaluator import load_evaluator

    own, classes = training_config(job, config), len(splits.train.classes)
    return [
        load_evaluator(folder, own, classes, multilabel=splits.train.multilabel)
        for folder in job.inputs[EVALUATORS]
    ]
