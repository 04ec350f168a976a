"""Phantom population modeled on CheXpert: 14 observations, frontal and lateral, noisy report labels."""

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets.phantom import _common
from benchmark.datasets.phantom._radiographs import CohortDrawing, prompts
from benchmark.errors import unknown_name
from benchmark.images.image_set import POSITIVE, ImageSet
from benchmark.phantoms.canvas.fields import check_size
from benchmark.phantoms.radiograph import cohort, reports, thorax
from benchmark.phantoms.radiograph.cohort import CohortTable, Population
from benchmark.phantoms.radiograph.cooccurrence import FindingDistribution
from benchmark.phantoms.radiograph.counter_rng import CHOICE, REPORT, uniforms_at
from benchmark.phantoms.radiograph.reports import DEVICES, OBSERVATIONS, REPORTING_RATES

version = "1"
conditions = frozenset({"age", "mask", "prompt", "sex", "view"})
SOURCE = "phantom.chexpert"
FRESH_TEST, FRESH_VAL, FRESH_PAPER, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3, 4))  # first patients
# 191,027 frontal and 32,387 lateral images of 223,414: CheXpert's train.csv, as Zhang et al. 2024 count it
# (RSNA Atlas, doi:10.1148/atlas.1764531879152)
LATERAL_SHARE = 32_387 / 223_414
# Lan 2023, Table 2: images, studies, and images positive for pneumothorax and for pleural effusion
PAPER = {"val": (234, 200, 8, 67), "test_paper": (668, 500, 10, 120)}
# correlations of the scores of two findings (chosen: heart failure, infection, parent and child terms)
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
# the simulator's finding of an observation; lung opacity without a listed cause becomes an infiltration
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
MINIMUM_SEVERITY = {"pneumothorax": 0.5}  # hospitals treat few smaller ones (chosen, see the card)
MASSES = 0.3  # share of the lung lesions; the others are nodules (chosen)


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; the defaults are CheXpert's as Lan 2023 uses it, and a larger ``test``."""

    train_images: int = Field(
        223_414, ge=50, description="frontal and lateral (Table 1: every row sums to it)"
    )
    train_patients: int = Field(64_540, ge=20, description="65,240 patients less those of val and test_paper")
    val_images: int | None = Field(None, ge=20, description="fresh patients; None: the 234 images of Table 2")
    test_images: int = Field(20_000, ge=50, description="fresh patients, one image each, true prevalence")
    reserve_of: str = Field("Pneumothorax", description="observation present in half of the reserve images")


def _population() -> Population:
    names = tuple(REPORTING_RATES)
    matrix = np.eye(len(names))
    for (a, b), r in SCORE_CORRELATIONS.items():
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = r
    return Population(
        findings=FindingDistribution(
            names=names,
            prevalence=np.array([s.prevalence for s in REPORTING_RATES.values()]),
            correlation=matrix,
            lasting=0.5,
        ),
        ages=(18, 30, 40, 50, 60, 70, 80, 90),
        age_weights=(0.08, 0.08, 0.13, 0.20, 0.22, 0.17, 0.12),  # chosen; half are over 60
        male=0.59,  # chosen, of CheXpert's images
        pa=0.15,  # of the frontal images: most are bedside AP
        sites=dict(zip(thorax.SITES, (0.5, 0.3, 0.2), strict=False)),
    )


def fingerprint(params: Params) -> str:
    """Hash of everything that decides the pixels."""
    return _common.fingerprint(SOURCE, [version, thorax.version], params)


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Findings, patient, view, sex, age, site and split of each image, without drawing it.

    ``present`` has the columns of ``OBSERVATIONS``; "No Finding" is true where no pathology is present.
    """
    if params.reserve_of not in REPORTING_RATES:
        raise unknown_name("observation", params.reserve_of, list(REPORTING_RATES), f"{SOURCE}.reserve_of")
    population, column = _population(), list(REPORTING_RATES).index(params.reserve_of)
    parts = [
        population.cohort(seed, params.train_patients, params.train_images, first_patient=0, first_study=0,
                          split="train", laterals=round(params.train_images * LATERAL_SHARE)),
        _with_laterals(population.fresh(seed, FRESH_TEST, params.test_images, "test"), seed),
        _published_split(population, "test_paper", FRESH_PAPER, seed),
        _published_split(population, "val", FRESH_VAL, seed) if params.val_images is None
        else _with_laterals(population.fresh(seed, FRESH_VAL, params.val_images, "val"), seed),
        _with_laterals(population.fresh_by_group(seed, FRESH_RESERVE, "reserve", [reserve, reserve],
                                                 lambda t: t.present[:, column].astype(int), source=SOURCE),
                       seed),
    ]  # fmt: skip
    table = cohort.concatenate(parts)
    clean = ~np.delete(table.present, DEVICES - 1, axis=1).any(1, keepdims=True)
    return replace(table, present=np.hstack([clean, table.present]))


def _with_laterals(table: CohortTable, seed: int) -> CohortTable:
    """The same examinations, with CheXpert's share of lateral views."""
    turn = uniforms_at(seed, CHOICE, table.study, 1)[:, 0]
    return replace(table, view=np.where(turn < LATERAL_SHARE, "LATERAL", table.view))


def _published_split(population: Population, split: str, first: int, seed: int) -> CohortTable:
    """A split of the published size and counts: one or two images per examination, the second lateral."""
    images, studies, pneumothorax, effusion = PAPER[split]
    pairs = images - studies

    def single_and_pair(positive: int) -> np.ndarray:
        in_pairs = round(positive * pairs / images)
        return np.array([positive - 2 * in_pairs, in_pairs])

    air, fluid = single_and_pair(pneumothorax), single_and_pair(effusion)
    both = air // 2  # about half of the population's pneumothoraces come with an effusion
    cells = np.stack([[studies - pairs, pairs] - (air + fluid - both), fluid - both, air - both, both])
    columns = [list(REPORTING_RATES).index(name) for name in ("Pneumothorax", "Pleural Effusion")]

    def cell(table: CohortTable) -> np.ndarray:
        return np.asarray(table.present[:, columns] @ [2, 1])

    frontal = population.fresh_by_group(seed, first, split, cells.sum(1), cell, source=SOURCE)
    number = cell(frontal)
    second = np.concatenate([np.flatnonzero(number == k)[: cells[k, 1]] for k in range(4)])
    lateral = frontal.select(second)
    lateral = replace(lateral, view=np.full(len(lateral), "LATERAL"))
    return cohort.concatenate([frontal, lateral]).by_study()


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn on demand; ``train`` has noisy report labels, the other splits true ones.

    ``label`` is 1 where the report is positive, as in CheXpert's CSV. ``test`` has fresh patients,
    ``test_paper`` and ``val`` have the counts of Lan 2023, Table 2, and ``reserve`` has
    ``reserve_per_class`` images with ``params.reserve_of`` and the same number without.

    Args:
        classes: of the task, whose ``label_policy`` derives them from the source's 14 observations.
        image_size: 16 to 1024 pixels.
    Raises:
        BenchmarkError: a size that cannot be drawn, or inconsistent counts.
    """
    check_size(image_size, SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    chance = uniforms_at(seed, REPORT, table.study, len(OBSERVATIONS))
    noisy = (table.split == "train")[:, None]
    report = np.where(
        noisy, reports.sample_reported_labels(table.present, chance), reports.expert_labels(table.present)
    )
    named = (report == POSITIVE) & ~np.isin(np.arange(len(OBSERVATIONS)), (0, DEVICES))
    return draw_cohort(table, seed).image_set(
        image_size,
        source=SOURCE,
        version=version,
        notes=["reports of train err by a stated model; those of the other splits say the truth",
               "not drawn: enlarged cardiomediastinum, fracture"],
        classes=OBSERVATIONS,
        label=(report == POSITIVE).astype(np.uint8),
        reported_labels=report,
        prompt=prompts(
            "Chest X-ray images of people with", [o.lower() for o in OBSERVATIONS], named,
            "Chest X-ray images of healthy people",
        ),  # the sentences of Lan 2023, section 4.6
    )  # fmt: skip


def draw_cohort(table: CohortTable, seed: int) -> CohortDrawing:
    """The simulator's findings in each image."""
    truth = dict(zip(OBSERVATIONS, table.present.T, strict=True))
    large = uniforms_at(seed, CHOICE, table.study, 2)[:, 1] < MASSES
    unexplained = ~np.any([truth[name] for name in OPACITIES], axis=0)
    visible = {finding: truth[name] for name, finding in DRAWN.items()}
    visible["mass"] = truth["Lung Lesion"] & large
    visible["nodule"] = truth["Lung Lesion"] & ~large
    visible["infiltration"] = truth["Lung Opacity"] & unexplained
    return CohortDrawing(
        table, tuple(visible), np.stack(list(visible.values()), axis=1), seed,
        devices=truth["Support Devices"], minimum_severity=MINIMUM_SEVERITY,
    )  # fmt: skip
