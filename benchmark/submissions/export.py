"""``data export``: write the images that a generator may learn from as files, to fit it outside the suite."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.engine.runner import execute
from benchmark.engine.store import Store, store_root
from benchmark.experiments.progress import Progress
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Learning
from benchmark.planning.graph import build, data_nodes
from benchmark.planning.plan import Plan
from benchmark.planning.resolve import make_plan
from benchmark.stages import run as run_stage
from benchmark.stages.sample import drawn_counts
from benchmark.stages.select import learning_images
from benchmark.submissions.request import ExportRequest
from benchmark.utils.commands import command
from benchmark.utils.files import atomic_folder, disk_errors
from benchmark.utils.hashing import sha256_file
from benchmark.utils.outputs import require_new_folder
from benchmark.utils.processes import worker_count

MANIFEST, README = "manifest.csv", "README.txt"
STAGES = {"data", "pseudo_label", "select"}  # those that decide what generators learn from
README_TEXT = """\
Training images of task {task}, profile {profile}, source {source}.

{place}train/<class>/*.png: training images of a generator, {size} x {size} pixels, 8-bit gray
{place}val/<class>/*.png: for choosing a checkpoint or parameters; do not train on them
{manifest}: class, patient, split, fold and SHA-256 of every file

Test and reserve images are not included; samples that copy one of them are refused.
The real images keep their license and terms of use.
{notes}
Submit {place}<class>/*.png (PNG or JPEG, {size} x {size} pixels, gray), this many of each class:
{counts}

Write submission.yaml (docs/submit.md) and run
{command}
"""
LABELS_NOTE = """\
An image may have several labels: it lies in the folder of its rarest, and the table
gives all of them in the columns label:<class>.
"""
FOLDS_NOTE = """\
Fit your generator once for each of the {folds} folds, only on that fold's train/: the test
patients of a fold are training patients of the others.
"""


@dataclass(frozen=True)
class FoldData:
    """One fold's data in the store.

    Attributes:
        folder: of the splits.
        select: of the selected training images, where the task selects some for generators.
    """

    folder: Path
    select: Path | None

    def learning(self, classes: tuple[str, ...]) -> Learning:
        """Return the images that generators see."""
        return learning_images(self.folder, self.select, classes)


def prepare(plan: Plan, workers: int | None) -> list[FoldData]:
    """Compute the data of every fold, or read them from the store.

    Raises:
        BenchmarkError: a stage failed.
    """
    nodes = build(plan).until(STAGES)
    count = worker_count(plan.device, workers)
    with closing(Progress(nodes, count)) as progress:
        outcome = execute(
            nodes, Store(store_root()), run_stage, workers=count, observer=progress, essential=lambda _: True
        )
    data, select = (
        [outcome.results[n.id].folder for n in chosen] for chosen in (data_nodes(nodes), nodes.find("select"))
    )
    return [FoldData(d, select[k] if select else None) for k, d in enumerate(data)]


def required_counts(plan: Plan, folds: Sequence[FoldData]) -> list[dict[str, int]]:
    """Return the number of synthetic images by class that the largest bracket takes, for every fold."""
    classes, bracket = plan.task.classes, max(plan.profile.brackets)
    return [
        drawn_counts(
            arrow.read_learning(f.folder, reserve=False).train.only(classes), plan.task.mix, bracket, classes
        )
        for f in folds
    ]


def export(options: ExportRequest) -> int:
    """Write the training images of a task, and instructions for submitting samples."""
    out: Path = options.out or Path("outputs") / f"{Path(options.task).stem}-{options.profile}-training"
    require_new_folder(out)
    request = options.run_request(generators=())
    plan = make_plan(request, stages=STAGES)
    folds = prepare(plan, options.workers)
    readme = _readme(plan, required_counts(plan, folds), options)
    with disk_errors(out), atomic_folder(out) as part:
        (part / README).write_text(readme, encoding="utf-8")
        write(part, [fold.learning(plan.task.classes) for fold in folds])
    print(f"{out}: see {out / README}")
    return 0


def write(out: Path, folds: Sequence[Learning]) -> None:
    """Write the images that generators see in every fold, and their table."""
    import pandas as pd

    records = [
        record
        for fold, learning in enumerate(folds)
        for split, images in (("train", learning.train), ("val", learning.val))
        for record in _write_split(out, split, images, fold, folds=len(folds))
    ]
    pd.DataFrame(records).to_csv(out / MANIFEST, index=False, lineterminator="\n")


def _write_split(
    out: Path, split: str, images: ImageSet, fold: int, *, folds: int
) -> Iterator[dict[str, Any]]:
    """Write one PNG per image, and yield its record for the table."""
    from PIL import Image

    for k, pixels in enumerate(images.image):
        name = images.classes[images.label[k]]
        path = Path(f"fold_{fold}" if folds > 1 else "", split, name, f"{split}-{k:06d}.png")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(out / path)
        labels = (
            []
            if images.reported_labels is None
            else list(zip(images.classes, images.reported_labels[k], strict=True))
        )
        yield {
            "image": path.as_posix(),
            "class": name,
            "patient": images.patient_id[k],
            "split": split,
            "fold": fold,
            "sha256": sha256_file(out / path),
            "origin": images.origin[k],
            "license": "" if images.license is None else images.license[k] or "",
            **{f"label:{c}": int(v) for c, v in labels},
        }


def _readme(plan: Plan, counts: Sequence[Mapping[str, int]], request: ExportRequest) -> str:
    """Describe the folder and the samples to submit; ``counts`` are the images by class of every fold."""
    folds = len(counts)
    notes = ["" if plan.task.labels == "single" else LABELS_NOTE, FOLDS_NOTE.format(folds=folds)]
    root = Path("FOLDER") if request.root else None
    own = replace(request, root=root, device="auto", precision="auto")  # those of another machine
    hand_in = command("submit", "--samples", "FOLDER", "--card", "submission.yaml", *own.words())
    return README_TEXT.format(
        task=plan.task.name,
        profile=plan.profile_name,
        source=plan.source,
        place="fold_<k>/" if folds > 1 else "",
        size=plan.profile.image_size,
        manifest=MANIFEST,
        notes="".join(notes if folds > 1 else notes[:1]),
        counts="\n".join(
            f"  {f'fold {fold}: ' if folds > 1 else ''}{name}: {n}"
            for fold, by_class in enumerate(counts)
            for name, n in by_class.items()
            if n
        ),
        command=hand_in,
    )
