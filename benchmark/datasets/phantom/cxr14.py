"""A phantom population after NIH ChestX-ray14: 14 findings that co-occur, and "No Finding".

``python -m benchmark.datasets.phantom.cxr14 OUT.png`` draws an example grid.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.radiograph import cohort, thorax
from benchmark.phantoms.radiograph.cohort import Findings, Population, CohortTable
from benchmark.utils.hashing import canonical_json

version = "1"
SOURCE = "phantom.cxr14"
FRESH_TRAIN, FRESH_TEST, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3))  # first fresh patients
IMAGES, PATIENTS = 112_120, 30_805  # Segal 2021, section 3.1
# images of every finding: Wang et al. 2017, ChestX-ray14
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
# Images with both findings, row by row the findings after it in the order of COUNTS. Approximate: recalled
# from the published chart of co-occurrences, and not checked against it or the table of the dataset.
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
BOXED = (
    "Atelectasis",
    "Effusion",
    "Cardiomegaly",
    "Infiltration",
    "Pneumonia",
    "Pneumothorax",
    "Mass",
    "Nodule",
)
BOX_PIXELS = 256  # boxes are found in a drawing of the image's size, or this one where that is larger


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset; the defaults are those of ChestX-ray14 and its official lists."""

    train_images: int = Field(86_524, ge=50, description="train_val_list.txt")
    train_patients: int = Field(28_008, ge=20, description="patients of train_val_list.txt")
    paper_images: int = Field(25_596, ge=50, description="test_list.txt; they become test_paper")
    paper_patients: int = Field(2_797, ge=20, description="patients of test_list.txt")
    at_least: int = Field(0, ge=0, description="images per label in train; fresh patients fill up what lacks")
    test_images: int = Field(10_000, ge=50, description="fresh patients, one image each, true prevalence")
    test_at_least: int = Field(200, ge=2, description="images per label in test, filled up likewise")
    nlp_error: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of positive labels in train and test_paper that are wrong; see the card",
    )
    boxes: int = Field(880, ge=0, description="images of train with a box, as many as in BBox_List_2017.csv")


@cache
def _population() -> Population:
    share = np.array(list(COUNTS.values())) / IMAGES
    matrix = np.eye(len(COUNTS))
    for i, row in enumerate(PAIRS):
        for j, both in enumerate(row, start=i + 1):
            r = cohort.correlation_for_pair(share[i], share[j], both / IMAGES)
            matrix[i, j] = matrix[j, i] = r
    return Population(
        findings=Findings(tuple(COUNTS), share, cohort.nearest_correlation(matrix), lasting=0.5),
        ages=(1, 20, 30, 40, 50, 60, 70, 95),
        age_weights=(0.07, 0.13, 0.15, 0.21, 0.25, 0.15, 0.04),  # chosen; mean 47
        male=63_340 / IMAGES,  # of the images in Data_Entry_2017.csv
        pa=67_310 / IMAGES,
        sites=dict(zip(thorax.SITES, (0.7, 0.2, 0.1), strict=False)),
    )


def fingerprint(params: Params) -> str:
    """Hash of what decides the pictures: the versions of population and drawing, and the parameters."""
    text = canonical_json(
        {"source": SOURCE, "version": [version, thorax.version], "params": params.model_dump()}
    )
    return hashlib.sha256(text.encode()).hexdigest()


def with_no_finding(present: np.ndarray) -> np.ndarray:
    """(N, 15) in the order of ``LABELS`` from (N, 14)."""
    return np.hstack([~present.any(1, keepdims=True), present])


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Every image's truth, patient, view, sex, age, site and split, without a picture.

    ``present`` has the 14 findings of ``COUNTS``. ``reserve`` images per label have it as their rarest.
    """
    people, p = _population(), params
    train = people.cohort(
        seed, p.train_patients, p.train_images, first_patient=0, first_study=0, split="train"
    )
    paper = people.cohort(seed, p.paper_patients, p.paper_images, first_patient=p.train_patients,
                          first_study=p.train_images, split="test_paper")  # fmt: skip
    test = people.fresh(seed, FRESH_TEST, p.test_images, "test")
    rarest = people.fresh_by_group(
        seed, FRESH_RESERVE, "reserve", np.full(len(LABELS), reserve), _rarest_label, where=SOURCE
    )
    return cohort.concatenate([
        _top_up(train, FRESH_TRAIN, p.at_least, seed), paper,
        _top_up(test, FRESH_TEST + p.test_images, p.test_at_least, seed), rarest,
    ])  # fmt: skip


def _rarest_label(table: CohortTable) -> np.ndarray:
    """(N,) the rarest label of every image, an index into ``LABELS``."""
    order = np.argsort(list(COUNTS.values()))
    first = order[table.present[:, order].argmax(1)]
    return np.where(table.present.any(1), first + 1, 0)


def _top_up(table: CohortTable, first: int, at_least: int, seed: int) -> CohortTable:
    """The table and as many fresh patients as it takes to have every label so often, rarest label first."""
    split, people = str(table.split[0]), _population()
    for k in np.argsort([IMAGES, *COUNTS.values()]).tolist():
        lacking = at_least - int(with_no_finding(table.present)[:, k].sum())
        if lacking > 0:
            more = people.fresh_by_group(
                seed, first, split, np.array([lacking]),
                lambda t, k=k: np.where(with_no_finding(t.present)[:, k], 0, -1), where=SOURCE,
            )  # fmt: skip
            table, first = cohort.concatenate([table, more]), int(more.study[-1]) + 1
    return table


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn when looked at. ``train`` and ``test_paper`` are the official lists' sizes.

    Args:
        classes: names of ``LABELS``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: fresh images per label for ``oracle``, by their rarest label.
    Raises:
        DataError: unknown class, a size that cannot be drawn, or numbers that do not fit together.
    """
    cohort.check_size(image_size, SOURCE)
    for name in classes:
        if name not in LABELS:
            raise unknown_name("class", name, list(LABELS), SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    named = text_mined_labels(table, params.nlp_error, seed)
    drawn = tuple(name.lower() for name in COUNTS)
    words = [name.replace("_", " ") for name in drawn]
    image, mask = cohort.lazy_images(table, drawn, table.present, seed, image_size)
    error = f"labels of train and test_paper: {params.nlp_error:.0%} of the positives are wrong"
    return ImageSet(
        image=image,
        mask=mask,
        label=with_no_finding(named)[:, [LABELS.index(name) for name in classes]].astype(np.uint8),
        classes=classes,
        box=_boxes(table, params.boxes, image_size, seed),
        prompt=cohort.prompts("Chest X-ray with", words, named, "Chest X-ray, no finding."),
        card={"source": SOURCE, "version": version, "seed": seed, "license": cohort.LICENSE,
              "see": "docs/data_cards/phantom_cxr14.md", "notes": [error] if params.nlp_error else []},
        **cohort.metadata_columns(table, seed, SOURCE),
    )  # fmt: skip


def text_mined_labels(table: CohortTable, error: float, seed: int) -> np.ndarray:
    """(N, 14) bool labels as text mining gives them: so many of the positives are wrong, counts stay.

    A finding that is there is missed with probability ``error``, and one that is not is named as often
    as keeps the finding's share. ``test`` and ``reserve`` stay true.
    """
    if not error:
        return table.present
    share = np.array(list(COUNTS.values())) / IMAGES
    wrong = np.where(table.present, error, error * share / (1 - share))
    chance = cohort.uniforms_at(seed, cohort.REPORT, table.study, len(COUNTS))
    noisy = np.isin(table.split, ("train", "test_paper"))[:, None]
    return np.asarray(table.present ^ (noisy & (chance < wrong)))


def _boxes(table: CohortTable, count: int, size: int, seed: int) -> np.ndarray:
    """(N, 4) float32 left, top, width, height of one finding in the first images of train that have one."""
    box = np.full((len(table), 4), np.nan, dtype=np.float32)
    names = list(COUNTS)
    columns = [names.index(name) for name in BOXED]
    drawn = tuple(name.lower() for name in COUNTS)
    having = (table.split == "train") & table.present[:, columns].any(1)
    pixels = min(size, BOX_PIXELS)
    for row in np.flatnonzero(having)[:count]:
        wanted = drawn[columns[int(table.present[row, columns].argmax())]]
        study = cohort.draw_record(table, int(row), drawn, table.present, seed, pixels)
        lesion = next(lesion for lesion in study.lesions if lesion.finding == wanted)
        box[row] = cohort.bounding_box(lesion.mask) * (size / pixels)
    return box


def example_grid(path: str, *, size: int = 80, columns: int = 6, seed: int = 0) -> None:
    """Write a PNG: two labels per row, each with images that have it as their rarest."""
    from PIL import Image

    table = _population().fresh_by_group(
        seed, FRESH_TEST, "test", np.full(len(LABELS), columns), _rarest_label, where=SOURCE
    )
    drawn = tuple(name.lower() for name in COUNTS)
    group = _rarest_label(table)
    strips = [
        np.concatenate([cohort.draw_record(table, int(i), drawn, table.present, seed, size).image
                        for i in np.flatnonzero(group == k)], 1)
        for k in range(len(LABELS))
    ]  # fmt: skip
    strips.append(np.zeros_like(strips[0]))
    rows = [np.concatenate(strips[k : k + 2], 1) for k in range(0, len(strips), 2)]
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.datasets.phantom.cxr14 OUT.png")
    example_grid(sys.argv[1])
