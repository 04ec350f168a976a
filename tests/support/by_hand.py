"""Bundles with hand-computable figures: the first n images of each class are correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.bundles.io import Bundle
from benchmark.bundles.schema import Manifest
from benchmark.comparison.breakdown import breakdown
from benchmark.comparison.compare import compare
from benchmark.comparison.records import Comparison
from benchmark.reporting.tables.run import Run
from support import make_bundles

TRAINED = 80  # real images
IMAGES = 10  # of each class, one per patient
Training = tuple[int, str, int]  # bracket, classifier, seed
CLASSES = ("left", "right")


def predictions(right: Mapping[Training, Sequence[int]], fold: int = 0, images: int = IMAGES) -> pd.DataFrame:
    """Return predictions with ``right[training][k]`` correct images of class k, the others one class off.

    Recall of class k is then ``right[k] / images``.
    """
    parts = []
    for (bracket, classifier, seed), each in right.items():
        for k, count in enumerate(each):
            for i in range(images):
                predicted = k if i < count else (k + 1) % len(each)
                scores = {
                    f"score_{j}": 0.75 if j == predicted else 0.25 / (len(each) - 1) for j in range(len(each))
                }
                name = f"{fold}-{k}-{i:02d}"
                parts.append({
                    "image_id": name, "patient_id": name, "split": "test", "bracket": bracket,
                    "classifier": classifier, "seed": seed, "fold": fold, "label": k,
                    "run": f"{classifier}/{seed}", **scores,
                })  # fmt: skip
    return pd.DataFrame(parts)


def bundle(row: str, table: pd.DataFrame, role: str = "control", **fields: Any) -> Bundle:
    """Return a bundle with these predictions."""
    classes = fields.get("classes", CLASSES)
    variant = make_bundles.Variant(classes=tuple(classes), counts=())
    brackets = tuple(sorted(set(fields.get("brackets", (1, 2)))))
    manifest = make_bundles.manifest("real_only", {}, brackets, (0, 1), None, variant)
    once = table.drop_duplicates(["split", "image_id"])
    manifest["data"]["splits"] = {
        str(split): {
            "images": len(part), "patients": part["patient_id"].nunique(), "hash": "0" * 8,
            "counts": {c: int((part["label"] == k).sum()) for k, c in enumerate(classes)},
        }
        for split, part in once.groupby("split")
    } | {"train": {"images": TRAINED, "patients": TRAINED, "hash": "1" * 8, "counts": {}}}  # fmt: skip
    manifest |= {
        "classifiers": sorted(set(table["classifier"])),
        "seeds": sorted({int(s) for s in table["seed"]}),
    }
    manifest |= fields
    manifest = with_cards(manifest)
    manifest["row"] = {**manifest["row"], "name": row, "role": role}
    return Bundle(Manifest.model_validate(manifest), table, None)


def with_cards(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest with a card for each of its classifiers."""
    return manifest | {
        "classifier_cards": [manifest["classifier_cards"][0] | {"name": c} for c in manifest["classifiers"]]
    }


def records(bundles: Sequence[Bundle]) -> list[tuple[dict[str, Any], pd.DataFrame | None]]:
    """Return the arguments of ``compare`` and ``breakdown``."""
    return [(b.manifest.record(), b.predictions) for b in bundles]


def two_generators() -> list[Bundle]:
    """Return ``real_only``, ``one`` and ``two``, with brackets 1 and 2, classifiers a and b, seeds 0 and 1.

    Correct images of the two classes, by training:

    ========= ======= ========== ==========
    row       bracket a 0, a 1   b 0, b 1
    ========= ======= ========== ==========
    real_only 0       5 5, 6 4   6 6, 6 8
    one       1       6 6, 7 5   6 6, 8 8
    one       2       8 6, 8 8   5 5, 7 7
    two       1       4 4, 5 5   6 6, 6 6
    two       2       5 5, 5 5   9 7, 8 8
    ========= ======= ========== ==========
    """
    real = {(0, "a", 0): (5, 5), (0, "a", 1): (6, 4), (0, "b", 0): (6, 6), (0, "b", 1): (6, 8)}
    one = {(1, "a", 0): (6, 6), (1, "a", 1): (7, 5), (1, "b", 0): (6, 6), (1, "b", 1): (8, 8),
           (2, "a", 0): (8, 6), (2, "a", 1): (8, 8), (2, "b", 0): (5, 5), (2, "b", 1): (7, 7)}  # fmt: skip
    two = {(1, "a", 0): (4, 4), (1, "a", 1): (5, 5), (1, "b", 0): (6, 6), (1, "b", 1): (6, 6),
           (2, "a", 0): (5, 5), (2, "a", 1): (5, 5), (2, "b", 0): (9, 7), (2, "b", 1): (8, 8)}  # fmt: skip
    return [
        bundle("real_only", predictions(real)),
        bundle("one", predictions(one), "generator"),
        bundle("two", predictions(two), "generator"),
    ]


def run_of(bundles: Sequence[Bundle], **variant: str) -> Run:
    """Return a run of these bundles."""
    given = records(bundles)
    manifests = {b.manifest.row.name: b.manifest for b in bundles}
    return Run(manifests, compare(given), breakdown(given), variant)


def with_curve(run: Run) -> Run:
    """Return the run with a learning curve over 50 and 100 images; f(n) = 0.9 - 3 / n."""
    curve = {
        "metric": "balanced_accuracy", "runs": 4, "images": 100, "farthest": 200.0,
        "points": [{"images": n, "estimate": 0.9 - 3 / n, "low": 0.8, "high": 0.9} for n in (50.0, 100.0)],
        "law": {"a": 0.9, "b": 3.0, "c": 1.0, "residual": 0.0},
    }  # fmt: skip
    primary = {
        "bracket": 2, "difference": 0.01, "total": 150.0, "images": 50.0, "low": -12.4, "high": 100.0,
        "bounds": {"images": None, "low": None, "high": "more than"}, "reason": None,
    }  # fmt: skip
    flat = dict.fromkeys(("total", "images", "low", "high"))
    unknown = flat | {"bracket": 2, "difference": 0.0, "bounds": {}, "reason": "it is flat"}
    best = primary | {"bracket": 1, "images": 70.0, "total": 170.0}
    worth = {"one": {"primary": primary, "best": best}, "two": {"primary": unknown, "best": None}}
    return with_fields(run, learning_curve=curve, equivalent=worth)


def with_fields(run: Run, **fields: Any) -> Run:
    """Return the run with other fields in the JSON of its comparison."""
    comparison = Comparison.from_json(run.comparison.to_json() | fields)
    return Run(run.manifests, comparison, run.breakdown, run.variant)
