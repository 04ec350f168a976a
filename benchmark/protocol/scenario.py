"""The rules of a task's scenario: what is kept, relabeled or blacked out, each a function of an ImageSet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmark.errors import TaskError
from benchmark.images.image_set import ImageSet
from benchmark.protocol.rules import amount, label_policy, mask, sites, view
from benchmark.tasks.rules import ON_TRAIN, Fraction, Imbalance, LabelPolicy, Mask, Rule, Sites, View

Change = Callable[[ImageSet], ImageSet]

BEFORE: dict[type, Any] = {
    View: view.apply,
    LabelPolicy: label_policy.apply,
    Mask: mask.apply,
    Sites: sites.apply,
}
AFTER: dict[type, Any] = {Imbalance: amount.imbalance, Fraction: amount.fraction}


def before_split(rules: Mapping[str, Rule]) -> Change:
    """The rules that every image passes before the division, in order, as one function.

    Raises:
        TaskError: ``sites`` after ``label_policy``, or ``self_trained`` beside ``imbalance`` or ``fraction``.
        DataError: when applied, what a rule cannot do.
    """
    _check_steps(rules)

    def change(images: ImageSet) -> ImageSet:
        for step, rule in rules.items():
            if not isinstance(rule, ON_TRAIN):
                images = BEFORE[type(rule)](images, rule, where=f"scenario.{step}")
        return images

    return change


def uncertain_before_split(rules: Mapping[str, Rule]) -> Change | None:
    """As ``before_split``, but the function gives the images that ``self_trained`` waits to label.

    None where no step is ``self_trained``. Of the result, ``label_policy.of_training_patients`` gives what
    may be trained on, ``label_policy.with_teacher`` labels it, ``label_policy.join_taught`` adds it to
    ``train``.
    """
    if not any(isinstance(r, LabelPolicy) and r.uncertain == "self_trained" for r in rules.values()):
        return None
    _check_steps(rules)

    def change(images: ImageSet) -> ImageSet:
        for step, rule in rules.items():
            if isinstance(rule, LabelPolicy):
                images = label_policy.uncertain_images(images, rule, where=f"scenario.{step}")
            elif not isinstance(rule, ON_TRAIN):
                images = BEFORE[type(rule)](images, rule, where=f"scenario.{step}")
        return images

    return change


def on_train(rules: Mapping[str, Rule], *, seed: int) -> Change:
    """The rules for the training images alone, in order, as one function."""

    def change(images: ImageSet) -> ImageSet:
        for step, rule in rules.items():
            if isinstance(rule, ON_TRAIN):
                images = AFTER[type(rule)](images, rule, seed=seed, where=f"scenario.{step}")
        return images

    return change


def _check_steps(rules: Mapping[str, Rule]) -> None:
    """Refuse steps that contradict each other.

    Whose labels must be certain is known only when the sites have been told apart; and what a teacher labels
    would bring back patients that imbalance or fraction left out.
    """
    policy, taught = "", ""
    for step, rule in rules.items():
        if isinstance(rule, Sites) and policy:
            raise TaskError(
                f"scenario.{step}", "comes after a label_policy", "Put it before: test labels stay certain."
            )
        if isinstance(rule, ON_TRAIN) and amount.leaves_out(rule) and taught:
            raise TaskError(
                f"scenario.{step}",
                f"cannot stand beside '{taught}' with uncertain: self_trained",
                "Choose another policy: a teacher's labels would undo the step.",
            )
        if isinstance(rule, LabelPolicy):
            policy, taught = step, step if rule.uncertain == "self_trained" else taught
