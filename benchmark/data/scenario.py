"""The rules of a task's scenario: what is kept, relabeled or blacked out, each a function of an ImageSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmark.records import ImageSet
from benchmark.task import Rule


def before_split(rules: Mapping[str, Rule]) -> Callable[[ImageSet], ImageSet]:
    """The rules that every image passes before the division, in order, as one function."""
    return lambda images: images


def on_train(rules: Mapping[str, Rule], *, seed: int) -> Callable[[ImageSet], ImageSet]:
    """The rules for the training images alone, in order, as one function."""
    return lambda images: images
