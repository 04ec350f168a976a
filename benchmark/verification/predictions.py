"""The predictions of a bundle: of the true test images, with their labels, and not obviously made up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmark.bundles.io import CURVE, PREDICTIONS, Bundle
from benchmark.bundles.schema import Manifest
from benchmark.bundles.tables import KNOWN_TEXTS
from benchmark.images.image_set import ImageSet
from benchmark.verification.check import Check, Fault, judged
from benchmark.verification.data import Truth

if TYPE_CHECKING:
    import pandas as pd

IMAGE = ["split", "fold", "image_id"]
RUN = ["bracket", "classifier", "seed"]
GRID = 1e-4  # scores that are all multiples of it were rounded, or made up
ROUNDING = 2e-7  # of float32 near 1


def check_images(bundle: Bundle, truth: Truth) -> list[Check]:
    """Images, patients, labels and groups of the predictions are those of the test splits."""
    if bundle.predictions is None:
        return [Check("test images", None, "the row failed, and has no predictions")]
    true = true_images(truth, bundle.manifest)
    faults = list(_image_faults(bundle.predictions, true, RUN, PREDICTIONS))
    if bundle.curve is not None:
        some = true[true["split"] == "test"]
        faults += _image_faults(bundle.curve, some, ["share", *RUN], CURVE)
        faults += _size_faults(bundle.curve, truth)
    return judged("test images", faults, f"{len(true)} images, with the patients and labels of the data")


def true_images(truth: Truth, manifest: Manifest) -> pd.DataFrame:
    """One record per split, fold and test image, with the columns that predictions have of an image."""
    import pandas as pd

    return pd.concat(
        [
            _image_table(images, split, fold, manifest.subgroups)
            for fold, splits in enumerate(truth.folds)
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


def _image_faults(table: pd.DataFrame, true: pd.DataFrame, run: list[str], file: str) -> Iterable[Fault]:
    """Images that were added, are missing, or are said to be something else; the first of each kind."""
    runs = table.groupby(run).ngroups
    both = table.merge(true, on=IMAGE, how="left", suffixes=("", "_true"), indicator="found")
    added = both[both["found"] == "left_only"]
    if len(added):
        yield f"{file}: image_id", f"'{_first(added)}' is no image of the test split"
        return
    counts = table.groupby(IMAGE).size()
    missing = true[~true.set_index(IMAGE).index.isin(counts[counts == runs].index)]
    if len(missing):
        yield f"{file}: image_id", f"'{_first(missing)}' of the test split lacks a prediction"
    for name in (c for c in true.columns if c not in IMAGE):
        if name not in table.columns:
            if true[name].notna().any():
                yield f"{file}: {name}", "is missing, the images have it"
            continue
        wrong = both[~_alike(both[name], both[f"{name}_true"], name)]
        if len(wrong):
            first = wrong.iloc[0]
            yield (
                f"{file}: {name}",
                f"of '{_first(wrong)}' is {first[name]}, in the data {first[f'{name}_true']}",
            )


def _first(table: pd.DataFrame) -> str:
    row = table.iloc[0]
    return f"{row['split']}, fold {row['fold']}, {row['image_id']}"


def _alike(one: pd.Series, other: pd.Series, name: str) -> pd.Series:
    """Equal, or unknown on both sides; an empty text is unknown."""
    if name in KNOWN_TEXTS:
        one, other = one.fillna("").astype(str), other.fillna("").astype(str)
    elif name == "age":
        one, other = one.astype(float).fillna(-1), other.astype(float).fillna(-1)
    return one == other


def _size_faults(curve: pd.DataFrame, truth: Truth) -> Iterable[Fault]:
    """How many training images a share of the patients is."""
    from benchmark.classifiers.sampling import subset

    if truth.taught:
        return
    for group, part in curve.groupby(["share", "seed", "fold"]):
        share, seed, fold = cast(tuple[Any, ...], group)
        expected = len(subset(truth.folds[int(fold)].train, float(share), int(seed)))
        if set(part["images"]) != {expected}:
            yield f"{CURVE}: images", f"of share {share:g} is {part['images'].iloc[0]}, expected {expected}"


def check_scores(bundle: Bundle) -> list[Check]:
    """What no training leaves: equal scores of two seeds, the same for every image, or rounded ones."""
    if bundle.predictions is None:
        return [Check("scores", None, "the row failed, and has no predictions")]
    faults = list(_run_name_faults(bundle.predictions, bundle.manifest.row.name))
    for file, table, run in _tables(bundle):
        faults += _score_faults(table, run, file)
    return judged("scores", faults, "seeds differ, images differ, nothing is rounded")


def _tables(bundle: Bundle) -> Iterable[tuple[str, pd.DataFrame, list[str]]]:
    assert bundle.predictions is not None
    yield PREDICTIONS, bundle.predictions, RUN
    if bundle.curve is not None:
        yield CURVE, bundle.curve, ["share", *RUN]


def _run_name_faults(table: pd.DataFrame, row: str) -> Iterable[Fault]:
    """A run is named by its row, bracket, classifier and seed."""
    each = table.drop_duplicates([*RUN, "run"])
    for said, *parts in each[["run", *RUN]].itertuples(index=False):
        expected = "/".join(map(str, [row, *parts]))
        if said != expected:
            yield f"{PREDICTIONS}: run", f"is '{said}', expected '{expected}'"


def _score_faults(table: pd.DataFrame, run: list[str], file: str) -> Iterable[Fault]:
    columns = [c for c in table.columns if c.startswith("score_")]
    scores = table[columns].to_numpy(np.float64)
    if (np.abs(scores / GRID - np.round(scores / GRID)) * GRID < ROUNDING).all():
        yield f"{file}: score_*", f"all are multiples of {GRID:g}: rounded, or made up"
    seen: dict[tuple[Any, ...], int] = {}
    for group, rows in table.groupby([*run, "fold", "split"]).indices.items():
        *others, seed, fold, split = key = cast(tuple[Any, ...], group)
        part = scores[rows]
        if len(part) > 1 and (part == part[0]).all():
            yield f"{file}: score_*", f"run {key[:-1]} gives every image of '{split}' the same scores"
            continue
        print_of = hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()
        first = seen.setdefault((*others, fold, split, print_of), int(seed))
        if first != seed:
            yield f"{file}: score_*", f"of seeds {first} and {seed} are the same for every image of '{split}'"
