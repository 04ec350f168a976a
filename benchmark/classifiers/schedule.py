"""The learning rate and the end of a training, as functions of what ``val`` said so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmark.tasks.classifier import Budget, ClassifierConfig


def learning_rate(classifier: ClassifierConfig, step: int, steps: int, drops: int) -> float:
    """The learning rate of an update.

    Args:
        step: 0 to ``steps`` - 1.
        drops: how often a plateau was met.
    """
    if classifier.schedule == "cosine":
        return classifier.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    if classifier.schedule == "plateau":
        return classifier.learning_rate * 0.1**drops
    return classifier.learning_rate


def plateaus(qualities: Sequence[Any], patience: int) -> int:
    """How often so many evaluations in a row were not better than the best before; each counts once.

    Args:
        qualities: of each evaluation so far, larger is better.
    """
    best, waited, found = None, 0, 0
    for quality in qualities:
        if best is None or quality > best:
            best, waited = quality, 0
            continue
        waited += 1
        if waited == patience:
            found, waited = found + 1, 0
    return found


def is_over(qualities: Sequence[Any], budget: Budget) -> bool:
    """Whether the last ``budget.patience`` evaluations were all not better than the best before them."""
    if budget.patience is None or len(qualities) <= budget.patience:
        return False
    return max(qualities[: -budget.patience]) >= max(qualities[-budget.patience :])


def total_steps(budget: Budget, batch_size: int, images: int) -> int:
    """Most updates of a training: the budget's own, or its epochs over so many images."""
    if budget.unit == "steps":
        return budget.length
    return budget.length * math.ceil(images / batch_size)


def evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """After which updates ``val`` is read: evenly, and after the last."""
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}
