"""Radiograph cohort with the margins of Schaudt et al. 2023, Tables 1 and 2."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.errors import DataError
from benchmark.phantoms.quotas import apportion

# Schaudt et al. 2023, Table 1, training and validation columns. The caption says patients, but the counts sum
# to the 1082 images, so they are images; section 3.1 gives the sexes by patient.
AGES = ((18, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 90))
TRAIN_AGES = (20, 110, 105, 127, 191, 171, 102, 39)
TEST_AGES = (3, 29, 22, 28, 58, 26, 36, 15)
TRAIN_MALE, TEST_MALE = 533 / 865, 134 / 217
TRAIN_AP, TEST_AP = 238 / 865, 68 / 217  # two of the 865 have no view in the table; here they are PA
MALE_PATIENTS = 486 / 828


@dataclass(frozen=True)
class ImageRecord:
    """One image to draw; the population decides sex, age and view where they are None."""

    index: int
    patient: int
    finding: str
    sex: str | None = None
    age: int | None = None
    view: str | None = None


def cohort(
    counts: Mapping[str, int], patients: int, *, first_index: int, first_patient: int, test: bool, seed: int
) -> list[ImageRecord]:
    """Images of one split of the cohort, with the split's margins of age, sex and view.

    Sex, age and view are independent of the class, so that they are no shortcut.

    Args:
        counts: images per class.
        patients: patients of the split; some have several images.
        test: take the margins of the paper's validation column instead of the training column.
    Raises:
        DataError: more patients than images.
    """
    images = sum(counts.values())
    if patients > images or patients < 1:
        raise DataError(
            "phantom.chest.patients",
            f"{patients} patients for {images} images",
            "`patients` are divided between train_counts and test_counts in proportion to their images: "
            "choose a number that gives both at least one patient and every patient at least one image.",
        )
    rng = np.random.default_rng([seed, 11, int(test)])
    male = np.arange(patients) < round(patients * MALE_PATIENTS)
    per_patient = _images_per_patient(male, images, TEST_MALE if test else TRAIN_MALE, rng)
    order = rng.permutation(patients)
    male, per_patient = male[order], per_patient[order]
    finding = _assign_groups(per_patient, np.array(list(counts.values())), rng)
    age = _assign_groups(per_patient, apportion(TEST_AGES if test else TRAIN_AGES, images), rng)
    years = [int(rng.integers(*AGES[k])) for k in age]
    ap = rng.permutation(images) < round(images * (TEST_AP if test else TRAIN_AP))
    names = list(counts)
    owners = np.repeat(np.arange(patients), per_patient)
    return [
        ImageRecord(
            index=first_index + i,
            patient=first_patient + int(p),
            finding=names[finding[p]],
            sex="male" if male[p] else "female",
            age=years[p],
            view="AP" if ap[i] else "PA",
        )
        for i, p in enumerate(owners)
    ]


def sample_demographics(rng: np.random.Generator) -> tuple[str, int]:
    """Sex and age of a fresh patient, by the margins of the training images."""
    sex = "male" if rng.random() < TRAIN_MALE else "female"
    group = rng.choice(len(AGES), p=np.array(TRAIN_AGES) / sum(TRAIN_AGES))
    return sex, int(rng.integers(*AGES[group]))


def _images_per_patient(
    male: np.ndarray, images: int, male_share: float, rng: np.random.Generator
) -> np.ndarray:
    """Images per patient, at least one, such that men have ``male_share`` of the images."""
    extra = images - len(male)
    of_men = int(np.clip(round(images * male_share) - male.sum(), 0, extra))
    if male.all() or not male.any():
        of_men = extra if male.all() else 0
    per_patient = np.ones(len(male), dtype=int)
    for group, more in ((male, of_men), (~male, extra - of_men)):
        members = np.flatnonzero(group)
        for _ in range(more):  # two extra images are rarer than one
            weight = 1.0 / per_patient[members] ** 2
            per_patient[rng.choice(members, p=weight / weight.sum())] += 1
    return per_patient


def _assign_groups(per_patient: np.ndarray, quota: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(P,) group of each patient such that the images per group meet the quota exactly.

    Patients with the most images come first, so that patients with one image fill the rest.
    """
    left = quota.copy()
    group = np.zeros(len(per_patient), dtype=int)
    order = rng.permutation(len(per_patient))
    for p in order[np.argsort(-per_patient[order], kind="stable")]:
        room = np.where(left >= per_patient[p], left, 0)
        if not room.any():
            room = left  # only in tiny cohorts: a group may then miss its quota by an image
        group[p] = rng.choice(len(left), p=room / room.sum())
        left[group[p]] = max(0, left[group[p]] - per_patient[p])
    return group
