"""Who is imaged: the cohort of Schaudt et al. 2023, Tables 1 and 2, and fresh patients beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.errors import DataError

# Schaudt et al. 2023, Table 1, training and validation columns added. They sum to the 1082 images, so they
# are images, though the caption says patients; the patient-level sexes are in section 3.1.
AGES = ((18, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 90))
TRAIN_AGES = (20, 110, 105, 127, 191, 171, 102, 39)
TEST_AGES = (3, 29, 22, 28, 58, 26, 36, 15)
TRAIN_MALE, TEST_MALE = 533 / 865, 134 / 217
TRAIN_AP, TEST_AP = 238 / 865, 68 / 217  # two of the 865 have no view in the table; here they are PA
MALE_PATIENTS = 486 / 828


@dataclass(frozen=True)
class ImageRecord:
    """One image to draw."""

    index: int
    patient: int
    finding: str
    sex: str
    age: int
    view: str


def cohort(
    counts: Mapping[str, int], patients: int, *, first_index: int, first_patient: int, test: bool, seed: int
) -> list[ImageRecord]:
    """Studies of one split of the cohort, with the split's margins of age, sex and view.

    Sex, age and view are independent of the class, so that they cannot give it away.

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
            "`patients` are shared among train_counts and test_counts in proportion to their images: "
            "choose it so that each has at least one patient and every patient at least one image.",
        )
    rng = np.random.default_rng([seed, 11, int(test)])
    male = np.arange(patients) < round(patients * MALE_PATIENTS)
    studies = _images_per_patient(male, images, TEST_MALE if test else TRAIN_MALE, rng)
    order = rng.permutation(patients)
    male, studies = male[order], studies[order]
    finding = _assign_groups(studies, np.array(list(counts.values())), rng)
    age = _assign_groups(studies, apportion(TEST_AGES if test else TRAIN_AGES, images), rng)
    years = [int(rng.integers(*AGES[k])) for k in age]
    ap = rng.permutation(images) < round(images * (TEST_AP if test else TRAIN_AP))
    names = list(counts)
    rows = np.repeat(np.arange(patients), studies)
    return [
        ImageRecord(
            index=first_index + i,
            patient=first_patient + int(p),
            finding=names[finding[p]],
            sex="male" if male[p] else "female",
            age=years[p],
            view="AP" if ap[i] else "PA",
        )
        for i, p in enumerate(rows)
    ]


def sample_demographics(rng: np.random.Generator) -> tuple[str, int]:
    """Sex and age of a fresh patient, by the margins of the training images."""
    sex = "male" if rng.random() < TRAIN_MALE else "female"
    group = rng.choice(len(AGES), p=np.array(TRAIN_AGES) / sum(TRAIN_AGES))
    return sex, int(rng.integers(*AGES[group]))


def apportion(weights: tuple[int, ...], total: int) -> np.ndarray:
    """Integers in proportion to the weights that sum to ``total`` (largest remainder)."""
    exact = np.array(weights) * total / sum(weights)
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _images_per_patient(
    male: np.ndarray, images: int, male_share: float, rng: np.random.Generator
) -> np.ndarray:
    """Images per patient, at least one, such that the men have their share of the images."""
    extra = images - len(male)
    of_men = int(np.clip(round(images * male_share) - male.sum(), 0, extra))
    if male.all() or not male.any():
        of_men = extra if male.all() else 0
    studies = np.ones(len(male), dtype=int)
    for group, more in ((male, of_men), (~male, extra - of_men)):
        members = np.flatnonzero(group)
        for _ in range(more):  # the longer ill, the more often imaged: two extra studies are rarer than one
            weight = 1.0 / studies[members] ** 2
            studies[rng.choice(members, p=weight / weight.sum())] += 1
    return studies


def _assign_groups(studies: np.ndarray, quota: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give every patient one group such that the images per group meet the quota exactly.

    The patients with most images choose first, so that single images fill what is left.
    """
    left = quota.copy()
    group = np.zeros(len(studies), dtype=int)
    order = rng.permutation(len(studies))
    for p in order[np.argsort(-studies[order], kind="stable")]:
        room = np.where(left >= studies[p], left, 0)
        if not room.any():
            room = left  # only for tiny cohorts: a group may then differ from its quota by an image
        group[p] = rng.choice(len(left), p=room / room.sum())
        left[group[p]] = max(0, left[group[p]] - studies[p])
    return group
