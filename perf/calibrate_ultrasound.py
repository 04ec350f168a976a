"""Calibrate the phantom ultrasound task: five folds by patient, with a quarter of the pneumonia patients.

    python perf/calibrate_ultrasound.py --size 32 --folds 0 1 2 3 4

Trains the demo's classifier on four folds of the cohort and scores the fresh patients of ``test`` (balanced,
one image each) and the frames of the held-out fold (``test_paper``, pooled over the folds). Rows:

    real_only      the training folds, with a share of the pneumonia patients
    duplicate      copies of its pneumonia images, as many as oracle_minor adds
    oracle_minor   fresh pneumonia patients added, 32 for each of the 8 still images (Zhang et al. 2023, 5.2)
    oracle         fresh patients of every class added
    all_patients   the training folds with all pneumonia patients

Prints the mean balanced accuracy and recall over the folds per row, then the differences to real_only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.predict import normalization
from benchmark.classifiers.train import predict, train
from benchmark.datasets.phantom import ultrasound
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet, Splits, concatenate
from benchmark.phantoms.ultrasound.findings import CLASSES
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.tasks.rules import Fraction
from benchmark.tasks.schema import SplitRule

MINOR = CLASSES.index("pneumonia")
RECIPE = ClassifierConfig(
    name="resnet10_narrow", timm="resnet10t", timm_kwargs={"channels": [32, 64, 128, 256]},
    learning_rate=1e-3, weight_decay=0.05, dropout=0.2, augmentation="zhang",
)  # fmt: skip
ROWS = ("real_only", "duplicate", "oracle_minor", "oracle", "all_patients")


def cohort(size: int, per_class: int, seed: int) -> ImageSet:
    """Return all images of the source, drawn once."""
    drawn = ultrasound.images(
        ultrasound.Params(), classes=CLASSES, image_size=size, reserve_per_class=per_class, seed=seed
    )
    return replace(drawn, image=drawn.image[:], mask=None)


def divide(images: ImageSet, fold: int, seed: int) -> Splits:
    """Return the splits of one fold."""
    source = ModuleType("phantom.ultrasound")
    source.images = lambda *_, **__: images  # type: ignore[attr-defined]
    splits = loading.load(
        source, None, classes=CLASSES, image_size=images.size, seed=seed,
        split=SplitRule(val=0.15, folds=5, fold=fold), reserve_per_class=0,
    )  # fmt: skip
    prove_disjoint(splits)
    return splits


def fewer(images: ImageSet, share: float, seed: int) -> ImageSet:
    """Return a share of the pneumonia patients, as drawn by the task's rule, and all other patients."""
    rule = Fraction(rule="fraction", of=CLASSES[MINOR], keep=share)
    return scenario.on_train({"few": rule}, seed=seed)(images)


def again(images: ImageSet, count: int, seed: int) -> ImageSet:
    """Return the pneumonia images, drawn again with replacement."""
    rows = np.random.default_rng([seed, 22]).choice(np.flatnonzero(images.label == MINOR), count)
    ids = np.array([f"again-{i}" for i in range(count)])
    return replace(images.select(rows), image_id=ids)


def training_set(row: str, splits: Splits, share: float, count: int, seed: int) -> ImageSet:
    """Return the training images of a row."""
    real = splits.train if row == "all_patients" else fewer(splits.train, share, 0)
    if row == "duplicate":
        return concatenate([real, again(real, count, seed)])
    if row == "oracle_minor":
        return concatenate([real, splits.reserve.of_class(MINOR).select(np.arange(count))])
    if row == "oracle":
        per_class = [splits.reserve.of_class(k).select(np.arange(count)) for k in range(len(CLASSES))]
        return concatenate([real, *per_class])
    return real


def recalls(scores: np.ndarray, images: ImageSet) -> np.ndarray:
    """Return the (K,) recall of every class."""
    taken = scores.argmax(1)
    return np.array([np.mean(taken[images.label == k] == k) for k in range(len(CLASSES))])


def measure(row: str, splits: Splits, options: argparse.Namespace, fold: int) -> dict[str, np.ndarray]:
    """Train once; return the recalls on fresh patients, and scores and labels of the held-out fold."""
    chosen = training_set(row, splits, options.share, options.bracket, fold)
    budget = Budget(length=options.steps, batch_size=32)
    with tempfile.TemporaryDirectory() as scratch:
        setting = TrainingConfig(RECIPE, budget, "none", fold, "cpu", "bfloat16", Path(scratch))
        trained = train(splits.train, chosen, splits.val, setting)
    normal = normalization(splits.train.image)
    held = splits.more_tests["test_paper"]
    return {
        "test": recalls(predict(trained.network, splits.test, setting, normal), splits.test),
        "held": predict(trained.network, held, setting, normal).argmax(1),
        "label": held.label,
    }


def main() -> None:
    """Draw the cohort, train the rows, and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--bracket", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0, help="seed of the phantoms and of the folds")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    images = cohort(options.size, options.bracket, options.seed)
    print(f"drawn: {len(images)} images, {time.process_time() - start:.0f} CPU seconds")
    folds = {f: divide(images, f, options.seed) for f in options.folds}
    print(f"{'row':13} {'fresh':>6} {'folds':>6}   recall of {', '.join(CLASSES)}")
    balanced: dict[str, np.ndarray] = {}
    for row in options.rows:
        runs = [measure(row, splits, options, fold) for fold, splits in folds.items()]
        table = np.array([r["test"] for r in runs])
        balanced[row] = table.mean(1)
        held, label = (np.concatenate([r[k] for r in runs]) for k in ("held", "label"))
        of_folds = np.array([np.mean(held[label == k] == k) for k in range(len(CLASSES))])
        listed, pooled = (" ".join(f"{v:.2f}" for v in values) for values in (table.mean(0), of_folds))
        print(
            f"{row:13} {table.mean():6.3f} {of_folds.mean():6.3f}   {listed}   (folds: {pooled})", flush=True
        )
    for row in options.rows[1:]:
        gain = balanced[row] - balanced[options.rows[0]]
        print(f"{row} - {options.rows[0]}: {gain.mean():+.3f} (deviation over folds {gain.std():.3f})")
    print(f"all: {time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
