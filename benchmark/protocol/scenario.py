"""The rules of a task's scenario, which select, relabel or black out images, as functions of an ImageSet."""

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
    """Return the rules that apply to every image before the division, in order, as one function.

    Raises:
        TaskError: ``sites`` after ``label_policy``, or ``self_trained`` beside ``imbalance`` or ``fraction``.
        DataError: by the function, when a rule cannot be applied.
    """
    return _change(rules, BEFORE)


def _change(rules: Mapping[str, Rule], apply: Mapping[type, Any]) -> Change:
    """Return the rules before the division as one function, each applied by its kind's ``apply``."""
    _check_steps(rules)

    def change(images: ImageSet) -> ImageSet:
        for step, rule in rules.items():
            if not isinstance(rule, ON_TRAIN):
                images = apply[type(rule)](images, rule, where=f"scenario.{step}")
        return images

    return change


def uncertain_before_split(rules: Mapping[str, Rule]) -> Change | None:
    """Return as ``before_split``, but for the images that ``self_trained`` will pseudo-label.

    None if no step is ``self_trained``. Of the result, ``label_policy.of_training_patients`` selects the
    images that may be trained on, ``label_policy.with_pseudo_labels`` labels them, and
    ``label_policy.join_pseudo_labeled`` adds them to ``train``.
    """
    if not any(isinstance(r, LabelPolicy) and r.uncertain == "self_trained" for r in rules.values()):
        return None
    return _change(rules, {**BEFORE, LabelPolicy: label_policy.uncertain_images})


def on_train(rules: Mapping[str, Rule], *, seed: int) -> Change:
    """Return the rules for the training images alone, in order, as one function."""

    def change(images: ImageSet) -> ImageSet:
        for step, rule in rules.items():
            if isinstance(rule, ON_TRAIN):
                images = AFTER[type(rule)](images, rule, seed=seed, where=f"scenario.{step}")
        return images

    return change


def _check_steps(rules: Mapping[str, Rule]) -> None:
    """Refuse steps that contradict each other.

    Only after the division by site is it known which labels must be certain; and pseudo-labeled images would
    bring back patients that imbalance or fraction left out.
    """
    policy, self_trained = "", ""
    for step, rule in rules.items():
        if isinstance(rule, Sites) and policy:
            raise TaskError(
                f"scenario.{step}", "comes after a label_policy", "Put it before: test labels stay certain."
            )
        if isinstance(rule, ON_TRAIN) and amount.leaves_out(rule) and self_trained:
            problem = f"conflicts with '{self_trained}', whose policy is uncertain: self_trained"
            remedy = "Choose another policy: pseudo-labels would undo the step."
            raise TaskError(f"scenario.{step}", problem, remedy)
        if isinstance(rule, LabelPolicy):
            policy, self_trained = step, step if rule.uncertain == "self_trained" else self_trained
