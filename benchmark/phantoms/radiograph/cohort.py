"""Who is imaged, how often and with what: tables of any size, known without drawing a picture.

Every row is drawn from a counter (Philox), so row 200,000 costs the same whether or not the rows before it
were drawn, and a table of 200,000 rows is a handful of arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.lazy import LazyImages
from benchmark.phantoms.radiograph import thorax

LICENSE = "Apache-2.0"
# streams of random numbers; a new one gets a new number, so that no table changes
PATIENT, STUDY, PERSON, SHOT, VISITS, REPORT, CHOICE, GRADE = range(8)
BLOCK = 1_000_000  # rows that are drawn together at most
LARGEST_POOL = 2_000_000  # fresh patients looked through before giving up on a rare finding


def uniforms(seed: int, stream: int, first: int, count: int, width: int) -> np.ndarray:
    """Random numbers of the rows ``first`` to ``first + count``, whatever the other rows are.

    Returns:
        (count, width) float64 in [0, 1).
    """
    per_row = -(-width // 4)  # Philox gives four numbers per step of its counter
    bits = np.random.Philox(key=np.array([stream, seed], np.uint64))
    bits.advance(first * per_row)
    return np.random.Generator(bits).random((count, 4 * per_row))[:, :width]


def uniforms_at(seed: int, stream: int, rows: np.ndarray, width: int) -> np.ndarray:
    """(N, width) random numbers of these rows, which lie in a few blocks of ascending numbers."""
    found = np.empty((len(rows), width))
    blocks = rows // BLOCK
    for block in np.unique(blocks).tolist():
        mine = blocks == block
        low = int(rows[mine].min())
        found[mine] = uniforms(seed, stream, low, int(rows[mine].max()) - low + 1, width)[rows[mine] - low]
    return found


def normals(seed: int, stream: int, first: int, count: int, width: int) -> np.ndarray:
    """As ``uniforms``, but standard normal."""
    from scipy.special import ndtri

    return np.asarray(ndtri(uniforms(seed, stream, first, count, width) + 2.0**-54))


@dataclass(frozen=True, eq=False)
class Findings:
    """Which findings occur, and together: normal scores with one threshold per finding.

    A finding is there where its score exceeds the threshold that gives its prevalence. Scores of two
    findings correlate as ``correlation`` says; a share ``lasting`` of every score's variance belongs to the
    patient and the rest to the study, so that a patient's studies resemble each other.

    Attributes:
        names: of the K findings.
        prevalence: (K,) share of the studies, 0..1.
        correlation: (K, K) of the scores, positive definite.
        lasting: share of the variance, 0..1.
    """

    names: tuple[str, ...]
    prevalence: np.ndarray
    correlation: np.ndarray
    lasting: float

    def present(self, seed: int, patient: np.ndarray, first_study: int) -> np.ndarray:
        """(N, K) bool for the N studies from ``first_study`` on, of these patients (ascending numbers)."""
        from scipy.special import ndtri

        root = np.linalg.cholesky(self.correlation)
        low, width = int(patient.min()), len(self.names)
        own = normals(seed, PATIENT, low, int(patient.max()) - low + 1, width) @ root.T
        score = np.sqrt(self.lasting) * own[patient - low]
        score += np.sqrt(1 - self.lasting) * (normals(seed, STUDY, first_study, len(patient), width) @ root.T)
        return np.asarray(score > -ndtri(self.prevalence))


def nearest_correlation(matrix: np.ndarray, smallest: float = 0.02) -> np.ndarray:
    """A positive definite correlation matrix near a symmetric one, by clipping its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    clipped = (vectors * np.maximum(values, smallest)) @ vectors.T
    scale = np.sqrt(np.diag(clipped))
    return clipped / np.outer(scale, scale)


def correlation_for_pair(one: float, other: float, both: float) -> float:
    """The correlation of two normal scores that exceed thresholds alone and together as often as given.

    Args:
        one, other: prevalence of each, 0..1.
        both: share that has both; what no correlation reaches becomes -0.95 or 0.95.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri
    from scipy.stats import multivariate_normal

    at = [float(ndtri(one)), float(ndtri(other))]  # of the lower tail, which is as probable

    def excess(r: float) -> float:
        return float(multivariate_normal.cdf(at, cov=[[1, r], [r, 1]])) - both

    low, high = -0.95, 0.95
    if excess(low) >= 0 or excess(high) <= 0:
        return low if excess(low) >= 0 else high
    return float(brentq(excess, low, high, xtol=1e-3))


@dataclass(frozen=True, eq=False)
class CohortTable:
    """One row per image.

    Attributes:
        study: (N,) int64, number of the study; frontal and lateral image of one study share it.
        patient: (N,) int64.
        present: (N, K) bool, the true findings of the study.
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

    def select(self, rows: np.ndarray) -> CohortTable:
        """The rows at these positions or under this mask."""
        return CohortTable(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def concatenate(parts: Sequence[CohortTable]) -> CohortTable:
    """Several tables one after the other."""
    return CohortTable(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(CohortTable)}
    )


@dataclass(frozen=True)
class Population:
    """What the patients of a dataset are like; nothing here depends on a finding, so nothing gives it away.

    Attributes:
        findings: their joint distribution.
        ages: youngest age of every group and the end of the last one, years.
        age_weights: of the groups; uniform within a group.
        male: share of the patients.
        pa: share of the frontal images.
        sites: name to share of the studies.
    """

    findings: Findings
    ages: tuple[int, ...]
    age_weights: tuple[float, ...]
    male: float
    pa: float
    sites: Mapping[str, float]

    def studies(self, seed: int, patient: np.ndarray, first_study: int, split: str) -> CohortTable:
        """One frontal image for each of these studies, of these patients (ascending numbers)."""
        low, n = int(patient.min()), len(patient)
        person = uniforms(seed, PERSON, low, int(patient.max()) - low + 1, 2)[patient - low]
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
        """So many images of so many patients; ``laterals`` of them are second images of a study.

        Raises:
            DataError: fewer frontal images than patients, or more laterals than studies.
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
        # the second image belongs to the upright examination: studies with a PA image first
        turn = uniforms(seed, CHOICE, first_study, studies, 1)[:, 0] + (frontal.view != "PA")
        lateral = frontal.select(np.sort(np.argsort(turn, kind="stable")[:laterals]))
        lateral.view[:] = "LATERAL"
        both = concatenate([frontal, lateral])
        return both.select(np.argsort(both.study, kind="stable"))

    def fresh(self, seed: int, first: int, count: int, split: str) -> CohortTable:
        """Patients of their own, one frontal image each."""
        return self.studies(seed, np.arange(first, first + count), first, split)

    def fresh_by_group(
        self, seed: int, first: int, split: str, wanted: np.ndarray, groups: Any, *, where: str
    ) -> CohortTable:
        """Fresh patients until every group has its number: the first so many of each, by number.

        Args:
            wanted: (G,) images of each group.
            groups: function of a ``Table`` that gives (N,) the group of every image, -1 for none.
        Raises:
            DataError: a group is not filled by ``LARGEST_POOL`` patients.
        """
        kept, left, at = [], np.array(wanted, dtype=np.int64), first
        while left.any():
            if at - first >= LARGEST_POOL:
                raise DataError(
                    where, f"{LARGEST_POOL} fresh patients give too few of a rare finding", "Ask for fewer."
                )
            pool = self.fresh(seed, at, 20_000, split)
            group = groups(pool)
            for k in np.flatnonzero(left):
                rows = np.flatnonzero(group == k)[: left[k]]
                kept.append(pool.select(rows))
                left[k] -= len(rows)
            at += 20_000
        empty = self.fresh(seed, first, 1, split).select(np.zeros(0, np.int64))
        found = concatenate([empty, *kept])
        return found.select(np.argsort(found.study, kind="stable"))


def studies_per_patient(seed: int, patients: int, studies: int, first_patient: int) -> np.ndarray:
    """(P,) studies per patient, at least one: most have one, a few have many (negative binomial tail)."""
    rng = np.random.default_rng([seed, VISITS, first_patient, patients, studies])
    weight = rng.gamma(0.45, size=patients)
    return np.asarray(1 + rng.multinomial(studies - patients, weight / weight.sum()))


def lazy_images(
    table: CohortTable, drawn: Sequence[str], shown: np.ndarray, seed: int, size: int, **how: Any
) -> tuple[LazyImages, LazyImages]:
    """Images and masks of a table, drawn when looked at; arguments as of ``draw_row``."""

    def read(row: int) -> tuple[np.ndarray, np.ndarray]:
        study = draw_record(table, row, drawn, shown, seed, size, **how)
        return study.image, study.mask

    return LazyImages.pair(read, len(table), size)


def draw_record(
    table: CohortTable,
    row: int,
    drawn: Sequence[str],
    shown: np.ndarray,
    seed: int,
    size: int,
    *,
    devices: np.ndarray | None = None,
    minimum_severity: Mapping[str, float] = MappingProxyType({}),
) -> thorax.Radiograph:
    """Draw one row of a table.

    Args:
        drawn: names of ``thorax.FINDINGS``, one per column of ``shown``.
        shown: (N, D) bool.
        devices: (N,) bool, with or without lines and tubes; drawn at random where None.
        mildest: by finding, where its severities begin, to be even from there to 1; as ``thorax`` draws
            them where it is not named.
    """
    grade: dict[str, float | None] = {}
    for k in np.flatnonzero(shown[row]).tolist():
        low = minimum_severity.get(drawn[k])
        chance = uniforms(seed, GRADE, int(table.study[row]), 1, len(drawn))[0, k]
        grade[drawn[k]] = None if low is None else float(low + (1 - low) * chance)
    return thorax.draw(
        grade,
        seed=seed,
        index=int(table.study[row]),
        size=size,
        patient=int(table.patient[row]),
        sex=str(table.sex[row]),
        age=int(table.age[row]),
        view=str(table.view[row]),
        site=str(table.site[row]),
        devices=None if devices is None else bool(devices[row]),
    )


def ids(table: CohortTable, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) id of every image and of its patient; a lateral image ends in L."""
    end = np.where(table.view == "LATERAL", "L", "")
    image = np.char.add(np.char.add(f"phantom-{seed}-", np.char.zfill(table.study.astype(str), 8)), end)
    return image, np.char.add(f"phantom-{seed}-p", np.char.zfill(table.patient.astype(str), 8))


def metadata_columns(table: CohortTable, seed: int, source: str) -> dict[str, Any]:
    """The columns of an ``ImageSet`` that every phantom population has."""
    image_id, patient_id = ids(table, seed)
    return {
        "image_id": image_id,
        "patient_id": patient_id,
        "origin": np.full(len(table), f"real:{source}"),
        "site": table.site,
        "view": table.view,
        "age": table.age,
        "sex": table.sex,
        "license": np.full(len(table), LICENSE),
        "split": table.split,
    }


def prompts(start: str, words: Sequence[str], named: np.ndarray, otherwise: str) -> np.ndarray:
    """(N,) one sentence per row of ``named`` (N, K) bool; equal rows share one string."""
    code = named @ (1 << np.arange(named.shape[1], dtype=np.int64))
    _, first, which = np.unique(code, return_index=True, return_inverse=True)
    texts = [
        f"{start} {', '.join(words[k] for k in np.flatnonzero(named[row]).tolist())}."
        if named[row].any()
        else otherwise
        for row in first
    ]
    return np.array(texts, dtype=object)[which]


def check_size(size: int, source: str) -> None:
    """Refuse an image size that cannot be drawn."""
    if not 16 <= size <= 1024:
        raise DataError(source, f"cannot draw {size} pixels", "Choose an image size from 16 to 1024.")


def bounding_box(mask: np.ndarray) -> np.ndarray:
    """(4,) float32 left, top, width, height of what is not 0 in (S, S); NaN where there is nothing."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.full(4, np.nan, np.float32)
    left, top = columns[0], rows[0]
    return np.array([left, top, columns[-1] - left + 1, rows[-1] - top + 1], np.float32)
