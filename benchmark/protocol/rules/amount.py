"""Fewer training images of a class, by whole patients: a number of images, or a share of the patients."""

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.tasks.rules import Fraction, Imbalance


def imbalance(images: ImageSet, rule: Imbalance, *, seed: int, where: str = "imbalance") -> ImageSet:
    """Reduce each named class to a number of images, as closely from below as whole patients allow.

    The patients of a class come in random order; each that fits into the remaining number stays. So with
    one image per patient the number is exact, and a smaller number selects a subset of a larger one. The
    other patients lose their images of that class, and keep those of other classes.

    Raises:
        UnknownNameError: a class that the images do not have.
        DataError: fewer images than requested, or no patient that fits.
    """
    left = images
    for name, number in rule.keep.items():
        members, patients, count = _patients(left, name, seed, f"{where}: keep")
        if members.sum() < number:
            problem = f"requests {number} training images, there are {int(members.sum())}"
            remedy = "Lower the number, or give the class more images."
            raise DataError(f"{where}: keep: '{name}'", problem, remedy)
        chosen = patients[_that_fit(count, number)]
        if not len(chosen):
            raise DataError(
                f"{where}: keep: '{name}'",
                f"requests {number} images, every patient has more (the smallest has {int(count.min())})",
                "Raise the number: patients stay whole.",
            )
        left = _keep_patients(left, members, chosen)
    return _with_note(images, left, list(rule.keep), where)


def fraction(images: ImageSet, rule: Fraction, *, seed: int, where: str = "fraction") -> ImageSet:
    """Draw a share of the patients of one class at random; a smaller share is a subset of it.

    Patients with a still image and patients with clips alone are drawn separately, at least one of each,
    since a generator that learns from single images needs one (Zhang et al. 2023, section 4.2.1).

    Raises:
        UnknownNameError: a class that the images do not have.
    """
    members, patients, _ = _patients(images, rule.of, seed, f"{where}: of")
    still = np.ones(len(images), bool) if images.clip is None else images.clip == ""
    has_still = np.isin(patients, images.patient_id[members & still])
    groups = patients[has_still], patients[~has_still]
    chosen = [group[: max(1, int(rule.keep * len(group) + 0.5))] for group in groups]
    return _with_note(images, _keep_patients(images, members, np.concatenate(chosen)), [rule.of], where)


def _of_class(images: ImageSet, name: str) -> np.ndarray:
    k = images.classes.index(name)
    return images.label[:, k] == 1 if images.multilabel else images.label == k


def _patients(
    images: ImageSet, name: str, seed: int, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mask of a class, its patients in random order, and the images of each."""
    if name not in images.classes:
        raise unknown_name("class", name, list(images.classes), where)
    members = _of_class(images, name)
    ids, count = np.unique(images.patient_id[members], return_counts=True)
    order = np.random.default_rng([seed, images.classes.index(name)]).permutation(len(ids))
    return members, ids[order], count[order]


def _that_fit(count: np.ndarray, number: int) -> np.ndarray:
    """Return (P,) bool, the patients chosen one after the other if they still fit."""
    chosen = np.zeros(len(count), bool)
    for i, n in enumerate(count.tolist()):
        if n <= number:
            chosen[i] = True
            number -= n
    return chosen


def _keep_patients(images: ImageSet, members: np.ndarray, patients: np.ndarray) -> ImageSet:
    """Drop the images under the mask that are of other patients."""
    return images.select(~members | np.isin(images.patient_id, patients))


def leaves_out(rule: Imbalance | Fraction) -> bool:
    """Return whether the rule may leave out a patient; a share of 1 does not."""
    return isinstance(rule, Imbalance) or rule.keep < 1


def _with_note(before: ImageSet, after: ImageSet, names: list[str], where: str) -> ImageSet:
    if len(after) == len(before):
        return before
    parts = []
    for name in names:
        old, new = _of_class(before, name), _of_class(after, name)
        people = len(np.unique(after.patient_id[new])), len(np.unique(before.patient_id[old]))
        parts.append(f"{name} {new.sum()} of {old.sum()} images, {people[0]} of {people[1]} patients")
    return after.noted(f"{where}: retained for training: {'; '.join(parts)}")
