"""``data export``: the images that a generator may learn from, as files, for whoever fits one elsewhere."""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.engine.node import needed, without_fold
from benchmark.engine.runner import execute, worker_count
from benchmark.engine.store import Store, store_root
from benchmark.errors import BenchmarkError, StoreError
from benchmark.experiments.progress import Progress
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Learning
from benchmark.planning.graph import build
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import RunRequest, make_plan
from benchmark.stages import drawn_counts, seen_by_generators
from benchmark.stages import run as run_stage
from benchmark.utils.hashing import sha256_file

MANIFEST, README = "manifest.csv", "README.txt"
STAGES = {"data", "pseudo_label", "select"}  # those that decide what generators learn from


@dataclass(frozen=True)
class Prepared:
    """One fold's data in the store.

    Attributes:
        folder: of the splits.
        select: of the training images that generators learn from, where the task selects some.
    """

    folder: Path
    select: Path | None

    def learning(self, classes: Sequence[str]) -> Learning:
        """What generators see."""
        return seen_by_generators(arrow.read_learning(self.folder, reserve=False), self.select, classes)


def prepare(plan: Plan, workers: int | None) -> list[Prepared]:
    """The data of every fold, computed or found in the store.

    Raises:
        BenchmarkError: they cannot be had; says why.
    """
    nodes = needed(build(plan), STAGES)
    count = worker_count(plan.device, workers)
    progress = Progress(nodes, count)
    try:
        outcome = execute(nodes, Store(store_root()), run_stage, workers=count, watcher=progress)
    finally:
        progress.close()
    if outcome.failures:
        raise BenchmarkError("", next(iter(outcome.failures.values())))

    def folders(name: str) -> list[Path]:
        return [outcome.results[n.id].folder for n in nodes if without_fold(n.id) == name]

    data, select = folders("data"), folders("select")
    return [Prepared(d, select[k] if select else None) for k, d in enumerate(data)]


def wanted(plan: Plan, prepared: Sequence[Prepared]) -> list[dict[str, int]]:
    """How many synthetic images of each class the largest bracket takes, for every fold."""
    classes, bracket = plan.task.classes, max(plan.profile.brackets)
    return [
        drawn_counts(
            arrow.read_learning(p.folder, reserve=False).train.only(classes), plan.task.mix, bracket, classes
        )
        for p in prepared
    ]


def export(options: argparse.Namespace) -> int:
    """``data export``: write the training images of a task, and how to hand in what was made of them."""
    out: Path = options.out or Path("outputs") / f"{Path(options.task).stem}-{options.profile}-training"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(str(out), "is there already, and not empty", "Give an empty folder, or a new one.")
    request = RunRequest(
        task=options.task,
        profile=options.profile,
        source=options.source,
        root=options.root,
        scenario=options.scenario,
        device=options.device,
        precision=options.precision,
        generators=(),
    )
    plan = make_plan(request, stages=STAGES)
    prepared = prepare(plan, options.workers)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        readme = _readme(plan, wanted(plan, prepared), request)
        (part / README).write_text(readme, encoding="utf-8")
        write(part, [p.learning(plan.task.classes) for p in prepared])
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    except OSError as error:
        raise StoreError(
            str(out), error.strerror or str(error), "Give a folder that can be written."
        ) from error
    print(f"{out}: see {out / README}")
    return 0


def write(out: Path, seen: Sequence[Learning]) -> None:
    """Write the pictures and their table.

    Args:
        seen: of every fold, what generators see.
    """
    records = [
        record
        for fold, learning in enumerate(seen)
        for split, images in (("train", learning.train), ("val", learning.val))
        for record in _write_split(out, split, images, fold, folds=len(seen))
    ]
    with open(out / MANIFEST, "w", encoding="utf-8", newline="") as handle:
        table = csv.DictWriter(handle, list(records[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(records)


def _write_split(
    out: Path, split: str, images: ImageSet, fold: int, *, folds: int
) -> Iterator[dict[str, Any]]:
    """One PNG per image; yields what the table says of each."""
    from PIL import Image

    for k, pixels in enumerate(images.image):
        name = images.classes[images.label[k]]
        path = Path(f"fold_{fold}" if folds > 1 else "", split, name, f"{split}-{k:06d}.png")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(out / path)
        yield {
            "image": path.as_posix(),
            "class": name,
            "patient": images.patient_id[k],
            "split": split,
            "fold": fold,
            "sha256": sha256_file(out / path),
            "origin": images.origin[k],
            "license": "" if images.license is None else images.license[k] or "",
            **({} if images.reported_labels is None else _labels(images, k)),
        }


def _labels(images: ImageSet, row: int) -> dict[str, int]:
    """All labels of an image that may have several."""
    assert images.reported_labels is not None
    return {f"label:{c}": int(v) for c, v in zip(images.classes, images.reported_labels[row], strict=True)}


def _readme(plan: Plan, counts: Sequence[Mapping[str, int]], request: RunRequest) -> str:
    """What is in the folder, and what to hand back.

    Args:
        counts: of every fold, the images by class that a submission needs.
    """
    size, folds = plan.profile.image_size, len(counts)
    place = "fold_<k>/" if folds > 1 else ""
    chosen = f" --scenario '{request.scenario}'" if request.scenario else ""
    root = " --root FOLDER" if request.root else ""
    lines = [
        f"Training images of task {plan.task.name}, profile {plan.profile_name}, source {plan.source}.",
        "",
        f"{place}train/<class>/*.png: what a generator learns from, {size} x {size} pixels, 8-bit gray",
        f"{place}val/<class>/*.png: for choosing a checkpoint or parameters, never to be learned from",
        f"{MANIFEST}: class, patient, split, fold and SHA-256 of every file",
        "",
        "Test and reserve images are not here; samples that copy one of them are refused.",
        "The real images keep their own license and terms of use.",
        *_on_labels(plan),
        *_on_folds(folds),
        "",
        f"Hand back {place}<class>/*.png (PNG or JPEG, {size} x {size} pixels, gray), of each class as many:",
        *(line for k, c in enumerate(counts) for line in _needed(f"fold {k}: " if folds > 1 else "", c)),
        "",
        "Write submission.yaml (docs/submit.md) and run",
        f"python -m benchmark submit --samples FOLDER --card submission.yaml --task {request.task} "
        f"--profile {plan.profile_name} --source {plan.source}{root}{chosen}",
    ]
    return "\n".join(lines) + "\n"


def _on_labels(plan: Plan) -> list[str]:
    if plan.task.labels == "single":
        return []
    return [
        "An image may have several labels: it lies in the folder of the rarest that it has, and the table",
        "says all of them in the columns label:<class>.",
    ]


def _on_folds(folds: int) -> list[str]:
    if folds == 1:
        return []
    return [
        f"Fit your generator once for each of the {folds} folds, on that fold's train/ alone: the test",
        "patients of a fold are training patients of the others.",
    ]


def _needed(place: str, counts: Mapping[str, int]) -> list[str]:
    return [f"  {place}{name}: {n}" for name, n in counts.items() if n]
