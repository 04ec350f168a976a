"""Check a bundle's predictions: the right test images and labels, and no obviously invented scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmark.bundles.io import CURVE, PREDICTIONS, Bundle
from benchmark.bundles.schema import Manifest
from benchmark.bundles.tables import FIT, with_fit
from benchmark.images.image_set import ImageSet
from benchmark.submissions.tested_images import RUN, image_faults
from benchmark.verification.check import NOT_CHECKED, Check, Fault, checks_of, difference
from benchmark.verification.data import RecomputedData

if TYPE_CHECKING:
    import pandas as pd

GRID = 1e-4  # scores that are all multiples of it were rounded or invented
ROUNDING = 2e-7  # of float32 near 1
FAILED_ROW = "the row failed, and has no predictions"


def check_images(bundle: Bundle, data: RecomputedData) -> list[Check]:
    """Check that images, patients, labels and groups of the predictions are those of the test splits."""
    if bundle.predictions is None:
        return [Check("test images", NOT_CHECKED, FAILED_ROW)]
    expected = expected_images(data, bundle.manifest)
    faults = list(image_faults(bundle.predictions, expected, RUN, PREDICTIONS))
    if bundle.curve is not None:
        main_test = expected[expected["split"] == "test"]
        faults += image_faults(bundle.curve, main_test, ["share", *RUN], CURVE)
        faults += _size_faults(bundle.curve, data)
    return checks_of(
        "test images", faults, f"{len(expected)} images, with the patients and labels of the data"
    )


def expected_images(data: RecomputedData, manifest: Manifest) -> pd.DataFrame:
    """Return one record per split, fold and test image, with a prediction's columns about the image."""
    import pandas as pd

    return pd.concat(
        [
            _image_table(images, split, fold, manifest.subgroups)
            for fold, splits in enumerate(data.folds)
            for split, images in splits.tests.items()
        ],
        ignore_index=True,
    )


def _image_table(images: ImageSet, split: str, fold: int, groups: Iterable[str]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {
        "split": split, "fold": fold, "image_id": images.image_id.astype(str),
        "patient_id": images.patient_id.astype(str), "label": -1 if images.multilabel else images.label,
    }  # fmt: skip
    if images.multilabel:
        columns |= {f"label_{k}": images.label[:, k].astype(int) for k in range(images.label.shape[1])}
    for name in groups:
        known = getattr(images, name)
        columns[name] = [None] * len(images) if known is None else known.tolist()
    return pd.DataFrame(columns, index=range(len(images)))


def _size_faults(curve: pd.DataFrame, data: RecomputedData) -> Iterable[Fault]:
    """Compare the number of training images of every share of the patients."""
    from benchmark.classifiers.sampling import subset

    if data.pseudo_labeled:
        return
    for group, part in curve.groupby(["share", "seed", "fold"]):
        share, seed, fold = cast(tuple[Any, ...], group)
        expected = len(subset(data.folds[int(fold)].train, float(share), int(seed)))
        if set(part["images"]) != {expected}:
            yield f"{CURVE}: images", f"of share {share:g} is {part['images'].iloc[0]}, expected {expected}"


def check_scores(bundle: Bundle) -> list[Check]:
    """Refuse scores that no training produces: equal for two seeds, equal for all images, or rounded."""
    if bundle.predictions is None:
        return [Check("scores", NOT_CHECKED, FAILED_ROW)]
    faults = _run_name_faults(bundle.predictions, bundle.manifest.row.name)
    faults += _score_faults(bundle.predictions, RUN, PREDICTIONS)
    if bundle.curve is not None:
        faults += _score_faults(bundle.curve, ["share", *RUN], CURVE)
    return checks_of("scores", faults, "differ between seeds and images, and are not rounded")


def _run_name_faults(table: pd.DataFrame, row: str) -> list[Fault]:
    """Compare every run's name with its row, fit, bracket, classifier and seed."""
    faults: list[Fault] = []
    columns = ["run", FIT, *RUN]
    for name, fit, *parts in with_fit(table).drop_duplicates(columns)[columns].itertuples(index=False):
        fitted = [f"fit{fit}"] if fit else []
        faults += difference(f"{PREDICTIONS}: run", name, "/".join(map(str, [row, *fitted, *parts])))
    return faults


def _score_faults(table: pd.DataFrame, run: list[str], file: str) -> Iterable[Fault]:
    field = f"{file}: score_*"
    scores = table[[c for c in table.columns if c.startswith("score_")]].to_numpy(np.float64)
    if (np.abs(scores / GRID - np.round(scores / GRID)) * GRID < ROUNDING).all():
        yield field, f"all are multiples of {GRID:g}: rounded or invented"
    seen: dict[tuple[Any, ...], int] = {}
    for group, rows in with_fit(table).groupby([FIT, *run, "fold", "split"]).indices.items():
        *others, seed, fold, split = key = cast(tuple[Any, ...], group)
        part = scores[rows]
        if len(part) > 1 and (part == part[0]).all():
            yield field, f"run {key[1:-1]} gives every image of '{split}' the same scores"
            continue
        digest = hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
        first = seen.setdefault((*others, fold, split, digest), int(seed))
        if first != seed:
            yield field, f"of seeds {first} and {seed} are the same for every image of '{split}'"
