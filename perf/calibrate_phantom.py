"""Calibrate the phantom chest task: real_only, duplicate_real and oracle by the demo's classifier.

    python perf/calibrate_phantom.py --size 32 --seeds 0 1 2

Prints balanced accuracy on ``test``, accuracy on ``test_paper`` and the recall of every class, per row
the mean over the seeds; the last lines are the differences to real_only and their deviation over seeds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.predict import normalization
from benchmark.classifiers.sampling import training_images
from benchmark.classifiers.train import predict, train
from benchmark.datasets.phantom import chest
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import ImageSet, Splits
from benchmark.protocol import load as loading
from benchmark.tasks.loading import load_task
from benchmark.tasks.rules import Mix
from benchmark.tasks.schema import SplitRule

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")


def copies(train_set: ImageSet, per_class: int) -> ImageSet:
    """Training images sampled with replacement, the same count per class."""
    rng = np.random.default_rng(7)
    rows = [
        rng.choice(np.flatnonzero(train_set.label == k), per_class) for k in range(len(train_set.classes))
    ]
    drawn = np.concatenate(rows)
    ids = np.array([f"copy-{i}" for i in range(len(drawn))])
    origin = train_set.origin[drawn]
    return ImageSet(train_set.image[drawn], train_set.label[drawn], train_set.classes, ids, ids, origin)


def bare(images: ImageSet) -> ImageSet:
    """The columns that a classifier reads."""
    return ImageSet(
        images.image, images.label, images.classes, images.image_id, images.patient_id, images.origin
    )


def confusion(scores: np.ndarray, images: ImageSet) -> np.ndarray:
    """(K, K) confusion matrix: share of each class (row) classified as each class (column)."""
    taken = np.eye(len(images.classes))[scores.argmax(1)]
    return np.array([taken[images.label == k].mean(0) for k in range(len(images.classes))])


def measure(
    splits: Splits, added: ImageSet | None, bracket: int, seed: int, steps: int
) -> dict[str, np.ndarray]:
    """Train once and score both test splits."""
    demo = load_task("cxr_pneumonia").profiles["demo"]
    budget = demo.budget.model_copy(update={"length": steps})
    with tempfile.TemporaryDirectory() as scratch:
        setting = TrainingConfig(demo.classifiers[0], budget, "none", seed, "cpu", "bfloat16", Path(scratch))
        plain = replace(splits, train=bare(splits.train))
        images = training_images(plain, added, Mix(), bracket, CLASSES).train
        trained = train(splits.train, images, splits.val, setting)
    normal = normalization(splits.train.image)
    assert "test_paper" in splits.more_tests
    paper = predict(trained.network, splits.more_tests["test_paper"], setting, normal)
    return {
        "confusion": confusion(predict(trained.network, splits.test, setting, normal), splits.test),
        "paper": np.mean(paper.argmax(1) == splits.more_tests["test_paper"].label, keepdims=True),
        "paper_confusion": confusion(paper, splits.more_tests["test_paper"]),
    }


def main() -> None:
    """Parse, load, train the rows, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--bracket", type=int, default=250)
    parser.add_argument("--rows", nargs="+", default=["real_only", "duplicate_real", "oracle"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    splits = loading.load(
        chest,
        chest.Params(),
        classes=CLASSES,
        image_size=options.size,
        split=SplitRule(val=0.15),
        reserve_per_class=options.bracket,
        seed=0,
    )
    prove_disjoint(splits)
    print(f"load: {time.process_time() - start:.1f} CPU seconds")
    pools = {
        "real_only": None,
        "duplicate_real": copies(splits.train, options.bracket),
        "oracle": bare(splits.reserve),
    }
    print(f"{'row':15} {'bal.acc.':>8} {'paper':>7}   recall of {', '.join(CLASSES)}")
    balanced: dict[str, np.ndarray] = {}
    for row in options.rows:
        pool = pools[row]
        runs = [
            measure(splits, pool, options.bracket if pool else 0, seed, options.steps)
            for seed in options.seeds
        ]
        table = np.mean([r["confusion"] for r in runs], axis=0)
        balanced[row] = np.array([np.diag(r["confusion"]).mean() for r in runs])
        paper = np.mean([r["paper"] for r in runs])
        listed = " ".join(f"{v:.2f}" for v in np.diag(table))
        of_paper = " ".join(
            f"{v:.2f}" for v in np.diag(np.mean([r["paper_confusion"] for r in runs], axis=0))
        )
        print(f"{row:15} {balanced[row].mean():8.3f} {paper:7.3f}   {listed}   (paper-sized: {of_paper})")
        print(np.array2string(table, precision=2, suppress_small=True, prefix=" " * 15), flush=True)
    for row in options.rows[1:]:
        gain = balanced[row] - balanced[options.rows[0]]
        print(f"{row} - {options.rows[0]}: {gain.mean():+.3f} (deviation over seeds {gain.std():.3f})")
    print(f"all: {time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
