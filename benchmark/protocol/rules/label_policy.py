"""Make a class of what reports say of one finding. Irvin et al. 2019, 3.1; Lan 2023, 4.1 and Tables 6-8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.images.image_set import (
    NEGATIVE,
    NOT_MENTIONED,
    POSITIVE,
    UNCERTAIN,
    ImageSet,
    Splits,
    concatenate,
)
from benchmark.tasks.rules import LabelPolicy

CLASSES = ("negative", "positive")
CLASSES_OF = {"multi_class": (*CLASSES, "uncertain")}
LEFT_OUT = -1
TRAINING = ("", "train", "reserve")  # the rest is read to choose or to judge, so its labels are certain
OF_UNCERTAIN = {"zeros": 0, "ones": 1, "multi_class": 2, "ignore": LEFT_OUT, "self_trained": LEFT_OUT}
OF_NOT_MENTIONED = {"zeros": 0, "ones": 1, "exclude": LEFT_OUT}


def apply(images: ImageSet, rule: LabelPolicy, *, where: str = "label_policy") -> ImageSet:
    """Classes from the reports on one finding, by the rule for training, certain ones alone for the rest.

    Images that the source gives to ``train`` or ``reserve`` follow the policy; those of ``val``, ``test``
    and ``test_...`` keep positive and negative reports alone (Lan 2023, section 3.1). For images that the
    source gives no split, which are divided later, the policy holds too, and a note says so.

    Args:
        images: with findings as ``classes`` and a ``report``.
    Returns:
        Classes negative and positive (and uncertain, with ``multi_class``); ``report`` and ``soft`` go.
        With ``self_trained``, ``card["self_trained"]`` counts what ``uncertain_images`` gives.
    Raises:
        UnknownNameError: a finding that the source does not have.
        DataError: a source without reports, or no image with a label.
    """
    said, training = _said(images, rule, where), _training(images)
    label = np.where(training, _by_policy(said, rule), _if_certain(said))
    kept = label != LEFT_OUT
    if not kept.any():
        raise DataError(
            where, f"leaves no image: none is labeled for '{rule.finding}'", "Change the step's policy."
        )
    chosen = _relabeled(images.select(kept), label[kept], CLASSES_OF.get(rule.uncertain, CLASSES))
    notes = [f"{where}: {note}" for note in _notes(images, rule, training, ~kept)]
    card: dict[str, Any] = {**images.card, "notes": [*images.card.get("notes", ()), *notes]}
    if rule.uncertain == "self_trained":
        card["self_trained"] = int((training & (said == UNCERTAIN)).sum())
    return replace(chosen, card=card)


def _notes(images: ImageSet, rule: LabelPolicy, training: np.ndarray, left_out: np.ndarray) -> Iterator[str]:
    """What was left out, and which test labels are none of a reader's."""
    judged, trained = left_out & ~training, left_out & training
    if images.split is None or (images.split == "").any():
        yield (
            "images that the source gives no split are labeled by the policy, in test too: "
            f"uncertain {rule.uncertain}, not mentioned {rule.not_mentioned}"
        )
    if judged.any():
        yield (
            f"{judged.sum()} of {(~training).sum()} images for evaluation left out, "
            f"{rule.finding} uncertain or not mentioned"
        )
    if trained.any():
        yield (
            f"{trained.sum()} of {training.sum()} images for training left out, {rule.finding} "
            f"uncertain ({rule.uncertain}) or not mentioned ({rule.not_mentioned})"
        )


def uncertain_images(images: ImageSet, rule: LabelPolicy, *, where: str = "label_policy") -> ImageSet:
    """The training images whose report on the finding is uncertain: what ``self_trained`` waits to label.

    Args:
        images: what ``apply`` is given.
    Returns:
        Classes negative and positive, all labeled negative until ``with_teacher``; may be empty.
    Raises:
        UnknownNameError, DataError: see ``apply``.
    """
    chosen = images.select(_training(images) & (_said(images, rule, where) == UNCERTAIN))
    return _relabeled(chosen, np.zeros(len(chosen), np.int64), CLASSES)


def of_training_patients(uncertain: ImageSet, splits: Splits) -> ImageSet:
    """The uncertain images of patients that are in no split but ``train``, so that nothing leaks."""
    others = {p for name, part in splits.named().items() if name != "train" for p in part.patients()}
    return uncertain.select(~np.isin(uncertain.patient_id, sorted(others)))


def with_teacher(images: ImageSet, probability: np.ndarray) -> ImageSet:
    """Label images by what a teacher thinks: ``soft`` to train on, and the likelier class as ``label``.

    Args:
        images: of classes negative and positive, such as ``uncertain_images``.
        probability: (N,) of positive, in [0, 1].
    Raises:
        DataError: other classes, another number of probabilities, or one outside [0, 1].
    Source: U-SelfTrained, Irvin et al. 2019, section 3.1.
    """
    p = np.asarray(probability, dtype=np.float32)
    if images.classes != CLASSES or p.shape != (len(images),):
        raise DataError(
            "with_teacher",
            f"got probabilities of shape {p.shape} for {len(images)} images of {', '.join(images.classes)}",
            f"Expected one per image of {' and '.join(CLASSES)}.",
        )
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError("with_teacher", "got a probability outside [0, 1] or NaN", "Train the teacher again.")
    return replace(images, label=(p >= 0.5).astype(np.int64), soft=np.stack([1 - p, p], 1))


def join_taught(train: ImageSet, taught: ImageSet) -> ImageSet:
    """Training images with certain labels and those of ``with_teacher`` as one set.

    The certain ones get ``soft`` of 0 and 1: the teacher replaces no certain label.
    """
    certain = replace(train, soft=np.eye(len(train.classes), dtype=np.float32)[train.label])
    return concatenate([certain, taught]) if len(taught) else certain


def _said(images: ImageSet, rule: LabelPolicy, where: str) -> np.ndarray:
    """(N,) what the reports say of the rule's finding."""
    if images.reported_labels is None:
        raise DataError(
            where,
            "the source has no reports, only labels",
            "Name the step in sources.<source>.without, or choose a source with reports.",
        )
    if rule.finding not in images.classes:
        raise unknown_name("finding", rule.finding, list(images.classes), f"{where}: finding")
    return images.reported_labels[:, images.classes.index(rule.finding)]


def _training(images: ImageSet) -> np.ndarray:
    """(N,) bool, which images are trained on, or will be divided."""
    return np.ones(len(images), bool) if images.split is None else np.isin(images.split, TRAINING)


def _by_policy(said: np.ndarray, rule: LabelPolicy) -> np.ndarray:
    """(N,) class index, -1 to leave out."""
    label = np.full(len(said), LEFT_OUT)
    for report, index in (
        (NEGATIVE, 0),
        (POSITIVE, 1),
        (UNCERTAIN, OF_UNCERTAIN[rule.uncertain]),
        (NOT_MENTIONED, OF_NOT_MENTIONED[rule.not_mentioned]),
    ):
        label[said == report] = index
    return label


def _if_certain(said: np.ndarray) -> np.ndarray:
    """(N,) class index where the report is positive or negative, else -1."""
    return np.where(np.isin(said, (NEGATIVE, POSITIVE)), said, LEFT_OUT)


def _relabeled(images: ImageSet, label: np.ndarray, classes: tuple[str, ...]) -> ImageSet:
    return replace(images, label=label.astype(np.int64), classes=classes, reported_labels=None, soft=None)
