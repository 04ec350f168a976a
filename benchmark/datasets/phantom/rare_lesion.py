"""Phantom population with four rare lesions among thousands of normal images, at two sites."""

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from benchmark.datasets.phantom import _common
from benchmark.datasets.phantom._radiographs import CohortDrawing
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.radiograph import cohort, thorax
from benchmark.phantoms.radiograph.cohort import CohortTable, Population
from benchmark.phantoms.radiograph.cooccurrence import FindingDistribution
from benchmark.phantoms.radiograph.language import HEALTHY

version = "1"
conditions = frozenset({"age", "mask", "prompt", "sex", "view"})
SOURCE = "phantom.rare_lesion"
NORMAL = "normal"
LESIONS = ("pneumothorax", "nodule", "effusion", "cardiomegaly")  # Papadopoulos and Georgiou, abstract
CLASSES = (NORMAL, *LESIONS)
FRESH_TEST, FRESH_SITE, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3))  # first fresh patients
HOME, AWAY = "site_a", "site_b"


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset. The paper is a framework without data; the sizes are the task's."""

    positives: int = Field(
        250,
        ge=10,
        description="images of each lesion in train and val together; the task retains fewer in train",
    )
    normals: int = Field(4_000, ge=200, description="normal images in train and val together")
    test_per_class: int = Field(400, ge=20, description="fresh patients per class at the home site")
    site_per_class: int = Field(200, ge=20, description="fresh patients per class at the other site")


_POPULATION = Population(
    # each image has one class, so the joint distribution is never sampled
    findings=FindingDistribution(LESIONS, np.full(len(LESIONS), 0.5), np.eye(len(LESIONS)), lasting=0.0),
    ages=(18, 30, 40, 50, 60, 70, 80, 90),
    age_weights=(0.10, 0.12, 0.16, 0.20, 0.20, 0.14, 0.08),  # chosen
    male=0.55,  # chosen
    pa=0.6,  # chosen
    sites={HOME: 1.0},
)


def fingerprint(params: Params) -> str:
    """Hash of everything that decides the pixels."""
    return _common.fingerprint(SOURCE, [version, thorax.version], params)


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Lesion, patient, view, sex, age, site and split of each image, without drawing it.

    ``present`` has a column per name of ``LESIONS``, at most one of them true.
    """
    each = len(CLASSES)
    label = np.repeat(np.arange(each), [params.normals, *[params.positives] * len(LESIONS)])
    return cohort.concatenate([
        _labeled(0, label, HOME, "train", seed),
        _labeled(FRESH_TEST, np.arange(params.test_per_class * each) % each, HOME, "test", seed),
        _labeled(FRESH_SITE, np.arange(params.site_per_class * each) % each, AWAY, "test", seed),
        _labeled(FRESH_RESERVE, np.arange(reserve * each) % each, HOME, "reserve", seed),
    ])  # fmt: skip


def _labeled(first: int, label: np.ndarray, site: str, split: str, seed: int) -> CohortTable:
    """Fresh patients with these classes, indices into ``CLASSES``."""
    table = _POPULATION.fresh(seed, first, len(label), split)
    present = label[:, None] == np.arange(1, len(CLASSES))
    return replace(table, present=present, site=np.full(len(label), site))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn on demand: one image per patient, one class per image.

    The images of ``site_b`` are part of ``test``; the rule ``sites`` makes them a separate split.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: fresh images per class at the home site, for ``oracle`` alone.
    Raises:
        BenchmarkError: unknown class, or a size that cannot be drawn.
    """
    _common.check_request(classes, CLASSES, image_size, SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    name = np.array(CLASSES)[np.where(table.present.any(1), table.present.argmax(1) + 1, 0)]
    table, name = table.select(np.isin(name, classes)), name[np.isin(name, classes)]
    drawing = CohortDrawing(table, LESIONS, table.present, seed)
    box = np.full((len(table), 4), np.nan, dtype=np.float32)
    prompt = np.full(len(table), HEALTHY, dtype=object)
    for index in np.flatnonzero(name != NORMAL).tolist():
        drawn, box[index] = drawing.with_box(index, image_size, str(name[index]))
        prompt[index] = drawn.prompt
    label = np.array([classes.index(n) for n in name.tolist()], dtype=np.int64)
    return drawing.image_set(
        image_size, source=SOURCE, version=version, classes=classes, label=label, box=box, prompt=prompt
    )
