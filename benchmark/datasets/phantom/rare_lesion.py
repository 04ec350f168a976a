"""A phantom population with four rare lesions among thousands of normals, at two sites.

``python -m benchmark.datasets.phantom.rare_lesion OUT.png`` draws an example grid.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace

import numpy as np
from pydantic import BaseModel, Field

from benchmark.errors import unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.phantoms.radiograph import cohort, thorax
from benchmark.phantoms.radiograph.cohort import Findings, Population, CohortTable
from benchmark.utils.hashing import canonical_json

version = "1"
SOURCE = "phantom.rare_lesion"
NORMAL = "normal"
LESIONS = ("pneumothorax", "nodule", "effusion", "cardiomegaly")  # Papadopoulos and Georgiou, abstract
CLASSES = (NORMAL, *LESIONS)
FRESH_TEST, FRESH_SITE, FRESH_RESERVE = (k * 10_000_000 for k in (1, 2, 3))  # first fresh patients
HOME, AWAY = "site_a", "site_b"
READ_PIXELS = 256  # boxes are read off a drawing of the image's size, or this one where that is larger


class Params(BaseModel, extra="forbid", frozen=True):
    """Sizes of the dataset. The paper is a framework without data; the sizes are the task's."""

    positives: int = Field(
        250,
        ge=10,
        description="images of each lesion in train and val together; the task keeps fewer in train",
    )
    normals: int = Field(4_000, ge=200, description="normal images in train and val together")
    test_per_class: int = Field(400, ge=20, description="fresh patients per class at the home site")
    site_per_class: int = Field(200, ge=20, description="fresh patients per class at the other site")


_PEOPLE = Population(
    # every image has one class, so nothing is drawn from this joint distribution
    findings=Findings(LESIONS, np.full(len(LESIONS), 0.5), np.eye(len(LESIONS)), lasting=0.0),
    ages=(18, 30, 40, 50, 60, 70, 80, 90),
    age_weights=(0.10, 0.12, 0.16, 0.20, 0.20, 0.14, 0.08),  # chosen
    male=0.55,  # chosen
    pa=0.6,  # chosen
    sites={HOME: 1.0},
)


def fingerprint(params: Params) -> str:
    """Hash of what decides the pictures: the versions of population and drawing, and the parameters."""
    text = canonical_json(
        {"source": SOURCE, "version": [version, thorax.version], "params": params.model_dump()}
    )
    return hashlib.sha256(text.encode()).hexdigest()


def sample_cohort(params: Params, *, reserve: int, seed: int) -> CohortTable:
    """Every image's lesion, patient, view, sex, age, site and split, without a picture.

    ``present`` has a column per name of ``LESIONS``, at most one of them true.
    """
    each = len(CLASSES)
    cohort_label = np.repeat(np.arange(each), [params.normals, *[params.positives] * len(LESIONS)])
    turns = {
        "test": (FRESH_TEST, np.arange(params.test_per_class * each) % each, HOME, "test"),
        "site": (FRESH_SITE, np.arange(params.site_per_class * each) % each, AWAY, "test"),
        "reserve": (FRESH_RESERVE, np.arange(reserve * each) % each, HOME, "reserve"),
    }
    parts = [_labeled(0, cohort_label, HOME, "train", seed)]
    parts += [_labeled(first, label, site, split, seed) for first, label, site, split in turns.values()]
    return cohort.concatenate(parts)


def _labeled(first: int, label: np.ndarray, site: str, split: str, seed: int) -> CohortTable:
    """Fresh patients with these classes, indices into ``CLASSES``."""
    people = _PEOPLE.fresh(seed, first, len(label), split)
    present = label[:, None] == np.arange(1, len(CLASSES))
    return replace(people, present=present, site=np.full(len(label), site))


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """All images, drawn when looked at; a patient has one image, an image one class.

    The images of ``site_b`` are part of ``test``; the rule ``sites`` makes a split of their own of them.

    Args:
        classes: names of ``CLASSES``, in the task's order.
        image_size: 16 to 1024 pixels.
        reserve_per_class: fresh images per class at the home site, for ``oracle`` alone.
    Raises:
        DataError: unknown class, or a size that cannot be drawn.
    """
    cohort.check_size(image_size, SOURCE)
    for name in classes:
        if name not in CLASSES:
            raise unknown_name("class", name, list(CLASSES), SOURCE)
    table = sample_cohort(params, reserve=reserve_per_class, seed=seed)
    name_of = np.array(CLASSES)[np.where(table.present.any(1), table.present.argmax(1) + 1, 0)]
    table, name_of = table.select(np.isin(name_of, classes)), name_of[np.isin(name_of, classes)]
    image, mask = cohort.lazy_images(table, LESIONS, table.present, seed, image_size)
    box, prompt = _read_off(table, image_size, seed)
    return ImageSet(
        image=image,
        mask=mask,
        label=np.array([classes.index(name) for name in name_of.tolist()], dtype=np.int64),
        classes=classes,
        box=box,
        prompt=prompt,
        card={"source": SOURCE, "version": version, "seed": seed, "license": cohort.LICENSE,
              "see": "docs/data_cards/phantom_rare_lesion.md", "notes": []},
        **cohort.metadata_columns(table, seed, SOURCE),
    )  # fmt: skip


def _read_off(table: CohortTable, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Box (N, 4) around the lesion, NaN for a normal image, and sentence (N,) of every image."""
    pixels = min(size, READ_PIXELS)
    box = np.full((len(table), 4), np.nan, dtype=np.float32)
    normal = thorax.draw((), seed=seed, index=0, size=16).prompt
    prompt = np.full(len(table), normal, dtype=object)
    for row in np.flatnonzero(table.present.any(1)).tolist():
        study = cohort.draw_record(table, row, LESIONS, table.present, seed, pixels)
        box[row] = cohort.bounding_box(study.mask) * (size / pixels)
        prompt[row] = study.prompt
    return box, prompt


def example_grid(path: str, *, size: int = 128, columns: int = 4, seed: int = 0) -> None:
    """Write a PNG: a row per class, the home site on the left and the other one on the right."""
    from PIL import Image

    label = np.repeat(np.arange(len(CLASSES)), columns)
    both = []
    for first, site in ((FRESH_TEST, HOME), (FRESH_SITE, AWAY)):
        table = _labeled(first, label, site, "test", seed)
        drawn = [
            cohort.draw_record(table, i, LESIONS, table.present, seed, size).image for i in range(len(table))
        ]
        both.append(np.stack(drawn).reshape(len(CLASSES), columns, size, size))
    rows = np.concatenate(both, axis=1).transpose(0, 2, 1, 3).reshape(len(CLASSES) * size, -1)
    Image.fromarray(rows).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmark.datasets.phantom.rare_lesion OUT.png")
    example_grid(sys.argv[1])
