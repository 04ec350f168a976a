"""Validate the tables of a bundle: predictions, learning curve and previews."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd

MAX_PREVIEWS = 100  # images of a row
TEXTS = ("image_id", "patient_id", "split", "classifier", "run")
INTEGERS = ("label", "bracket", "seed", "fold")
FIT = "fit"  # optional integer: seed of the generator's fit, 0 without the column
KNOWN_TEXTS = ("sex", "view", "site")  # optional columns; so is the age in years
KEY = ["split", "bracket", "classifier", "seed", "fold", "image_id"]  # identifies a prediction of a fit
TEST_SPLIT = re.compile(r"test(_[a-z0-9]+)*")
MAX_AGE = 130  # years
MAX_LENGTH = 200  # characters of a text
SUM_TOLERANCE = 1e-3  # of the scores of one image, for float32 softmax


def as_stored(table: pd.DataFrame) -> pd.DataFrame:
    """Convert the scores to the precision that a bundle stores, float32."""
    scores = [name for name in table.columns if str(name).startswith("score_")]
    return table.astype(dict.fromkeys(scores, "float32"))


def with_fit(table: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with the column ``fit``, 0 where it is missing."""
    return table if FIT in table.columns else table.assign(fit=0)


def check_predictions(table: pd.DataFrame, manifest: Manifest, where: str) -> pd.DataFrame:
    """Return the predictions in canonical order; refuse all but one finite prediction per run and image."""
    table = _check_columns(table, manifest, where)
    _check_complete(table, manifest, where)
    return table.reset_index(drop=True)


def check_curve(table: pd.DataFrame, manifest: Manifest, where: str) -> pd.DataFrame:
    """Return the curve in canonical order; refuse all but one prediction per share, run and image."""
    own, table = ["share", "images"], table.reset_index(drop=True)
    for name, kind in (("share", "f"), ("images", "iu")):
        if name not in table.columns or table[name].dtype.kind not in kind:
            raise SubmissionError(f"{where}: {name}", "is missing, or does not hold numbers")
    curve = _check_columns(table.drop(columns=own), manifest, where).join(table[own])
    shares = sorted(set(curve["share"]))
    if shares != sorted(manifest.curve) or set(curve["split"]) != {"test"} or set(curve["bracket"]) != {0}:
        raise SubmissionError(
            f"{where}: share", f"has {shares}, expected {sorted(manifest.curve)}, split test and bracket 0"
        )
    sizes = curve.groupby(["share", "classifier", "seed", "fold"])["images"]
    if (sizes.nunique() != 1).any() or (curve["images"] < 1).any():
        raise SubmissionError(f"{where}: images", "expected one number per training, at least 1")
    for _, part in curve.groupby("share"):
        _check_complete(part, manifest, where)
    return curve.sort_values("share", kind="stable").reset_index(drop=True)


def check_previews(table: pd.DataFrame, manifest: Manifest, where: str) -> pd.DataFrame:
    """Require a class, a fold and a PNG per image, and as many images as the manifest states."""
    columns = ["class", "fold", "image"]
    if sorted(table.columns) != columns:
        raise SubmissionError(
            where, f"has the columns {sorted(table.columns)}", f"Expected {', '.join(columns)}."
        )
    if manifest.samples is None or not len(table) == manifest.samples.shown <= MAX_PREVIEWS:
        raise SubmissionError(
            f"{where}: image", f"has {len(table)} rows", f"Give samples.shown images, at most {MAX_PREVIEWS}."
        )
    if not table["fold"].isin(range(manifest.folds)).all():
        raise SubmissionError(f"{where}: fold", f"outside 0..{manifest.folds - 1}")
    if not table["class"].isin(manifest.classes).all():
        raise SubmissionError(f"{where}: class", "holds a class that the task does not have")
    for content in table["image"]:
        if not isinstance(content, bytes):
            raise SubmissionError(f"{where}: image", "does not hold bytes", "Give PNG files.")
        check_png(content, where)
    return table[columns]


def check_png(content: bytes, where: str) -> None:
    """Refuse bytes that do not begin like a PNG."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise SubmissionError(where, "is not a PNG", "Save the image as PNG.")


def _check_columns(table: pd.DataFrame, manifest: Manifest, where: str) -> pd.DataFrame:
    """Return the table in canonical order, after a check of each column."""
    multilabel = manifest.labels == "multilabel"
    classes = range(len(manifest.classes))
    fit = [FIT] if FIT in table.columns else []
    integers = [*INTEGERS, *fit, *(f"label_{k}" for k in classes if multilabel)]
    expected = [*TEXTS, *integers, *(f"score_{k}" for k in classes)]
    known = [name for name in (*KNOWN_TEXTS, "age") if name in table.columns]
    if sorted(table.columns) != sorted([*expected, *known]):
        differing = sorted(set(table.columns) ^ {*expected, *known})
        raise SubmissionError(
            f"{where}: {differing[0]}", "missing or unknown column", f"Expected {expected}."
        )
    for name in expected:
        if table[name].isna().any():
            raise SubmissionError(f"{where}: {name}", f"row {int(table[name].isna().argmax())} has no value")
    for name in integers:
        if table[name].dtype.kind not in "iu":
            raise SubmissionError(f"{where}: {name}", f"is {table[name].dtype}, expected integers")
    _check_scores(table, len(classes), where, multilabel)
    _check_labels(table, len(classes), where, multilabel)
    for name in known:
        _check_known(table[name], f"{where}: {name}")
    return table[[*expected, *known]].sort_values([*fit, *KEY], kind="stable")


def _check_scores(table: pd.DataFrame, classes: int, where: str, multilabel: bool) -> None:
    """Require a softmax over the classes or, in a multi-label task, a probability per label."""
    import numpy as np

    values = table[[f"score_{k}" for k in range(classes)]].to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(values).all(1) | (values < 0).any(1)
    wrong |= (values > 1).any(1) if multilabel else abs(values.sum(1) - 1) > SUM_TOLERANCE
    if wrong.any():
        raise SubmissionError(
            f"{where}: score_*",
            f"row {int(wrong.argmax())} has {values[wrong.argmax()].tolist()}",
            "Give a probability for every label: finite, from 0 to 1."
            if multilabel
            else "Give the softmax: finite, not negative, summing to 1.",
        )


def _check_labels(table: pd.DataFrame, classes: int, where: str, multilabel: bool) -> None:
    """Require an index into the classes, or -1 and a 0 or 1 per label."""
    if not multilabel:
        if not table["label"].between(0, classes - 1).all():
            raise SubmissionError(f"{where}: label", f"outside 0..{classes - 1}")
        return
    if (table["label"] != -1).any():
        raise SubmissionError(
            f"{where}: label", "expected -1, since the task is multi-label", "Give label_0, label_1, …"
        )
    for k in range(classes):
        if not table[f"label_{k}"].isin([0, 1]).all():
            raise SubmissionError(f"{where}: label_{k}", "expected 0 or 1")


def _check_known(column: pd.Series, where: str) -> None:
    """Require short texts, or an age in years; unknown values are empty."""
    values = column.dropna()
    if where.endswith(": age"):
        if values.dtype.kind not in "iuf" and len(values):
            raise SubmissionError(where, f"is {values.dtype}, expected years as numbers")
        if not values.between(0, MAX_AGE).all():
            raise SubmissionError(where, f"outside 0..{MAX_AGE} years", "Leave an unknown age empty.")
    elif any(not isinstance(v, str) or not 0 < len(v) <= MAX_LENGTH for v in values.unique()):
        raise SubmissionError(
            where, f"expected texts of 1 to {MAX_LENGTH} characters", "Leave unknown values empty."
        )


def _check_complete(table: pd.DataFrame, manifest: Manifest, where: str) -> None:
    """Require every split, bracket, fold and image of the manifest exactly once per training."""
    duplicated = with_fit(table).duplicated([FIT, *KEY])
    if duplicated.any():
        first = table[duplicated].iloc[0]
        raise SubmissionError(
            f"{where}: image_id",
            f"two predictions for {[first[k] for k in KEY]}",
            "Keep one per run and image.",
        )
    splits = sorted(set(table["split"]))
    if "test" not in splits or not all(TEST_SPLIT.fullmatch(s) for s in splits):
        raise SubmissionError(
            f"{where}: split", f"has {splits}, expected 'test' and perhaps others such as 'test_site'"
        )
    brackets = sorted(set(table["bracket"]))
    if brackets not in ([0], sorted(manifest.brackets)):
        raise SubmissionError(
            f"{where}: bracket", f"has {brackets}, expected {sorted(manifest.brackets)}, or 0 alone"
        )
    fits = sorted(set(with_fit(table)[FIT]))
    if fits != sorted(manifest.fit_seeds):
        raise SubmissionError(f"{where}: {FIT}", f"has {fits}, expected {sorted(manifest.fit_seeds)}")
    folds = sorted(set(table["fold"]))
    if folds[0] < 0 or folds[-1] >= manifest.folds:
        raise SubmissionError(f"{where}: fold", f"has {folds}, expected 0..{manifest.folds - 1}")
    for split in splits:
        if split not in manifest.data.splits:
            raise SubmissionError(f"{where}: split", f"'{split}' is not among data.splits")
        images = manifest.data.splits[split].images * len(brackets)
        _check_runs(table[table["split"] == split], manifest, images, f"{where}: image_id")


def _check_runs(part: pd.DataFrame, manifest: Manifest, images: int, where: str) -> None:
    """Require every image and bracket in every training: once, or once per fold."""
    fits = part[FIT].nunique() if FIT in part.columns else 1
    trainings = fits * len(manifest.classifiers) * len(manifest.seeds)
    counts = part.groupby(["bracket", "image_id"]).size()
    once, per_fold = (counts == trainings).all(), (counts == trainings * manifest.folds).all()
    if len(counts) != images or not (once or per_fold):
        folds = f", in one of {manifest.folds} folds or in each" if manifest.folds > 1 else ""
        raise SubmissionError(
            where,
            f"split '{part['split'].iloc[0]}' lacks {images} images and brackets in each of {trainings} "
            f"trainings{folds}",
            "Every image needs one prediction of every run.",
        )
