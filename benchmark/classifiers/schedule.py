"""The learning rate and the end of a training, as functions of the evaluations so far."""

import math
from collections.abc import Sequence
from typing import Any

from benchmark.tasks.classifier import Budget, ClassifierConfig


def learning_rate(classifier: ClassifierConfig, step: int, steps: int, drops: int) -> float:
    """Return the learning rate of an update.

    Args:
        step: 0 to ``steps`` - 1.
        drops: number of plateaus so far.
    """
    if classifier.schedule == "cosine":
        return classifier.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    if classifier.schedule == "plateau":
        return classifier.learning_rate * 0.1**drops
    return classifier.learning_rate


def plateaus(qualities: Sequence[Any], patience: int) -> int:
    """Count the runs of ``patience`` evaluations that were not better than the best one before them.

    Args:
        qualities: of each evaluation so far, larger is better.
    """
    best, waited, count = None, 0, 0
    for quality in qualities:
        if best is None or quality > best:
            best, waited = quality, 0
            continue
        waited += 1
        if waited == patience:
            count, waited = count + 1, 0
    return count


def should_stop(qualities: Sequence[Any], budget: Budget) -> bool:
    """Return whether none of the last ``budget.patience`` evaluations beat the best one before them."""
    if budget.patience is None or len(qualities) <= budget.patience:
        return False
    return max(qualities[: -budget.patience]) >= max(qualities[-budget.patience :])


def total_steps(budget: Budget, batch_size: int, images: int) -> int:
    """Return the largest number of updates: the budget's, or its epochs over this number of images."""
    if budget.unit == "steps":
        return budget.length
    return budget.length * math.ceil(images / batch_size)


def evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """Return the updates after which ``val`` is scored: evenly spaced, and the last."""
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}
