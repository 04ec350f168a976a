"""The configuration of one training."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.tasks.classifier import Budget, ClassifierConfig


@dataclass(frozen=True)
class TrainingConfig:
    """Everything of a training except its images.

    Attributes:
        balance: oversample rare classes, weigh them more in the loss, or neither.
        metric: of ``metrics.metric_values``, on ``val``; chooses the epoch.
        predicted: number of predicted classes, the first ones; None for all. The others are learned beside
            them (``multi_class`` of a label policy).
    """

    classifier: ClassifierConfig
    budget: Budget
    balance: Literal["none", "oversample", "class_weights"]
    seed: int
    device: str
    precision: str
    scratch: Path
    progress: Callable[[float], None] = lambda share: None
    metric: str = "balanced_accuracy"
    predicted: int | None = None

    @property
    def batch_size(self) -> int:
        """Number of images per update."""
        return self.classifier.batch_size or self.budget.batch_size

    @property
    def where(self) -> str:
        """Classifier and seed, for error messages."""
        return f"classifier '{self.classifier.name}', seed {self.seed}"
