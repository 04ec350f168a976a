"""Align the predictions of bundles: the same images, in the same order, for the same runs, in every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.aligned_rows import NOT_RECORDED, AlignedRows, Protocol, Row, SplitImages
from benchmark.errors import SubmissionError
from benchmark.statistics.metrics import kind_of, members, reported

if TYPE_CHECKING:
    import pandas as pd

SHARED = (
    "task", "profile", "protocol_hash", "source", "data_kind", "classes", "labels", "positive", "folds",
    "scenario", "mix", "subgroups", "image_size", "primary_metric", "primary_bracket", "brackets", "seeds",
    "classifiers", "statistics",
)  # fmt: skip
AGES = ((0, "0 to 39"), (40, "40 to 59"), (60, "60 to 79"), (80, "80 and over"))  # years


def align(bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]]) -> AlignedRows:
    """Align the predictions of several bundles.

    Args:
        bundles: for each row, the content of ``bundle.json`` and the predictions (None for a failed row).
    Raises:
        SubmissionError: names the row and the field. No row is complete, two rows have one name, the task
            lacks the metric, a class has no images, or rows differ in protocol, images, labels, patients or
            runs.
    """
    given = sorted(bundles, key=lambda b: str(b[0]["row"]["name"]))
    if not given:
        raise SubmissionError("bundles", "there are none", "Run at least one row first.")
    _same_protocol([manifest for manifest, _ in given])
    first = given[0][0]
    if all(manifest["status"] != "complete" for manifest, _ in given):
        raise SubmissionError(
            "bundles", f"no row finished; '{first['row']['name']}' failed: {first['error']}"
        )
    protocol = _protocol(first)
    splits: dict[str, SplitImages] = {}
    rows = []
    for manifest, predictions in given:
        fits = (0,) if predictions is None else fits_of(predictions)
        scores = {} if predictions is None else _row_scores(manifest, predictions, splits, protocol)
        error = None if manifest["status"] == "complete" else str(manifest["error"])
        row, card = manifest["row"], manifest.get("submission") or {}
        access = card.get("test_access", "none")  # bundles of schema 5 do not declare it
        rows.append(Row(row["name"], row["role"], error, manifest["memorization"], scores, fits, access))
    if "test" not in splits:
        raise SubmissionError("predictions", f"have the splits {sorted(splits)}, expected 'test' among them")
    for split, images in splits.items():
        _every_class(split, images.label, protocol.classes)
    return AlignedRows(protocol, splits, tuple(rows))


def _same_protocol(manifests: Sequence[Mapping[str, Any]]) -> None:
    names = [m["row"]["name"] for m in manifests]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise SubmissionError("bundles", f"two of them are of row '{twice[0]}'", "Keep one.")
    first = manifests[0]
    for other in manifests[1:]:
        for field in SHARED:
            if other[field] != first[field]:
                raise SubmissionError(
                    f"bundle '{other['row']['name']}': {field}",
                    f"is {other[field]!r}, '{names[0]}' has {first[field]!r}",
                    "A leaderboard never mixes two protocols: run the row again under this one.",
                )
        if other["data"]["fingerprint"] != first["data"]["fingerprint"]:
            raise SubmissionError(
                f"bundle '{other['row']['name']}': data.fingerprint",
                f"differs from that of '{names[0]}'",
                "Run the row on the same data.",
            )


def _protocol(manifest: Mapping[str, Any]) -> Protocol:
    classes, mix = tuple(manifest["classes"]), manifest["mix"]
    kind = kind_of(manifest["labels"], len(classes))
    return Protocol(
        classes=classes,
        kind=kind,
        metrics=reported(kind, manifest["primary_metric"]["name"]),
        folds=int(manifest["folds"]),
        subgroups=tuple(manifest["subgroups"]),
        primary_bracket=int(manifest["primary_bracket"]),
        rebalances=bool(mix.get("classes") or mix.get("factor") or mix.get("unit") == "deficit"),
        yardstick="noise" if mix.get("training") == "synthetic" else "real_only",
        brackets=tuple(manifest["brackets"]),
        seeds=tuple(sorted(int(s) for s in manifest["seeds"])),
        classifiers=tuple(sorted(str(c) for c in manifest["classifiers"])),
        **{k: manifest["statistics"][k] for k in ("alpha", "correction", "power", "margin")},
    )


def _every_class(split: str, label: np.ndarray, classes: Sequence[str]) -> None:
    for k, name in enumerate(classes):
        inside = members(label, k)
        for absent, images in (("with", inside), ("without", ~inside)):
            if not images.any():
                raise SubmissionError(
                    f"split {split}",
                    f"has no image {absent} '{name}'",
                    "Every class needs images with and without it: leave the class out, or divide the data "
                    "otherwise.",
                )


def _row_scores(
    manifest: Mapping[str, Any], predictions: pd.DataFrame, splits: dict[str, SplitImages], protocol: Protocol
) -> dict[tuple[str, int], np.ndarray]:
    """Return the scores of one row; the first row fills ``splits``, and the others must match it."""
    name = manifest["row"]["name"]
    own = {str(s): part for s, part in predictions.groupby("split")}
    if splits and own.keys() != splits.keys():
        raise SubmissionError(
            f"bundle '{name}': predictions.parquet: split",
            f"has {sorted(own)}, the other rows have {sorted(splits)}",
        )
    scores, fits = {}, fits_of(predictions)
    for split, part in own.items():
        if split not in splits:
            splits[split] = _split_of(part, protocol)
        for bracket, rest in part.groupby("bracket"):
            where = f"bundle '{name}': predictions.parquet: split {split}, bracket {bracket}"
            scores[split, int(str(bracket))] = scores_of(rest, splits[split], protocol, where, fits)
    return scores


def fits_of(predictions: pd.DataFrame) -> tuple[int, ...]:
    """Return the sorted fit seeds of predictions; (0,) where they have no column ``fit``."""
    return tuple(np.unique(predictions["fit"]).tolist()) if "fit" in predictions.columns else (0,)


def _texts(part: pd.DataFrame, column: str) -> np.ndarray:
    return part[column].to_numpy(dtype=object).astype(str)


def _labels(part: pd.DataFrame, protocol: Protocol) -> np.ndarray:
    """(m,) class indices, or (m, K) 0 or 1."""
    if protocol.kind != "multilabel":
        return part["label"].to_numpy(dtype=np.int64)
    return part[[f"label_{k}" for k in range(len(protocol.classes))]].to_numpy(dtype=np.int64)


def _split_of(part: pd.DataFrame, protocol: Protocol) -> SplitImages:
    once = part.drop_duplicates("image_id").sort_values("image_id")
    patient = np.unique(_texts(once, "patient_id"), return_inverse=True)[1]
    run = [*(["fit"] if "fit" in part.columns else []), "bracket", "classifier", "seed"]
    joined = protocol.folds > 1 and not part.duplicated([*run, "image_id"]).any()
    folds = [None] if joined or protocol.folds == 1 else list(range(protocol.folds))
    runs = tuple((c, s, f) for c in protocol.classifiers for s in protocol.seeds for f in folds)
    groups = {f: _group(once, f) for f in protocol.subgroups if f in once.columns}
    return SplitImages(
        _texts(once, "image_id"), _labels(once, protocol), patient, tuple(runs), joined, groups
    )


def _group(part: pd.DataFrame, field: str) -> np.ndarray:
    """(n,) str: the subgroup of each image; ages in bands of 20 years."""
    missing = part[field].isna().to_numpy()
    if field != "age":
        return np.where(missing, NOT_RECORDED, _texts(part, field))
    starts = [start for start, _ in AGES]
    band = np.searchsorted(starts, part[field].fillna(0).to_numpy(dtype=float), side="right") - 1
    return np.where(missing, NOT_RECORDED, np.array([name for _, name in AGES])[band])


def scores_of(
    part: pd.DataFrame, split: SplitImages, protocol: Protocol, where: str, fits: Sequence[int] = (0,)
) -> np.ndarray:
    """Return (fits * runs, n, classes) scores, fit by fit.

    Raises:
        SubmissionError: not one prediction per fit, run and image, or an image differs from that of other
            rows.
    """
    each_fold = protocol.folds > 1 and not split.joined
    key = ["classifier", "seed", *(["fold"] if each_fold else [])]
    runs = [run if each_fold else run[:2] for run in split.runs]
    expected: list[Any] = runs
    if len(fits) > 1:
        key, expected = ["fit", *key], [(fit, *run) for fit in fits for run in runs]
    part = part.sort_values([*key, "image_id"])
    have = [tuple(k) for k in part[key].drop_duplicates().itertuples(index=False)]
    if have != expected:
        raise SubmissionError(f"{where}: {', '.join(key)}", f"has runs {have}, expected {expected}")
    n, trainings = len(split.image_id), len(expected)
    ids = _texts(part, "image_id")
    if len(part) != n * trainings or not (ids.reshape(trainings, n) == split.image_id).all():
        raise SubmissionError(
            f"{where}: image_id",
            f"the images are not those of the other rows and runs ({n} images, {trainings} runs)",
            "Give one prediction per image and run.",
        )
    _same_images(part, split, protocol, where)
    if split.joined:
        _folds_by_patient(part["fold"].to_numpy(dtype=np.int64).reshape(trainings, n), split, protocol, where)
    columns = [f"score_{k}" for k in range(len(protocol.classes))]
    return part[columns].to_numpy(dtype=np.float64).reshape(trainings, n, len(columns))


def _same_images(part: pd.DataFrame, split: SplitImages, protocol: Protocol, where: str) -> None:
    """Raise SubmissionError where an image's label, patient or subgroup differs from that of other rows."""
    n = len(split.image_id)
    runs = len(part) // n
    label = _labels(part, protocol).reshape(runs, *split.label.shape)
    patients = _texts(part, "patient_id").reshape(runs, n)
    codes = np.unique(patients, return_inverse=True)[1].reshape(patients.shape)
    same_label = (label == split.label).reshape(runs, n, -1).all(-1)
    checks = {"label": same_label, "patient_id": codes == split.patient}
    for field, value in split.groups.items():
        if field not in part.columns:
            raise SubmissionError(f"{where}: {field}", "is missing; other rows have it")
        checks[field] = _group(part, field).reshape(runs, n) == value
    for field, same in checks.items():
        if not same.all():
            image = split.image_id[np.argwhere(~same)[0][1]]
            raise SubmissionError(f"{where}: {field}", f"of image '{image}' differs from that of other rows")


def _folds_by_patient(fold: np.ndarray, split: SplitImages, protocol: Protocol, where: str) -> None:
    """Raise SubmissionError where a patient of a cross-validation is tested in several folds."""
    for own in fold:
        pairs = np.unique(split.patient * protocol.folds + own)
        if len(pairs) != split.patients:
            patient = np.flatnonzero(np.bincount(pairs // protocol.folds) > 1)[0]
            image = split.image_id[split.patient == patient][0]
            raise SubmissionError(
                f"{where}: fold",
                f"the patient of image '{image}' is tested in several folds, so was trained on",
                "Divide the folds by patient.",
            )
