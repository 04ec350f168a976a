"""Calibrate a packaged task: real_only, duplicate_real and oracle by its classifier.

    python perf/calibrate_tasks.py chexpert_imbalance --seeds 0 1 2
    python perf/calibrate_tasks.py chexpert_imbalance --scenario "label.finding=Pleural Effusion"

Trains the first classifier of a profile on the packaged data, without generators and without the store.
Prints the figures of every test split, the mean over the seeds and the differences to real_only with
their deviation over the seeds; of several classes also the AUROC of each.
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
from benchmark.classifiers.metrics import metric_values
from benchmark.classifiers.predict import normalization
from benchmark.classifiers.sampling import training_images
from benchmark.classifiers.train import predict, train
from benchmark.images.image_set import ImageSet, Splits
from benchmark.planning.resolve import choices
from benchmark.plugins.generator import alternate, positions
from benchmark.plugins.registry import find
from benchmark.protocol import load as loading
from benchmark.protocol import scenario
from benchmark.protocol.mixing import added_counts
from benchmark.tasks.loading import load_task
from benchmark.tasks.schema import Task
from benchmark.utils.draws import spread


def load(task: Task, profile_name: str, seed: int) -> Splits:
    """The splits of a task's packaged data, with its rules, pictures in memory."""
    profile, source = task.profile(profile_name), task.default_source
    module = find("sources", [source])[0].load()
    rules = task.steps(profile_name, source)
    splits = loading.load(
        module,
        module.Params(**{**task.source(source).params, **profile.data.get(source, {})}),
        classes=task.classes,
        image_size=profile.image_size,
        split=task.source(source).split,
        reserve_per_class=profile.reserve or max(profile.brackets),
        seed=seed,
        before=scenario.before_split(rules),
        on_train=scenario.on_train(rules, seed=seed),
    )
    return Splits(
        train=drawn(splits.train),
        val=drawn(splits.val),
        test=drawn(splits.test),
        reserve=drawn(splits.reserve),
        more_tests={name: drawn(images) for name, images in splits.more_tests.items()},
        notes=splits.notes,
    )


def drawn(images: ImageSet) -> ImageSet:
    """The same images, read once, without masks and sentences."""
    return replace(images, image=np.asarray(images.image[:]), mask=None, prompt=None, box=None)


def handed_out(kept: ImageSet, counts: dict[str, int]) -> ImageSet:
    """Real images by class, each as equally often as possible, as the controls hand them out."""
    one = kept.to_single_label()
    label = alternate(counts, kept.classes)
    rows, number = np.empty(len(label), np.int64), positions(label)
    for k in np.unique(label):
        members = np.flatnonzero(one.label == k)
        rows[label == k] = members[spread(len(members), number[label == k], [7, int(k)])]
    ids = np.array([f"added-{i}" for i in range(len(rows))])
    known = None if one.reported_labels is None else one.reported_labels[rows]
    return ImageSet(
        one.image[rows], one.label[rows], one.classes, ids, ids, one.origin[rows], reported_labels=known
    )


def measure(
    task: Task, splits: Splits, added: ImageSet | None, seed: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Train once and read every test split."""
    profile = task.profile(options.profile)
    budget = profile.budget.model_copy(update={"length": options.steps} if options.steps else {})
    bracket = profile.primary_bracket if added is not None else 0
    images = training_images(splits, added, task.mix, bracket, task.classes)
    with tempfile.TemporaryDirectory() as scratch:
        setting = TrainingConfig(
            profile.classifiers[0], budget, "none", seed, "cpu", options.precision, Path(scratch),
            metric=task.primary_metric.name, predicted=len(task.classes),
        )  # fmt: skip
        trained = train(images.real, images.train, images.val, setting)
    normal = normalization(images.real.image)
    return {n: figures(t, predict(trained.network, t, setting, normal)) for n, t in splits.tests.items()}


def figures(test: ImageSet, scores: np.ndarray) -> dict[str, float]:
    """Every figure of one split, and the AUROC (single label: recall too) of every class."""
    found = metric_values(test.label, scores)
    if len(test.classes) == 2:
        found["positive"] = float((scores.argmax(1) == 1).mean())
        return found
    truth = test.label if test.multilabel else np.eye(len(test.classes), dtype=np.int64)[test.label]
    for k, name in enumerate(test.classes):
        both = np.stack([1 - scores[:, k], scores[:, k]], 1)
        found[name] = metric_values(truth[:, k].astype(np.int64), both).get("auroc", np.nan)
    return found


def main() -> None:
    """Parse, load, train the rows, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--scenario", default="")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--rows", nargs="+", default=["real_only", "duplicate_real", "oracle"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    task, start = load_task(options.task).variant(choices(options.scenario)), time.process_time()
    splits = load(task, options.profile, seed=0)
    print(f"data: {time.process_time() - start:.0f} CPU seconds")
    for name, images in splits.named().items():
        print(f"  {name}: {len(images)} images, {images.counts()}")
    bracket = task.profile(options.profile).primary_bracket
    counts = added_counts(splits.train, task.mix, bracket, task.classes)
    pools = {
        "real_only": None,
        "duplicate_real": handed_out(splits.train, counts),
        "oracle": handed_out(splits.reserve, counts),
    }
    first: list[dict[str, dict[str, float]]] = []
    for row in options.rows:
        runs = [measure(task, splits, pools[row], seed, options) for seed in options.seeds]
        first = first or runs
        for split in splits.tests:
            listed = " ".join(f"{k}={_mean(runs, split, k):.3f}" for k in runs[0][split])
            print(f"{row:15} {split:10} {listed}")
        metric = task.primary_metric.name
        gain = [r["test"][metric] - f["test"][metric] for r, f in zip(runs, first, strict=True)]
        change = f"{np.mean(gain):+.3f} (deviation over seeds {np.std(gain):.3f})"
        print(f"{row:15} minus {options.rows[0]}: {change}", flush=True)
    print(f"all: {time.process_time() - start:.0f} CPU seconds")


def _mean(runs: list[dict[str, dict[str, float]]], split: str, metric: str) -> float:
    return float(np.mean([r[split][metric] for r in runs]))


if __name__ == "__main__":
    main()
