"""Simulated bundles with predictions of known accuracy, for developing and testing the leaderboard.

``python tests/support/make_bundles.py FOLDER [VARIANT]`` writes the nine rows of a demo-sized leaderboard.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.bundles.io import hashes, write_bundle
from benchmark.bundles.previews import png
from benchmark.bundles.tables import as_stored
from benchmark.comparison.reported import results

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")
PAPER_COUNTS = (130, 29, 23, 19, 16)  # Schaudt et al. 2023, Table 2
SEEDS = (0, 1, 2)
BRACKETS = (100, 250)
# row: role, accuracy at bracket 100 and 250 (0 for rows without added images), memorization rate, FID
ROWS: dict[str, tuple[str, tuple[float, ...], float | None, float | None]] = {
    "real_only": ("control", (0.62,), None, None),
    "oversample": ("control", (0.64,), None, None),
    "duplicate_real": ("control", (0.64, 0.66), 1.0, 1.9),
    "traditional": ("control", (0.65, 0.68), 0.04, 9.4),
    "oracle": ("control", (0.69, 0.74), 0.011, 1.8),
    "copycat": ("control", (0.63, 0.65), 0.97, 4.2),
    "noise": ("control", (0.55, 0.50), 0.0, 118.0),
    "stylegan": ("generator", (0.66, 0.67), 0.012, 21.5),
    "ddpm": ("generator", (0.63, 0.645), 0.006, 33.1),
}
FINDINGS = (
    "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "emphysema", "fibrosis", "hernia",
    "infiltration", "mass", "nodule", "pleural_thickening", "pneumonia", "pneumothorax", "no_finding",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """Kind of task: its classes, and the fields of its manifest that differ between kinds."""

    classes: tuple[str, ...] = CLASSES
    metric: str = "balanced_accuracy"
    labels: str = "single"
    positive: str | None = None
    folds: int = 1
    counts: tuple[tuple[str, tuple[int, ...]], ...] = (("test", (400,) * 5), ("test_paper", PAPER_COUNTS))
    subgroups: tuple[str, ...] = ()
    question: str = "Do synthetic chest radiographs help to tell five causes of pneumonia apart?"
    rules: tuple[dict[str, Any], dict[str, Any]] = ({}, {})  # scenario and mix


MULTICLASS = Variant()
BINARY = Variant(
    classes=("no_pneumothorax", "pneumothorax"),
    metric="f1",
    positive="pneumothorax",
    counts=(("test", (540, 60)), ("test_site", (270, 30))),
    subgroups=("sex", "age", "view", "site"),
    question="Can augmentation repair the imbalance of pneumothorax?",
    rules=(
        {"labels": {"uncertain": "ones", "not_mentioned": 0}, "view": "frontal"},
        {"training": "add", "classes": None, "unit": "class", "factor": {}},
    ),
)
MULTILABEL = Variant(
    classes=FINDINGS,
    metric="auroc",
    labels="multilabel",
    counts=(("test", (600,)),),
    question="Can a classifier trained on synthetic images alone read real ones?",
    rules=({}, {"training": "synthetic", "classes": None, "unit": "class", "factor": {}}),
)
FOLDS = Variant(
    classes=("healthy", "pneumonia", "covid19"),
    folds=5,
    counts=(("test", (90, 70, 90)), ("test_site", (40, 40, 40))),
    subgroups=("sex",),
    question="With a handful of pneumonia ultrasound images, does a single-image generator help?",
    rules=(
        {"fraction": {"class": "pneumonia", "share": 0.25}},
        {"training": "add", "classes": ["pneumonia"], "unit": "still_image", "factor": {}},
    ),
)
VARIANTS = {"multiclass": MULTICLASS, "binary": BINARY, "multilabel": MULTILABEL, "folds": FOLDS}
Images = tuple[np.ndarray, np.ndarray, np.ndarray]  # ids, patients, labels


def images_of(split: str, counts: tuple[int, ...]) -> Images:
    """Draw ids, patients (one to three images each, of one class) and labels of a split.

    A single count gives multi-label images, with labels among ``FINDINGS``.
    """
    label = np.repeat(np.arange(len(counts)), counts)
    rng = np.random.default_rng([len(label), 3])
    new = rng.random(len(label)) < 0.75
    new[np.flatnonzero(np.diff(label, prepend=-1))] = True
    patient = np.array([f"{split}-p{n:04d}" for n in np.cumsum(new)])
    if len(counts) == 1:
        shares = np.linspace(0.04, 0.3, len(FINDINGS))
        label = (rng.random((len(label), len(FINDINGS))) < shares).astype(int)
    return np.array([f"{split}-{i:05d}" for i in range(len(label))]), patient, label


def run_scores(
    label: np.ndarray, accuracy: float, difficulty: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw (n, K) softmax-like scores whose argmax is correct with about the given accuracy.

    For labels (n, K) of 0 or 1, the scores grow with the label, and more with a higher accuracy.
    """
    if label.ndim == 2:
        logit = 6 * (accuracy - 0.4) * label + difficulty[:, None] + rng.normal(0, 1, label.shape) - 2
        return np.asarray(1 / (1 + np.exp(-logit)))
    k = int(label.max()) + 1
    shift = np.log(accuracy / (1 - accuracy)) * 1.45  # the logistic slope at this spread of difficulty
    right = rng.random(len(label)) < 1 / (1 + np.exp(-(shift + 1.6 * difficulty)))
    wrong = (label + rng.integers(1, k, len(label))) % k
    scores = rng.dirichlet(np.full(k, 1.0), len(label))
    top, chosen = scores.max(1), np.where(right, label, wrong)
    at = scores.argmax(1)
    scores[np.arange(len(label)), at] = scores[np.arange(len(label)), chosen]
    scores[np.arange(len(label)), chosen] = top
    return scores


def predictions(
    name: str,
    sets: dict[str, Images],
    brackets: tuple[int, ...],
    seeds: tuple[int, ...],
    variant: Variant = MULTICLASS,
    fits: tuple[int, ...] = (0,),
) -> pd.DataFrame:
    """Draw the predictions of a row, at its known accuracies; a generator's fits differ by some points."""
    if ROWS[name][0] == "generator" and fits != (0,):
        return pd.concat([_of_fit(predictions(name, sets, brackets, seeds, variant), fit) for fit in fits])
    accuracies = ROWS[name][1]
    row_brackets = (0,) if len(accuracies) == 1 else brackets
    parts = []
    for split, (ids, patient, label) in sets.items():
        difficulty = np.random.default_rng([7, len(ids)]).normal(size=len(ids))
        for bracket, accuracy in zip(row_brackets, accuracies, strict=True):
            for seed, fold in ((s, f) for s in seeds for f in range(variant.folds)):
                keys = [list(ROWS).index(name), bracket, seed, len(ids)]
                rng = np.random.default_rng(keys if variant.folds == 1 else [*keys, fold])
                run = np.random.default_rng(keys[:3]).normal(0, 0.012)
                scores = run_scores(label, accuracy + run, difficulty, rng)
                part = pd.DataFrame({"image_id": ids, "patient_id": patient, "split": split})
                part["bracket"], part["classifier"], part["seed"], part["fold"] = (
                    bracket,
                    "resnet10",
                    seed,
                    fold,
                )
                part["run"] = f"{name}/{bracket}/resnet10/{seed}"
                part = part.assign(**labels_and_scores(label, scores), **known(patient, variant.subgroups))
                if split == "test" and variant.folds > 1:  # the cross-validation reads each image once
                    part = part[pd.factorize(part["patient_id"])[0] % variant.folds == fold]
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _of_fit(table: pd.DataFrame, fit: int) -> pd.DataFrame:
    """Return predictions of another fit: the scores of some images rotated among the classes."""
    scores = [c for c in table.columns if c.startswith("score_")]
    changed = np.random.default_rng(fit).random(len(table)) < 0.02 + 0.03 * fit
    table = table.assign(fit=fit)
    table.loc[changed, scores] = np.roll(table.loc[changed, scores].to_numpy(), 1, axis=1)
    if fit:
        table["run"] = table["run"].str.replace("/", f"/fit{fit}/", n=1)
    return table


def labels_and_scores(label: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Return the columns of labels and scores of a single-label or multi-label task."""
    columns: dict[str, Any] = {f"score_{k}": scores[:, k] for k in range(scores.shape[1])}
    if label.ndim == 1:
        return {"label": label, **columns}
    return {"label": -1, **columns, **{f"label_{k}": label[:, k] for k in range(label.shape[1])}}


def known(patient: np.ndarray, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return simulated sex, age, view and site of every patient; some are unknown."""
    number = pd.factorize(patient)[0]
    values = {
        "sex": np.where(number % 10 == 9, None, np.where(number % 2 == 0, "female", "male")),
        "age": np.where(number % 12 == 11, np.nan, 25 + number * 7 % 62),
        "view": np.where(number % 3 == 0, "PA", "AP"),
        "site": np.where(number % 80 == 7, "C", np.where(number % 4 == 0, "B", "A")),
    }
    return {field: values[field] for field in fields}


def measures(fid: float | None) -> dict[str, Any]:
    """Return FID, KID and MS-SSIM of a row; empty for a row without images."""
    if fid is None:
        return {}
    return {
        "fid_phantom_cxr_v1": {"value": fid, "floor": 2.1, "n": 600, "direction": "minimize"},
        "kid_phantom_cxr_v1": {
            "value": (fid - 2.1) / 900,
            "floor": 0.0002,
            "n": 600,
            "direction": "minimize",
        },
        "ms_ssim": {"value": 0.3 + fid / 1000, "floor": 0.31, "n": 50, "direction": "minimize", "scales": 2},
    }


RESNET10 = {
    "name": "resnet10", "timm": "resnet10t", "timm_kwargs": {}, "head": "linear", "trained": "all",
    "weights": {"kind": "none", "tag": None, "sha256": None}, "learning_rate": 1e-3, "weight_decay": 0.05,
    "schedule": "cosine", "batch_size": 32, "dropout": 0.2, "augmentation": "mild_affine",
    "parameters": {"total": 4_924_621, "trained": 4_924_621},
}  # fmt: skip


def memorization(rate: float | None) -> dict[str, Any] | None:
    """Return the record of the memorization gate, or None for a row without images."""
    if rate is None:
        return None
    interval = [max(0.0, rate - 0.008), min(1.0, rate + 0.008)]
    gated = interval[0] > 0.05
    return {"rate": rate, "expected": 0.01, "threshold": 0.21, "n": 1250, "interval": interval,
            "planted_recall": 0.96, "gated": gated, "blind": False}  # fmt: skip


def manifest(
    name: str,
    sets: dict[str, Images],
    brackets: tuple[int, ...],
    seeds: tuple[int, ...],
    error: str | None = None,
    variant: Variant = MULTICLASS,
    fits: tuple[int, ...] = (0,),
) -> dict[str, Any]:
    """Return the content of a row's ``bundle.json``."""
    role, _, rate, fid = ROWS[name]
    splits = {
        split: {
            "images": len(ids),
            "patients": len(set(patient.tolist())),
            "counts": {
                c: int((label == k if label.ndim == 1 else label[:, k] == 1).sum())
                for k, c in enumerate(variant.classes)
            },
            "hash": f"{len(ids):064x}",
        }
        for split, (ids, patient, label) in sets.items()
    }
    return {
        "schema": 6,
        "task": "cxr_pneumonia",
        "profile": "demo",
        "question": variant.question,
        "citation": "Schaudt et al. 2023, doi:10.3390/bioengineering10121421",
        "protocol_hash": "5b1f" * 16,
        "source": "phantom.chest",
        "data_kind": "phantom",
        "classes": list(variant.classes),
        "labels": variant.labels,
        "positive": variant.positive,
        "folds": variant.folds,
        "fit_seeds": fits if role == "generator" else (0,),
        "scenario": variant.rules[0],
        "mix": variant.rules[1],
        "subgroups": list(variant.subgroups),
        "image_size": 32,
        "primary_metric": {"name": variant.metric, "direction": "maximize"},
        "primary_bracket": brackets[-1],
        "brackets": list(brackets),
        "seeds": list(seeds),
        "classifiers": ["resnet10"],
        "classifier_cards": [RESNET10],
        "statistics": {"alpha": 0.05, "correction": "holm", "power": 0.8, "margin": 0.02},
        "row": {
            "name": name, "role": role, "title": name.replace("_", " "),
            "description": f"Description of {name}.", "citation": "", "license": "Apache-2.0", "version": "1",
            "params": {},
        },
        "status": "failed" if error else "complete",
        "error": error,
        "data": {
            "fingerprint": "c0ffee" * 10,
            "splits": splits,
            "proof": {"disjoint_by_patient": [["train", "test"]], "patients": {"train": 640, "test": 900}},
            "notes": ["Two rows of one image were merged."],
        },
        "measures": {} if error else measures(fid),
        "memorization": None if error else memorization(rate),
        "costs": {
            "fit_seconds": 100.5 if role == "generator" else 0.4,
            "sample_seconds": 12.25, "classify_seconds": 51.0, "peak_memory_mb": 2100.0,
        },
        "software": {"python": "3.11", "torch": "2.15.0", "synththorax": "0.1.0"},
        "hardware": {"cpu": "2 cores", "gpu": None},
        "device": "cpu",
        "precision": "bfloat16",
    }  # fmt: skip


def picture(name: str) -> bytes:
    """Draw a small PNG in place of a sample grid."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(list(ROWS).index(name)).normal(size=(120, 240))
    smooth = gaussian_filter(noise, 4)
    gray = (255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(gray).save(out, format="PNG")
    return out.getvalue()


def update_hashes(folder: Path) -> None:
    """Update the file hashes in ``bundle.json``, as an edit by hand would."""
    path = folder / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": hashes(folder)}))


def previews(name: str, variant: Variant) -> pd.DataFrame:
    """Draw two small images of every class in place of a row's previews."""
    rng = np.random.default_rng([list(ROWS).index(name), 5])
    classes = np.repeat(variant.classes, 2)
    images = [png(rng.integers(0, 256, (16, 16)).astype(np.uint8)) for _ in classes]
    return pd.DataFrame({"class": classes, "fold": 0, "image": images})


def make_bundles(
    folder: Path,
    rows: tuple[str, ...] = tuple(ROWS),
    test_counts: tuple[int, ...] | None = None,
    paper_counts: tuple[int, ...] | None = PAPER_COUNTS,
    brackets: tuple[int, ...] = BRACKETS,
    seeds: tuple[int, ...] = SEEDS,
    failed: dict[str, str] | None = None,
    variant: Variant = MULTICLASS,
    fits: tuple[int, ...] = (0,),
) -> Path:
    """Write a folder of bundles and return it; without ``test_counts``, with the variant's sizes."""
    sets = {split: images_of(split, counts) for split, counts in variant.counts}
    if test_counts:
        sets = {"test": images_of("test", test_counts)}
        if paper_counts:
            sets["test_paper"] = images_of("test_paper", paper_counts)
    for name in rows:
        error = (failed or {}).get(name)
        content = manifest(name, sets, brackets, seeds, error, variant, fits)
        table = None if error else as_stored(predictions(name, sets, brackets, seeds, variant, fits))
        if table is not None:
            content["results"] = results(content, table)
        grid = None if error or not content["measures"] else picture(name)
        images = None if grid is None else previews(name, variant)
        if images is not None:
            number = list(ROWS).index(name)
            content["samples"] = {"images": 1250, "hash": f"{number:02x}" * 32, "shown": len(images)}
        write_bundle(folder / name, content, table, grid, previews=images)
    return folder


if __name__ == "__main__":
    make_bundles(Path(sys.argv[1]), variant=VARIANTS[sys.argv[2] if len(sys.argv) > 2 else "multiclass"])
