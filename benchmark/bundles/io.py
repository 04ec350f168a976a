"""What a finished row leaves for the leaderboard: reading and writing it, strictly."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.bundles.schema import SCHEMA, Manifest
from benchmark.errors import SubmissionError, TaskError
from benchmark.intake.archive import MAX_FILE_BYTES
from benchmark.intake.untrusted import read_json, validate_parquet
from benchmark.tasks.schema import parse
from benchmark.utils.hashing import sha256_file

if TYPE_CHECKING:
    import pandas as pd

MANIFEST, PREDICTIONS, GRID = "bundle.json", "predictions.parquet", Path("samples") / "grid.png"
CURVE, SHOWN = "curve.parquet", Path("samples") / "images.parquet"
SIGNATURE, VERIFIED = "bundle.json.sig", "verified.json"  # written beside a bundle, when it is whole
LARGEST = {Path(name).name: size for name, size in MAX_FILE_BYTES.items()}  # bytes
MOST_SHOWN = 100  # images of a row
TEXTS = ("image_id", "patient_id", "split", "classifier", "run")
INTEGERS = ("label", "bracket", "seed", "fold")
KNOWN_TEXTS = ("sex", "view", "site")  # of a patient or an image, where known; so is the age in years
TEST_SPLIT = re.compile(r"test(_[a-z0-9]+)*")
OLDEST = 130  # years
LONGEST = 200  # characters of a text
SUM_TOLERANCE = 1e-3  # of the scores of one image, for float32 softmax


@dataclass(frozen=True, eq=False)
class Bundle:
    """One row as it was left by its run.

    Attributes:
        manifest: what ``bundle.json`` says.
        predictions: one record per split, bracket, run and image; None for a failed row. A run is a
            classifier with a seed; in a cross-validation an image is there once, from the fold that it was
            left out of, or once for each fold.
        grid: PNG of some samples, or None.
        curve: predictions of ``test`` by trainings on shares of the training patients, with the columns of
            ``predictions`` and ``share`` and ``images``; None but for ``real_only``.
        shown: some of the row's images, with ``class``, ``fold`` and ``image`` (PNG), or None.
    """

    manifest: Manifest
    predictions: pd.DataFrame | None
    grid: bytes | None
    curve: pd.DataFrame | None = None
    shown: pd.DataFrame | None = None


def as_stored(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with scores of the precision that a bundle stores, float32."""
    scores = [name for name in predictions.columns if str(name).startswith("score_")]
    return predictions.astype(dict.fromkeys(scores, "float32"))


def write_bundle(
    folder: Path,
    manifest: dict[str, Any],
    predictions: pd.DataFrame | None,
    grid: bytes | None,
    curve: pd.DataFrame | None = None,
    shown: pd.DataFrame | None = None,
) -> None:
    """Write a bundle; ``bundle.json`` last, each file atomically, with the hashes of the others.

    Raises:
        SubmissionError: it would not be read again: see ``read_bundle``; nothing is written then.
    """
    checked = _manifest(manifest, f"bundle '{folder.name}'")
    if grid is not None:
        _check_grid(grid, folder / GRID)
    if (predictions is None) != (checked.status == "failed"):
        raise SubmissionError(
            str(folder / PREDICTIONS), f"a row that is {checked.status} and its predictions do not agree"
        )
    tables = {}
    if predictions is not None:
        tables[PREDICTIONS] = as_stored(_check_predictions(predictions, checked, folder / PREDICTIONS))
    if _has_curve(checked) != (curve is not None):
        raise SubmissionError(str(folder / CURVE), "the manifest's curve and its predictions do not agree")
    if curve is not None:
        tables[CURVE] = as_stored(_check_curve(curve, checked, folder / CURVE))
    if (shown is not None) != bool(checked.samples and checked.samples.shown):
        raise SubmissionError(str(folder / SHOWN), "the manifest's samples and the images do not agree")
    if shown is not None:
        tables[SHOWN.as_posix()] = _check_shown(shown, checked, folder / SHOWN)
    (folder / GRID).parent.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, PREDICTIONS, CURVE, GRID, SHOWN, SIGNATURE, VERIFIED):  # of an earlier run
        (folder / name).unlink(missing_ok=True)
    for name, table in tables.items():
        part = folder / f"{name}.part"
        table.to_parquet(part, index=False, compression="zstd")
        os.replace(part, folder / name)
    if grid is not None:
        _replace(folder / GRID, grid)
    record = {**checked.record(), "files": hashes(folder)}
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    _replace(folder / MANIFEST, (text + "\n").encode())


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that ``bundle.json`` vouches for, by its name."""
    names = (Path(PREDICTIONS), Path(CURVE), GRID, SHOWN)
    return {n.as_posix(): sha256_file(folder / n) for n in names if (folder / n).exists()}


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and refuse what is not whole.

    Raises:
        SubmissionError: a file is missing, too large or not what it should be; a field is missing,
            unknown or of the wrong type; a score is NaN; a prediction is missing or there twice.
    """
    path = folder / MANIFEST
    _check_size(path)
    manifest = _manifest(read_json(path, LARGEST[MANIFEST]), str(path))
    if manifest.row.name != folder.name:
        raise SubmissionError(
            f"{path}: row.name", f"is '{manifest.row.name}', expected '{folder.name}', the folder's name"
        )
    _check_files(folder, manifest)
    grid = _bytes(folder / GRID) if (folder / GRID).exists() else None
    if grid is not None:
        _check_grid(grid, folder / GRID)
    shown = None
    if manifest.samples is not None and manifest.samples.shown:
        shown = _check_shown(_table(folder / SHOWN), manifest, folder / SHOWN)
    if manifest.status == "failed":
        return Bundle(manifest, None, grid, shown=shown)
    predictions = _check_predictions(_table(folder / PREDICTIONS), manifest, folder / PREDICTIONS)
    curve = None
    if _has_curve(manifest):
        curve = _check_curve(_table(folder / CURVE), manifest, folder / CURVE)
    return Bundle(manifest, predictions, grid, curve, shown)


def _check_files(folder: Path, manifest: Manifest) -> None:
    """Every file is there as ``bundle.json`` says, and no other of its names."""
    for name in (PREDICTIONS, CURVE, GRID.as_posix(), SHOWN.as_posix()):
        if (folder / name).exists():
            _check_size(folder / name)
    if (SHOWN.as_posix() in manifest.files) != bool(manifest.samples and manifest.samples.shown):
        raise SubmissionError(f"{folder / MANIFEST}: samples.shown", f"and files['{SHOWN}'] do not agree")
    unknown = sorted(set(manifest.files) - {PREDICTIONS, CURVE, GRID.as_posix(), SHOWN.as_posix()})
    if unknown:
        raise SubmissionError(f"{folder / MANIFEST}: files", f"names '{unknown[0]}', which no bundle has")
    found = hashes(folder)
    for name in sorted({*found, *manifest.files}):
        if found.get(name) != manifest.files.get(name):
            raise SubmissionError(
                str(folder / name),
                "is not the file that bundle.json names by its SHA-256"
                if name in found
                else "is missing; bundle.json names it",
                "A bundle is not edited by hand: write it again.",
            )


def _check_shown(table: pd.DataFrame, manifest: Manifest, path: Path) -> pd.DataFrame:
    """A class, a fold and a PNG for each image, as many as the manifest says."""
    where = str(path)
    if sorted(table.columns) != ["class", "fold", "image"]:
        raise SubmissionError(
            where, f"has the columns {sorted(table.columns)}", "Expected class, fold, image."
        )
    if manifest.samples is None or not len(table) == manifest.samples.shown <= MOST_SHOWN:
        raise SubmissionError(
            f"{where}: image", f"has {len(table)} rows", f"Give samples.shown of them, at most {MOST_SHOWN}."
        )
    if not table["fold"].isin(range(manifest.folds)).all():
        raise SubmissionError(f"{where}: fold", f"outside 0..{manifest.folds - 1}")
    if not table["class"].isin(manifest.classes).all():
        raise SubmissionError(f"{where}: class", "holds a class that the task does not have")
    for content in table["image"]:
        if not isinstance(content, bytes):
            raise SubmissionError(f"{where}: image", "holds something else than bytes", "Give PNG files.")
        _check_grid(content, path)
    return table[["class", "fold", "image"]]


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    _check_size(path)
    validate_parquet(path)
    try:
        return pd.read_parquet(path)
    except Exception as error:  # a corrupt file raises many kinds
        raise SubmissionError(str(path), f"cannot be read: {error}", "Write it as Parquet again.") from None


def _has_curve(manifest: Manifest) -> bool:
    return bool(manifest.curve) and manifest.status == "complete"


def read_bundles(folder: Path) -> list[Bundle]:
    """The bundles in the folders of a folder, sorted by name.

    Raises:
        SubmissionError: there is none, or one is refused.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if not found:
        raise SubmissionError(str(folder), "holds no bundle", "Give the folder that has one folder per row.")
    return [read_bundle(p) for p in found]


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def _check_size(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise SubmissionError(str(path), "is missing or not a plain file", "A bundle holds its own files.")
    limit = LARGEST[path.name]
    if path.stat().st_size > limit:
        raise SubmissionError(str(path), f"has {path.stat().st_size} bytes, at most {limit} are read")


def _bytes(path: Path) -> bytes:
    _check_size(path)
    return path.read_bytes()


def _check_grid(content: bytes, path: Path) -> None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise SubmissionError(str(path), "is not a PNG", "Save the grid as PNG.")


def _manifest(content: Any, where: str) -> Manifest:
    schema = content.get("schema") if isinstance(content, dict) else None
    if isinstance(schema, int) and schema != SCHEMA:
        raise SubmissionError(
            f"{where}: schema",
            f"is {schema}, this release reads {SCHEMA}",
            "Run the row again, or read the bundle with the release that wrote it.",
        )
    try:
        manifest: Manifest = parse(Manifest, content, where)
    except TaskError as error:
        raise SubmissionError(error.where, error.problem, error.remedy) from None
    try:  # the fields that may hold anything
        json.dumps(manifest.record(), allow_nan=False)
    except ValueError:
        raise SubmissionError(where, "holds NaN or infinity", "Leave the figure out, or give None.") from None
    return manifest


def _check_predictions(table: pd.DataFrame, manifest: Manifest, path: Path) -> pd.DataFrame:
    """The table in canonical order; refuses whatever is not one finite prediction per run and image."""
    table = _check_columns(table, manifest, str(path))
    _check_complete(table, manifest, str(path))
    return table.reset_index(drop=True)


def _check_curve(table: pd.DataFrame, manifest: Manifest, path: Path) -> pd.DataFrame:
    """The table in canonical order; refuses what is not one prediction per share, run and image."""
    where, own, table = str(path), ["share", "images"], table.reset_index(drop=True)
    for name, kind in (("share", "f"), ("images", "iu")):
        if name not in table.columns or table[name].dtype.kind not in kind:
            raise SubmissionError(f"{where}: {name}", "missing, or of another kind than numbers")
    whole = _check_columns(table.drop(columns=own), manifest, where).join(table[own])
    shares = sorted(set(whole["share"]))
    if shares != sorted(manifest.curve) or set(whole["split"]) != {"test"} or set(whole["bracket"]) != {0}:
        raise SubmissionError(
            f"{where}: share", f"has {shares}, expected {sorted(manifest.curve)}, split test and bracket 0"
        )
    sizes = whole.groupby(["share", "classifier", "seed", "fold"])["images"]
    if (sizes.nunique() != 1).any() or (whole["images"] < 1).any():
        raise SubmissionError(f"{where}: images", "expected one number per training, at least 1")
    for _, part in whole.groupby("share"):
        _check_complete(part, manifest, where)
    return whole.sort_values("share", kind="stable").reset_index(drop=True)


def _check_columns(table: pd.DataFrame, manifest: Manifest, where: str) -> pd.DataFrame:
    """The table in canonical order, each of its columns as it should be."""
    multilabel = manifest.labels == "multilabel"
    each = range(len(manifest.classes))
    scores = [f"score_{k}" for k in each]
    integers = [*INTEGERS, *(f"label_{k}" for k in each if multilabel)]
    expected = [*TEXTS, *integers, *scores]
    known = [name for name in (*KNOWN_TEXTS, "age") if name in table.columns]
    if sorted(table.columns) != sorted([*expected, *known]):
        odd = sorted(set(table.columns) ^ {*expected, *known})
        raise SubmissionError(f"{where}: {odd[0]}", "missing or unknown column", f"Expected {expected}.")
    for name in expected:
        if table[name].isna().any():
            raise SubmissionError(f"{where}: {name}", f"row {int(table[name].isna().argmax())} has no value")
    for name in integers:
        if table[name].dtype.kind not in "iu":
            raise SubmissionError(f"{where}: {name}", f"is {table[name].dtype}, expected integers")
    _check_scores(table, scores, where, multilabel)
    _check_labels(table, len(scores), where, multilabel)
    for name in known:
        _check_known(table[name], f"{where}: {name}")
    order = ["split", "bracket", "classifier", "seed", "fold", "image_id"]
    return table[[*expected, *known]].sort_values(order, kind="stable")


def _check_scores(table: pd.DataFrame, columns: list[str], where: str, multilabel: bool) -> None:
    """Softmax over the classes, or a probability for each of several labels."""
    import numpy as np

    values = table[columns].to_numpy(dtype=np.float64)
    odd = ~np.isfinite(values).all(1) | (values < 0).any(1)
    odd |= (values > 1).any(1) if multilabel else abs(values.sum(1) - 1) > SUM_TOLERANCE
    if odd.any():
        raise SubmissionError(
            f"{where}: score_*",
            f"row {int(odd.argmax())} has {values[odd.argmax()].tolist()}",
            "Give a probability for every label: finite, from 0 to 1."
            if multilabel
            else "Give the softmax: finite, not negative, summing to 1.",
        )


def _check_labels(table: pd.DataFrame, classes: int, where: str, multilabel: bool) -> None:
    """An index into the classes, or -1 with a 0 or 1 for each of several labels."""
    if not multilabel:
        if not table["label"].between(0, classes - 1).all():
            raise SubmissionError(f"{where}: label", f"outside 0..{classes - 1}")
        return
    if (table["label"] != -1).any():
        raise SubmissionError(
            f"{where}: label",
            "expected -1, since an image may have several labels",
            "Give label_0, label_1, …",
        )
    for k in range(classes):
        if not table[f"label_{k}"].isin([0, 1]).all():
            raise SubmissionError(f"{where}: label_{k}", "expected 0 or 1")


def _check_known(column: pd.Series, where: str) -> None:
    """What is known of an image: short texts, or an age in years; absent where it is not."""
    given = column.dropna()
    if where.endswith(": age"):
        if given.dtype.kind not in "iuf" and len(given):
            raise SubmissionError(where, f"is {given.dtype}, expected years as numbers")
        if not given.between(0, OLDEST).all():
            raise SubmissionError(where, f"outside 0..{OLDEST} years", "Leave an unknown age empty.")
        return
    if any(not isinstance(v, str) or not 0 < len(v) <= LONGEST for v in given.unique()):
        raise SubmissionError(
            where, f"expected texts of 1 to {LONGEST} characters", "Leave the unknown empty."
        )


def _check_complete(table: pd.DataFrame, manifest: Manifest, where: str) -> None:
    key = ["split", "bracket", "classifier", "seed", "fold", "image_id"]
    twice = table.duplicated(key)
    if twice.any():
        first = table[twice].iloc[0]
        raise SubmissionError(
            f"{where}: image_id",
            f"two predictions for {[first[k] for k in key]}",
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
    folds = sorted(set(table["fold"]))
    if folds[0] < 0 or folds[-1] >= manifest.folds:
        raise SubmissionError(f"{where}: fold", f"has {folds}, expected 0..{manifest.folds - 1}")
    for split in splits:
        if split not in manifest.data.splits:
            raise SubmissionError(f"{where}: split", f"'{split}' is not among data.splits")
        images = manifest.data.splits[split].images * len(brackets)
        _check_runs(table[table["split"] == split], manifest, images, f"{where}: image_id")


def _check_runs(part: pd.DataFrame, manifest: Manifest, images: int, where: str) -> None:
    """Every image and bracket has every training: once, or once for each fold."""
    trainings = len(manifest.classifiers) * len(manifest.seeds)
    counts = part.groupby(["bracket", "image_id"]).size()
    once, each = (counts == trainings).all(), (counts == trainings * manifest.folds).all()
    if len(counts) != images or not (once or each):
        split, folds = part["split"].iloc[0], f", in one of {manifest.folds} folds or in each"
        raise SubmissionError(
            where,
            f"split '{split}' lacks {images} images and brackets in each of {trainings} trainings"
            + (folds if manifest.folds > 1 else ""),
            "Every image needs one prediction of every run.",
        )
