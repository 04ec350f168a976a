"""Patients per class: enough of them for a division, and images per patient and class."""

import numpy as np

from benchmark.errors import DataError
from benchmark.images.image_set import ImageSet
from benchmark.tasks.schema import SplitRule
from benchmark.utils.formatting import plural

PARTS = ("train", "val", "test", "reserve")


def images_per_patient(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) index of the patient of every image, and (P, C) images per patient and class."""
    ids, patient = np.unique(images.patient_id, return_inverse=True)
    table = np.zeros((len(ids), len(images.classes)), dtype=np.int64)
    if images.multilabel:
        np.add.at(table, patient, images.label.astype(np.int64))
    else:
        np.add.at(table, (patient, images.label), 1)
    return patient, table


def classes_with_patients(images: ImageSet, rule: SplitRule, where: str) -> tuple[list[int], tuple[str, ...]]:
    """Return the classes with as many patients as the rule requires, and a note per excluded class.

    Raises:
        DataError: a class has too few and ``rule.too_few`` is ``error``; or fewer than two classes remain.
    """
    patients = (images_per_patient(images)[1] > 0).sum(axis=0)
    need = max(rule.min_patients, _least_patients(rule.folds))
    few = [c for c, n in enumerate(patients) if n < need]
    for c in few:
        if rule.too_few == "error":
            problem = f"has {plural(patients[c], 'patient')}, the split needs at least {need}"
            remedy = "Add patients, drop the class from the task, or run with --set split.too_few=exclude."
            raise DataError(f"{where}: '{images.classes[c]}'", problem, remedy)
    classes = [c for c in range(len(images.classes)) if c not in few]
    if len(classes) < 2:
        counts = ", ".join(f"{c} {n}" for c, n in zip(images.classes, patients, strict=True))
        problem = f"fewer than two classes have at least {need} patients: {counts}"
        raise DataError(where, problem, "Add patients, or choose another source.")
    need_text = f"the split needs at least {need}"
    return classes, tuple(
        f"class '{images.classes[c]}' excluded: {plural(patients[c], 'patient')}, {need_text}" for c in few
    )


def _least_patients(folds: int) -> int:
    """Return the patients that give each part one; with folds, three parts when any fold is held out."""
    if not folds:
        return len(PARTS)
    return next(n for n in range(folds, 4 * folds) if n - -(-n // folds) >= len(PARTS) - 1)
