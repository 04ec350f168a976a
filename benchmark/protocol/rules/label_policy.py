"""Make classes of reported labels of one finding. Irvin et al. 2019, 3.1; Lan 2023, 4.1 and Tables 6-8."""

from collections.abc import Iterator
from dataclasses import replace

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
TRAINING = ("", "train", "reserve")  # the other splits select or evaluate models: their labels are certain
OF_UNCERTAIN = {"zeros": 0, "ones": 1, "multi_class": 2, "ignore": LEFT_OUT, "self_trained": LEFT_OUT}
OF_NOT_MENTIONED = {"zeros": 0, "ones": 1, "exclude": LEFT_OUT}


def apply(images: ImageSet, rule: LabelPolicy, *, where: str = "label_policy") -> ImageSet:
    """Make classes of the reported labels of one finding: by policy for training, certain ones otherwise.

    Images that the source gives to ``train`` or ``reserve`` follow the policy; those of ``val``, ``test``
    and ``test_...`` keep positive and negative reports alone (Lan 2023, section 3.1). The policy also
    applies, with a note, to images without a given split, which are divided later.

    Args:
        images: with findings as ``classes``, and ``reported_labels``.
    Returns:
        Classes negative and positive (and uncertain, with ``multi_class``), without ``reported_labels`` and
        ``soft``. With ``self_trained``, ``card["self_trained"]`` counts the ``uncertain_images``.
    Raises:
        UnknownNameError: a finding that the source does not have.
        DataError: a source without reports, or no image with a label.
    """
    reported, training = _reported(images, rule, where), _training(images)
    certain = np.where(np.isin(reported, (NEGATIVE, POSITIVE)), reported, LEFT_OUT)
    label = np.where(training, _by_policy(reported, rule), certain)
    labeled = label != LEFT_OUT
    if not labeled.any():
        raise DataError(
            where, f"leaves no image: none is labeled for '{rule.finding}'", "Change the step's policy."
        )
    chosen = _relabeled(images.select(labeled), label[labeled], CLASSES_OF.get(rule.uncertain, CLASSES))
    notes = [f"{where}: {note}" for note in _notes(images, rule, training, ~labeled)]
    if rule.uncertain == "self_trained":
        uncertain = int((training & (reported == UNCERTAIN)).sum())
        chosen = replace(chosen, card={**chosen.card, "self_trained": uncertain})
    return chosen.noted(*notes)


def _notes(images: ImageSet, rule: LabelPolicy, training: np.ndarray, left_out: np.ndarray) -> Iterator[str]:
    """Note the images left out, and test labels that no reader gave."""
    evaluated, trained = left_out & ~training, left_out & training
    if images.split is None or (images.split == "").any():
        yield (
            "images that the source gives no split are labeled by the policy, in test too: "
            f"uncertain {rule.uncertain}, not mentioned {rule.not_mentioned}"
        )
    if evaluated.any():
        yield (
            f"{evaluated.sum()} of {(~training).sum()} images for evaluation left out, "
            f"{rule.finding} uncertain or not mentioned"
        )
    if trained.any():
        yield (
            f"{trained.sum()} of {training.sum()} images for training left out, {rule.finding} "
            f"uncertain ({rule.uncertain}) or not mentioned ({rule.not_mentioned})"
        )


def uncertain_images(images: ImageSet, rule: LabelPolicy, *, where: str = "label_policy") -> ImageSet:
    """Return the training images whose report on the finding is uncertain, for ``self_trained`` to label.

    Args:
        images: as for ``apply``.
    Returns:
        Classes negative and positive, all labeled negative until ``with_pseudo_labels``; may be empty.
    Raises:
        UnknownNameError, DataError: see ``apply``.
    """
    chosen = images.select(_training(images) & (_reported(images, rule, where) == UNCERTAIN))
    return _relabeled(chosen, np.zeros(len(chosen), np.int64), CLASSES)


def of_training_patients(uncertain: ImageSet, splits: Splits) -> ImageSet:
    """Return the uncertain images of patients in ``train`` or in no split, so that nothing leaks."""
    others = {p for name, part in splits.named().items() if name != "train" for p in part.patients()}
    return uncertain.select(~np.isin(uncertain.patient_id, sorted(others)))


def with_pseudo_labels(images: ImageSet, probability: np.ndarray) -> ImageSet:
    """Label images by a classifier's probabilities: ``soft`` to train on, the likelier class as ``label``.

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
            "pseudo-labels",
            f"got probabilities of shape {p.shape} for {len(images)} images of {', '.join(images.classes)}",
            f"Expected one per image of {' and '.join(CLASSES)}.",
        )
    if not ((p >= 0) & (p <= 1)).all():
        problem = "a probability is outside [0, 1] or NaN"
        raise DataError("pseudo-labels", problem, "Train the classifier again.")
    return replace(images, label=(p >= 0.5).astype(np.int64), soft=np.stack([1 - p, p], 1))


def join_pseudo_labeled(train: ImageSet, labeled: ImageSet) -> ImageSet:
    """Join training images with certain labels and those of ``with_pseudo_labels``.

    The certain ones get ``soft`` of 0 and 1: a pseudo-label never replaces a certain label.
    """
    certain = replace(train, soft=np.eye(len(train.classes), dtype=np.float32)[train.label])
    return concatenate([certain, labeled]) if len(labeled) else certain


def _reported(images: ImageSet, rule: LabelPolicy, where: str) -> np.ndarray:
    """Return (N,) the reported label of the rule's finding."""
    if images.reported_labels is None:
        remedy = "Name the step in sources.<source>.skip_steps, or choose a source with reports."
        raise DataError(where, "the source has no reports, only labels", remedy)
    if rule.finding not in images.classes:
        raise unknown_name("finding", rule.finding, list(images.classes), f"{where}: finding")
    return images.reported_labels[:, images.classes.index(rule.finding)]


def _training(images: ImageSet) -> np.ndarray:
    """Return (N,) bool, the images for training, and those that will be divided."""
    return np.ones(len(images), bool) if images.split is None else np.isin(images.split, TRAINING)


def _by_policy(reported: np.ndarray, rule: LabelPolicy) -> np.ndarray:
    """Return (N,) class index, -1 to leave out."""
    label = np.full(len(reported), LEFT_OUT)
    for value, index in (
        (NEGATIVE, 0),
        (POSITIVE, 1),
        (UNCERTAIN, OF_UNCERTAIN[rule.uncertain]),
        (NOT_MENTIONED, OF_NOT_MENTIONED[rule.not_mentioned]),
    ):
        label[reported == value] = index
    return label


def _relabeled(images: ImageSet, label: np.ndarray, classes: tuple[str, ...]) -> ImageSet:
    return replace(images, label=label.astype(np.int64), classes=classes, reported_labels=None, soft=None)
