"""A phantom population after CheXpert: 14 observations, frontal and lateral, reports that err.

``python -m benchmark.datasets.phantom.chexpert OUT.png`` draws an example grid.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import unknown_name
from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.phantoms.radiograph import cohort, reports, thorax
from benchmark.phantoms.radiograph.cohort import Findings, Population, CohortTable
from benchmark.phantoms.radiograph.reports import DEVICES, OBSERVATIONS, REPORTING_RATES
from benchmark.utils.hashing import canonical_json

version = "1"
SOURCE = "phantom.chexpert"
FRESH_TEST, FRESH_VAL, FRESH_PAPER, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3, 4))  # first patients
# 191,027 frontal and 32,387 lateral images of 223,414: CheXpert's train.csv, as Zhang et al. 2024 count it
# (RSNA Atlas, doi:10.1148/atlas.1764531879152)
LATERAL_SHARE = 32_387 / 223_414
# Lan 2023, Table 2: images, studies, and images positive for pneumothorax and for pleural effusion
PAPER = {"val": (234, 200, 8, 67), "test_paper": (668, 500, 10, 120)}
# how the scores of two findings correlate (chosen; heart failure, infection, and what a parent term names)
SCORE_CORRELATIONS = {
    ("Enlarged Cardiomediastinum", "Cardiomegaly"): 0.5,
    ("Cardiomegaly", "Edema"): 0.4,
    ("Cardiomegaly", "Pleural Effusion"): 0.25,
    ("Edema", "Pleural Effusion"): 0.4,
    ("Edema", "Lung Opacity"): 0.35,
    ("Edema", "Support Devices"): 0.2,
    ("Lung Opacity", "Lung Lesion"): 0.2,
    ("Lung Opacity", "Consolidation"): 0.4,
    ("Lung Opacity", "Pneumonia"): 0.4,
    ("Lung Opacity", "Atelectasis"): 0.35,
    ("Lung Opacity", "Pleural Effusion"): 0.35,
    ("Consolidation", "Pneumonia"): 0.5,
    ("Consolidation", "Pleural Effusion"): 0.2,
    ("Consolidation", "Atelectasis"): 0.15,
    ("Atelectasis", "Pleural Effusion"): 0.35,
    ("Pneumothorax", "Fracture"): 0.1,
    ("Pleural Effusion", "Pleural Other"): 0.1,
}
# what is drawn: a column each; lung opacity without a cause in the list becomes an infiltration
DRAWN = {
    "Cardiomegaly": "cardiomegaly",
    "Edema": "edema",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Atelectasis": "atelectasis",
    "Pneumothorax": "pneumothorax",
    "Pleural Effusion": "effusion",
    "Pleural Other": "pleural_thickening",
}
OPACITIES = ("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Lung Lesion")
MINIMUM_SEVERITY = {
    "pneumothorax": 0.5
}  # severity: a hospital treats few smaller ones (chosen, see the card)
MASSES = 0.3  # of the lung lesions; the others are nodules (chosen)


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; the defaults are CheXpert's as Lan 2023 uses it, and a larger ``test``."""

    train_images: int = Field(
        223_414, ge=50, description="frontal and lateral (Table 1: every row sums to it)"
    )
    train_patients: int = Field(64_540, ge=20, description="65,240 patients less those of val and test_paper")
    val_images: int | None = Field(None, ge=20, description="fresh patients; None: the 234 images of Table 2")
    test_images: int = Field(20_000, ge=50, description="fresh patients, one image each, true prevalence")
    reserve_of: str = Field(
        "Pneumothorax", description="observation that half of the images kept for oracle have"
    )


def _population() -> Population:
    names = tuple(REPORTING_RATES)
    matrix = np.eye(len(names))
    for (a, b), r in SCORE_CORRELATIONS.items():
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = r
    return Population(
        findings=Findings(
            names=names,
            prevalence=np.array([s.prevalence for s in REPORTING_RATES.values()]),
            correlation=cohort.nearest_correlation(matrix),
            lasting=0.5,
        ),
        ages=(18, 30, 40, 50, 60, 70, 80, 90),
        age_weights=(0.08, 0.08, 0.13, 0.20, 0.22, 0.17, 0.12),  # chosen; half are over 60
        male=0.59,  # chosen, of CheXpert's images
        pa=0.15,  # of the frontal images: most are bedside AP
        sites=dict(zip(thorax.SITES, (0.5, 0.3, 0.2), strict=False)),
    )


def fingerprint(params: Params) -> str:
    """Hash of what decides the pictures: the versions of population and drawing, and the parameters."""
    text = canonical_json(
        {"source": SOURCE, "version": [version, thorax.version], "params": params.model_dump()}
    )
    return hashlib.sha256(text.encode()).hexdigest()


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Every image's truth, patient, view, sex, age, site and split, without a picture.

    ``present`` has the columns of ``OBSERVATIONS``; "No Finding" is there where no pathology is.
    """
    if params.reserve_of not in REPORTING_RATES:
        raise unknown_name("observation", params.reserve_of, list(REPORTING_RATES), f"{SOURCE}.reserve_of")
    people, wanted = _population(), params.reserve_of
    of = list(REPORTING_RATES).index(wanted)
    parts = [
        people.cohort(seed, params.train_patients, params.train_images, first_patient=0, first_study=0,
                      split="train", laterals=round(params.train_images * LATERAL_SHARE)),
        _with_laterals(people.fresh(seed, FRESH_TEST, params.test_images, "test"), seed),
        _published_split(people, "test_paper", FRESH_PAPER, seed),
        _published_split(people, "val", FRESH_VAL, seed) if params.val_images is None
        else _with_laterals(people.fresh(seed, FRESH_VAL, params.val_images, "val"), seed),
        _with_laterals(people.fresh_by_group(seed, FRESH_RESERVE, "reserve", np.array([reserve, reserve]),
                                         lambda t: t.present[:, of].astype(int), where=SOURCE), seed),
    ]  # fmt: skip
    table = cohort.concatenate(parts)
    clean = ~np.delete(table.present, DEVICES - 1, axis=1).any(1, keepdims=True)
    return replace(table, present=np.hstack([clean, table.present]))


def _with_laterals(table: CohortTable, seed: int) -> CohortTable:
    """The same studies, some of them seen from the side, as often as among CheXpert's images."""
    turn = cohort.uniforms_at(seed, cohort.CHOICE, table.study, 1)[:, 0]
    return replace(table, view=np.where(turn < LATERAL_SHARE, "LATERAL", table.view))


def _published_split(people: Population, split: str, first: int, seed: int) -> CohortTable:
    """A split of the published size and counts: one or two images per study, a second one lateral."""
    images, studies, pneumothorax, effusion = PAPER[split]
    pairs = images - studies

    def single_and_pair(positive: int) -> np.ndarray:
        in_pairs = round(positive * pairs / images)
        return np.array([positive - 2 * in_pairs, in_pairs])

    air, fluid = single_and_pair(pneumothorax), single_and_pair(effusion)
    both = air // 2  # as about half of the population's pneumothoraces
    cells = np.stack([[studies - pairs, pairs] - (air + fluid - both), fluid - both, air - both, both])
    columns = [list(REPORTING_RATES).index(name) for name in ("Pneumothorax", "Pleural Effusion")]

    def cell(table: CohortTable) -> np.ndarray:
        return np.asarray(table.present[:, columns] @ [2, 1])

    frontal = people.fresh_by_group(seed, first, split, cells.sum(1), cell, where=SOURCE)
    number = cell(frontal)
    second = np.concatenate([np.flatnonzero(number == k)[: cells[k, 1]] for k in range(4)])
    lateral = frontal.select(second)
    table = cohort.concatenate([frontal, replace(lateral, view=np.full(len(lateral), "LATERAL"))])
    return table.select(np.argsort(table.study, kind="stable"))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn when looked at; ``report`` of train is what reports say, elsewhere the truth.

    ``label`` is 1 where the report is positive, as a reader of CheXpert's CSV would have it. ``test`` are
    fresh patients, ``test_paper`` and ``val`` have the counts of Lan 2023, Table 2, and ``reserve`` holds
    ``reserve_per_class`` images with and as many without ``params.reserve_of``.

    Args:
        classes: of the task; the source hands over its 14 observations, of which the task's
            ``label_policy`` makes the classes.
        image_size: 16 to 1024 pixels.
    Raises:
        DataError: a size that cannot be drawn, or numbers that do not fit together.
    """
    cohort.check_size(image_size, SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    chance = cohort.uniforms_at(seed, cohort.REPORT, table.study, len(OBSERVATIONS))
    noisy = (table.split == "train")[:, None]
    report = np.where(
        noisy, reports.sample_reported_labels(table.present, chance), reports.expert_labels(table.present)
    )
    image, mask = cohort.lazy_images(
        table,
        *drawn_findings(table, seed),
        seed,
        image_size,
        devices=table.present[:, DEVICES],
        minimum_severity=MINIMUM_SEVERITY,
    )
    named = (report == POSITIVE) & ~np.isin(np.arange(len(OBSERVATIONS)), (0, DEVICES))
    return ImageSet(
        image=image,
        mask=mask,
        label=(report == POSITIVE).astype(np.uint8),
        reported_labels=report,
        classes=OBSERVATIONS,
        prompt=cohort.prompts(
            "Chest X-ray images of people with", [o.lower() for o in OBSERVATIONS], named,
            "Chest X-ray images of healthy people",
        ),  # the sentences of Lan 2023, section 4.6
        card={"source": SOURCE, "version": version, "seed": seed, "license": cohort.LICENSE,
              "see": "docs/data_cards/phantom_chexpert.md",
              "notes": ["reports of train err by a stated model; those of the other splits say the truth",
                        "not drawn: enlarged cardiomediastinum, fracture"]},
        **cohort.metadata_columns(table, seed, SOURCE),
    )  # fmt: skip


def drawn_findings(table: CohortTable, seed: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Which findings of ``thorax`` every image shows: their names, and (N, D) bool."""
    truth = dict(zip(OBSERVATIONS, table.present.T, strict=True))
    large = cohort.uniforms_at(seed, cohort.CHOICE, table.study, 2)[:, 1] < MASSES
    unexplained = ~np.any([truth[name] for name in OPACITIES], axis=0)
    found = {drawn: truth[name] for name, drawn in DRAWN.items()}
    found["mass"] = truth["Lung Lesion"] & large
    found["nodule"] = truth["Lung Lesion"] & ~large
    found["infiltration"] = truth["Lung Opacity"] & unexplained
    return tuple(found), np.stack(list(found.values()), axis=1)


def example_grid(path: str, *, size: int = 128, columns: int = 8, seed: int = 0) -> None:
    """Write a PNG: rows are pneumothorax, pleural effusion, no finding, lateral images."""
    from PIL import Image

    params = Params(train_images=4000, train_patients=1500, test_images=50, val_images=20)
    table = sample_cohort(params, reserve=1, seed=seed)
    names, found = drawn_findings(table, seed)
    truth = dict(zip(OBSERVATIONS, table.present.T, strict=True))
    frontal = table.view != "LATERAL"
    kinds = [truth[name] & frontal for name in ("Pneumothorax", "Pleural Effusion", "No Finding")]
    kinds.append(~frontal)
    devices = truth["Support Devices"]
    rows = [
        [cohort.draw_record(table, int(i), names, found, seed, size, devices=devices, minimum_severity=MINIMUM_SEVERITY).image
         for i in np.flatnonzero(kind)[:columns]]
        for kind in kinds
    ]  # fmt: skip
    Image.fromarray(np.concatenate([np.concatenate(r, 1) for r in rows])).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.datasets.phantom.chexpert OUT.png")
    example_grid(sys.argv[1])
