"""Phantom population modeled on NIH ChestX-ray14: 14 findings that co-occur, and "No Finding"."""

from functools import cache, partial

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets.phantom import _common
from benchmark.datasets.phantom._radiographs import CohortDrawing, prompts
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.radiograph import cohort, thorax
from benchmark.phantoms.radiograph.cohort import CohortTable, Population
from benchmark.phantoms.radiograph.cooccurrence import FindingDistribution, correlation_for_pair
from benchmark.phantoms.radiograph.counter_rng import REPORT, uniforms_at

version = "1"
conditions = frozenset({"age", "mask", "prompt", "sex", "view"})
SOURCE = "phantom.cxr14"
FRESH_TRAIN, FRESH_TEST, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3))  # first fresh patients
IMAGES, PATIENTS = 112_120, 30_805  # Segal 2021, section 3.1
# images of each finding: Wang et al. 2017, ChestX-ray14
COUNTS = {
    "Atelectasis": 11_559,
    "Cardiomegaly": 2_776,
    "Effusion": 13_317,
    "Infiltration": 19_894,
    "Mass": 5_782,
    "Nodule": 6_331,
    "Pneumonia": 1_431,
    "Pneumothorax": 5_302,
    "Consolidation": 4_667,
    "Edema": 2_303,
    "Emphysema": 2_516,
    "Fibrosis": 1_686,
    "Pleural_Thickening": 3_385,
    "Hernia": 227,
}
# Images with both findings: row i pairs finding i with the findings after it, in the order of COUNTS.
# Approximate: recalled from the published co-occurrence chart, not checked against it or against the dataset.
PAIRS = (
    (369, 3269, 3259, 727, 585, 243, 772, 1222, 221, 423, 220, 495, 40),
    (1060, 583, 99, 108, 36, 49, 169, 127, 44, 51, 111, 7),
    (3990, 1244, 909, 253, 995, 1287, 592, 359, 188, 848, 21),
    (1151, 1544, 570, 943, 1220, 979, 447, 345, 749, 33),
    (894, 67, 424, 602, 129, 212, 115, 448, 25),
    (66, 340, 428, 131, 115, 166, 411, 10),
    (38, 114, 330, 21, 10, 46, 3),
    (223, 33, 747, 80, 289, 9),
    (162, 103, 79, 251, 4),
    (30, 9, 64, 3),
    (36, 151, 4),
    (176, 8),
    (8,),
)
NO_FINDING = "No Finding"
LABELS = (NO_FINDING, *COUNTS)
CLASSES = LABELS
DRAWN = tuple(name.lower() for name in COUNTS)  # the simulator's names
BOXED = ("Atelectasis", "Effusion", "Cardiomegaly", "Infiltration",
         "Pneumonia", "Pneumothorax", "Mass", "Nodule")  # fmt: skip


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; the defaults are those of ChestX-ray14 and its official lists."""

    train_images: int = Field(86_524, ge=50, description="train_val_list.txt")
    train_patients: int = Field(28_008, ge=20, description="patients of train_val_list.txt")
    paper_images: int = Field(25_596, ge=50, description="test_list.txt; they become test_paper")
    paper_patients: int = Field(2_797, ge=20, description="patients of test_list.txt")
    at_least: int = Field(0, ge=0, description="images per label in train, topped up with fresh patients")
    test_images: int = Field(10_000, ge=50, description="fresh patients, one image each, true prevalence")
    test_at_least: int = Field(200, ge=2, description="images per label in test, topped up likewise")
    nlp_error: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of positive labels in train and test_paper that are wrong; see the card",
    )
    boxes: int = Field(880, ge=0, description="images of train with a box; BBox_List_2017.csv has 880")


@cache
def _population() -> Population:
    share = np.array(list(COUNTS.values())) / IMAGES
    matrix = np.eye(len(COUNTS))
    for i, row in enumerate(PAIRS):
        for j, both in enumerate(row, start=i + 1):
            r = correlation_for_pair(share[i], share[j], both / IMAGES)
            matrix[i, j] = matrix[j, i] = r
    return Population(
        findings=FindingDistribution(tuple(COUNTS), share, matrix, lasting=0.5),
        ages=(1, 20, 30, 40, 50, 60, 70, 95),
        age_weights=(0.07, 0.13, 0.15, 0.21, 0.25, 0.15, 0.04),  # chosen; mean 47
        male=63_340 / IMAGES,  # of the images in Data_Entry_2017.csv
        pa=67_310 / IMAGES,
        sites=dict(zip(thorax.SITES, (0.7, 0.2, 0.1), strict=False)),
    )


def fingerprint(params: Params) -> str:
    """Hash of everything that decides the pixels."""
    return _common.fingerprint(SOURCE, [version, thorax.version], params)


def with_no_finding(present: np.ndarray) -> np.ndarray:
    """(N, 15) in the order of ``LABELS`` from (N, 14)."""
    return np.hstack([~present.any(1, keepdims=True), present])


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Findings, patient, view, sex, age, site and split of each image, without drawing it.

    ``present`` has the 14 findings of ``COUNTS``. ``reserve`` is the number of images per rarest label.
    """
    population, p = _population(), params
    train = population.cohort(
        seed, p.train_patients, p.train_images, first_patient=0, first_study=0, split="train"
    )
    paper = population.cohort(seed, p.paper_patients, p.paper_images, first_patient=p.train_patients,
                              first_study=p.train_images, split="test_paper")  # fmt: skip
    test = population.fresh(seed, FRESH_TEST, p.test_images, "test")
    return cohort.concatenate([
        _top_up(train, FRESH_TRAIN, p.at_least, seed),
        paper,
        _top_up(test, FRESH_TEST + p.test_images, p.test_at_least, seed),
        population.fresh_by_group(seed, FRESH_RESERVE, "reserve", [reserve] * len(LABELS), _rarest_label,
                                  source=SOURCE),
    ])  # fmt: skip


def _rarest_label(table: CohortTable) -> np.ndarray:
    """(N,) the rarest label of each image, an index into ``LABELS``."""
    order = np.argsort(list(COUNTS.values()))
    first = order[table.present[:, order].argmax(1)]
    return np.where(table.present.any(1), first + 1, 0)


def _top_up(table: CohortTable, first: int, at_least: int, seed: int) -> CohortTable:
    """The table plus the fresh patients that give each label ``at_least`` images, rarest label first."""
    split = str(table.split[0])
    for k in np.argsort([IMAGES, *COUNTS.values()]).tolist():
        lacking = at_least - int(with_no_finding(table.present)[:, k].sum())
        if lacking > 0:
            more = _population().fresh_by_group(
                seed, first, split, [lacking], partial(_with_label, k), source=SOURCE
            )
            table, first = cohort.concatenate([table, more]), int(more.study[-1]) + 1
    return table


def _with_label(label: int, table: CohortTable) -> np.ndarray:
    """(N,) group 0 for images with this label, -1 for the others."""
    return np.where(with_no_finding(table.present)[:, label], 0, -1)


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn on demand; ``train`` and ``test_paper`` have the sizes of the official lists.

    Args:
        classes: names of ``LABELS``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: fresh images per rarest label for ``oracle``.
    Raises:
        BenchmarkError: unknown class, a size that cannot be drawn, or inconsistent counts.
    """
    _common.check_request(classes, LABELS, image_size, SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    named = text_mined_labels(table, params.nlp_error, seed)
    drawing = CohortDrawing(table, DRAWN, table.present, seed)
    error = f"labels of train and test_paper: {params.nlp_error:.0%} of the positives are wrong"
    words = [name.replace("_", " ") for name in DRAWN]
    return drawing.image_set(
        image_size,
        source=SOURCE,
        version=version,
        notes=[error] if params.nlp_error else [],
        classes=classes,
        label=with_no_finding(named)[:, [LABELS.index(name) for name in classes]].astype(np.uint8),
        box=_boxes(drawing, params.boxes, image_size),
        prompt=prompts("Chest X-ray with", words, named, "Chest X-ray, no finding."),
    )


def text_mined_labels(table: CohortTable, error: float, seed: int) -> np.ndarray:
    """(N, 14) bool labels as text mining gives them: the share ``error`` of the positives is wrong.

    A present finding is missed with probability ``error``; an absent finding is reported at the rate that
    preserves the finding's count. ``test`` and ``reserve`` have the true labels.
    """
    if not error:
        return table.present
    share = np.array(list(COUNTS.values())) / IMAGES
    wrong = np.where(table.present, error, error * share / (1 - share))
    chance = uniforms_at(seed, REPORT, table.study, len(COUNTS))
    noisy = np.isin(table.split, ("train", "test_paper"))[:, None]
    return np.asarray(table.present ^ (noisy & (chance < wrong)))


def _boxes(drawing: CohortDrawing, count: int, size: int) -> np.ndarray:
    """(N, 4) float32 left, top, width, height of one finding in the first eligible images of train."""
    table = drawing.table
    box = np.full((len(table), 4), np.nan, dtype=np.float32)
    columns = [list(COUNTS).index(name) for name in BOXED]
    eligible = (table.split == "train") & table.present[:, columns].any(1)
    for index in np.flatnonzero(eligible)[:count].tolist():
        finding = DRAWN[columns[int(table.present[index, columns].argmax())]]
        box[index] = drawing.with_box(index, size, finding)[1]
    return box
