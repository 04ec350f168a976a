"""Cohorts of any size as column arrays, known without drawing an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from benchmark.errors import DataError
from benchmark.phantoms.radiograph.cooccurrence import FindingDistribution
from benchmark.phantoms.radiograph.counter_rng import CHOICE, PERSON, SHOT, VISITS, uniforms, uniforms_at

LARGEST_POOL = 2_000_000  # most fresh patients searched for a rare finding
POOL = 20_000  # fresh patients drawn per search step


@dataclass(frozen=True, eq=False)
class CohortTable:
    """Metadata of N images, one entry per image.

    Attributes:
        study: (N,) int64, number of the examination; its frontal and lateral image share it.
        patient: (N,) int64.
        present: (N, K) bool, the true findings of the examination.
        view, sex, site, split: (N,) str; age: (N,) int64 years.
    """

    study: np.ndarray
    patient: np.ndarray
    present: np.ndarray
    view: np.ndarray
    sex: np.ndarray
    age: np.ndarray
    site: np.ndarray
    split: np.ndarray

    def __len__(self) -> int:
        return len(self.study)

    def select(self, index: np.ndarray) -> CohortTable:
        """The images at these positions or under this mask."""
        return CohortTable(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def by_study(self) -> CohortTable:
        """The same images, sorted by examination; frontal before lateral where they were so before."""
        return self.select(np.argsort(self.study, kind="stable"))


def concatenate(parts: Sequence[CohortTable]) -> CohortTable:
    """Several tables one after the other."""
    names = [f.name for f in fields(CohortTable)]
    return CohortTable(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@dataclass(frozen=True)
class Population:
    """Demographics and acquisition of a dataset, all independent of the findings.

    Attributes:
        findings: their joint distribution.
        ages: youngest age of each group and the end of the last group, years.
        age_weights: of the groups; uniform within a group.
        male: share of the patients.
        pa: share of the frontal images.
        sites: name to share of the examinations.
    """

    findings: FindingDistribution
    ages: tuple[int, ...]
    age_weights: tuple[float, ...]
    male: float
    pa: float
    sites: Mapping[str, float]

    def studies(self, seed: int, patient: np.ndarray, first_study: int, split: str) -> CohortTable:
        """One frontal image per examination; ``patient`` is (N,), ascending."""
        n = len(patient)
        person = uniforms_at(seed, PERSON, patient, 2)
        shot = uniforms(seed, SHOT, first_study, n, 2)
        steps = np.concatenate([[0.0], np.cumsum(self.age_weights) / np.sum(self.age_weights)])
        ends = np.cumsum(list(self.sites.values()))
        site = np.searchsorted(ends / ends[-1], shot[:, 1], side="right")
        return CohortTable(
            study=first_study + np.arange(n),
            patient=patient.astype(np.int64),
            present=self.findings.present(seed, patient, first_study),
            view=np.where(shot[:, 0] < self.pa, "PA", "AP").astype("<U7"),
            sex=np.where(person[:, 0] < self.male, "male", "female"),
            age=np.floor(np.interp(person[:, 1], steps, self.ages)).astype(np.int64),
            site=np.array(list(self.sites))[site],
            split=np.full(n, split, "<U10"),
        )

    def cohort(
        self, seed: int, patients: int, images: int, *, first_patient: int, first_study: int, split: str,
        laterals: int = 0,
    ) -> CohortTable:  # fmt: skip
        """A fixed number of images and patients; ``laterals`` images are second images of an examination.

        Raises:
            DataError: fewer frontal images than patients, or more laterals than examinations.
        """
        studies = images - laterals
        if not 1 <= patients <= studies or laterals > studies:
            raise DataError(
                f"phantom {split}",
                f"{images} images, {laterals} of them lateral, for {patients} patients",
                "Give every patient at least one frontal image.",
            )
        visits = studies_per_patient(seed, patients, studies, first_patient)
        patient = first_patient + np.repeat(np.arange(patients), visits)
        frontal = self.studies(seed, patient, first_study, split)
        if not laterals:
            return frontal
        # the second image belongs to the upright examination: examinations with a PA image come first
        turn = uniforms(seed, CHOICE, first_study, studies, 1)[:, 0] + (frontal.view != "PA")
        lateral = frontal.select(np.sort(np.argsort(turn, kind="stable")[:laterals]))
        lateral.view[:] = "LATERAL"
        return concatenate([frontal, lateral]).by_study()

    def fresh(self, seed: int, first: int, count: int, split: str) -> CohortTable:
        """Patients outside every other split, one frontal image each."""
        return self.studies(seed, np.arange(first, first + count), first, split)

    def fresh_by_group(
        self, seed: int, first: int, split: str, quota: Sequence[int] | np.ndarray,
        group_of: Callable[[CohortTable], np.ndarray], *, source: str,
    ) -> CohortTable:  # fmt: skip
        """Fill each group with the first fresh patients, by number, that belong to it.

        Args:
            quota: (G,) images of each group.
            group_of: maps a table to (N,) group numbers, -1 for none.
        Raises:
            DataError: ``LARGEST_POOL`` patients do not fill a group.
        """
        selected, left, at = [self.fresh(seed, first, 0, split)], np.array(quota, dtype=np.int64), first
        while left.any():
            if at - first >= LARGEST_POOL:
                problem = f"{LARGEST_POOL} fresh patients give too few of a rare finding"
                raise DataError(source, problem, "Request fewer.")
            pool = self.fresh(seed, at, POOL, split)
            group = group_of(pool)
            for k in np.flatnonzero(left):
                index = np.flatnonzero(group == k)[: left[k]]
                selected.append(pool.select(index))
                left[k] -= len(index)
            at += POOL
        return concatenate(selected).by_study()


def studies_per_patient(seed: int, patients: int, studies: int, first_patient: int) -> np.ndarray:
    """(P,) examinations per patient, at least one; a negative binomial tail gives a few patients many."""
    rng = np.random.default_rng([seed, VISITS, first_patient, patients, studies])
    weight = rng.gamma(0.45, size=patients)
    return np.asarray(1 + rng.multinomial(studies - patients, weight / weight.sum()))
