"""Fewer training images of a class, by whole patients: so many images, or a share of the patients."""

from __future__ import annotations

import numpy as np

from benchmark.errors import DataError, unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.protocol.rules.notes import noted
from benchmark.tasks.rules import Fraction, Imbalance


def imbalance(images: ImageSet, rule: Imbalance, *, seed: int, where: str = "imbalance") -> ImageSet:
    """So many images of each named class, as closely from below as whole patients allow.

    The patients of a class come in random order; each that fits into what is still wanted is kept. So
    with one image per patient the number is exact, and a smaller number keeps a part of what a larger
    one keeps. Of the other patients the images of that class go, those of other classes stay.

    Raises:
        UnknownNameError: a class that the images do not have.
        DataError: fewer images than wanted, or no patient that fits.
    """
    left = images
    for name, wanted in rule.keep.items():
        mine, patients, count = _patients(left, name, seed, f"{where}: keep")
        if mine.sum() < wanted:
            raise DataError(
                f"{where}: keep: '{name}'",
                f"wants {wanted} training images, there are {int(mine.sum())}",
                "Lower the number, or give the class more images.",
            )
        chosen = patients[_that_fit(count, wanted)]
        if not len(chosen):
            raise DataError(
                f"{where}: keep: '{name}'",
                f"wants {wanted} images, no patient has so few (the smallest has {int(count.min())})",
                "Raise the number: patients stay whole.",
            )
        left = _keep_patients(left, mine, chosen)
    return _told(images, left, list(rule.keep), where)


def fraction(images: ImageSet, rule: Fraction, *, seed: int, where: str = "fraction") -> ImageSet:
    """A share of the patients of one class, drawn at random; a smaller share is a part of it.

    Patients with a still image and patients with clips alone are drawn apart, at least one of each, since
    a generator that learns from single images needs one (Zhang et al. 2023, section 4.2.1).

    Raises:
        UnknownNameError: a class that the images do not have.
    """
    mine, patients, _ = _patients(images, rule.of, seed, f"{where}: of")
    still = np.ones(len(images), bool) if images.clip is None else images.clip == ""
    has_still = np.isin(patients, images.patient_id[mine & still])
    chosen = [_first_share(group, rule.keep) for group in (patients[has_still], patients[~has_still])]
    return _told(images, _keep_patients(images, mine, np.concatenate(chosen)), [rule.of], where)


def _first_share(patients: np.ndarray, share: float) -> np.ndarray:
    many = max(1, int(share * len(patients) + 0.5)) if len(patients) else 0
    return patients[:many]


def _of_class(images: ImageSet, name: str) -> np.ndarray:
    k = images.classes.index(name)
    return images.label[:, k] == 1 if images.multilabel else images.label == k


def _patients(
    images: ImageSet, name: str, seed: int, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which images are of the class; its patients in random order; and the images of each."""
    if name not in images.classes:
        raise unknown_name("class", name, list(images.classes), where)
    mine = _of_class(images, name)
    ids, count = np.unique(images.patient_id[mine], return_counts=True)
    order = np.random.default_rng([seed, images.classes.index(name)]).permutation(len(ids))
    return mine, ids[order], count[order]


def _that_fit(count: np.ndarray, wanted: int) -> np.ndarray:
    """(P,) bool, the patients that are kept when each is taken that still fits."""
    kept = np.zeros(len(count), bool)
    for i, n in enumerate(count.tolist()):
        if n <= wanted:
            kept[i] = True
            wanted -= n
    return kept


def _keep_patients(images: ImageSet, mine: np.ndarray, patients: np.ndarray) -> ImageSet:
    """Without the images under the mask that are of other patients."""
    return images.select(~mine | np.isin(images.patient_id, patients))


def leaves_out(rule: Imbalance | Fraction) -> bool:
    """Whether the rule may leave out a patient: a share of 1 does not."""
    return isinstance(rule, Imbalance) or rule.keep < 1


def _told(before: ImageSet, after: ImageSet, names: list[str], where: str) -> ImageSet:
    if len(after) == len(before):
        return before
    parts = []
    for name in names:
        old, new = _of_class(before, name), _of_class(after, name)
        people = len(np.unique(after.patient_id[new])), len(np.unique(before.patient_id[old]))
        parts.append(f"{name} {new.sum()} of {old.sum()} images, {people[0]} of {people[1]} patients")
    return noted(after, f"{where}: kept for training: {'; '.join(parts)}")
