"""From a folder of synthetic images to a row of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.engine.store import store_root
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet
from benchmark.intake import samples as intake
from benchmark.planning.plan import Plan, Row
from benchmark.planning.resolve import generator_row
from benchmark.plugins.registry import Plugin
from benchmark.submissions.export import Prepared, prepare, wanted
from benchmark.tasks.schema import GeneratorEntry

SUBMITTED = Plugin("generators", "submitted", "builtin", "benchmark.generators._submitted_samples")


def sample_row(plan: Plan, source: Path, workers: int | None = None) -> tuple[Row, list[str]]:
    """The row of images that were made elsewhere, after all that can be checked before training on them.

    The images are kept in the store; the row's one parameter is the hash of their content.

    Args:
        plan: of a run, with its controls; its data are computed here if they are not in the store.
        source: a folder, or a Parquet file.
        workers: processes; None for one per core.
    Returns:
        The row, and notes for people.
    Raises:
        SubmissionError: a picture is refused, a class has too few, or one shows a test or reserve image.
    """
    task, prepared = plan.task, prepare(plan, workers)
    counts = wanted(plan, prepared)
    listed = intake.listed(source, task.classes, len(prepared), multilabel=task.labels == "multilabel")
    used, notes = intake.chosen(listed, counts, task.classes)
    kept = intake.keep(
        used,
        task.classes,
        folds=len(prepared),
        size=plan.profile.image_size,
        fit="pad" if plan.source_params.get("fit") == "pad" else "stretch",
        store=store_root(),
    )
    for fold, (images, data) in enumerate(zip(kept.folds, prepared, strict=True)):
        _refuse_leaks(images, [s.where for s in used if s.fold == fold], data)
    notes += _repeats(kept)
    row = generator_row(SUBMITTED, GeneratorEntry(), {"content": kept.content})
    about = f"{len(kept)} images that were made elsewhere; no code of the submission was run."
    said = " ".join([about, *(f"{note}." for note in notes)])
    return replace(row, card={**row.card, "description": said}), notes


def _refuse_leaks(images: ImageSet, where: Sequence[str], data: Prepared) -> None:
    """No sample may show a real image that generators must not see."""
    splits = arrow.read_splits(data.folder)
    for name, real in {**splits.tests, "reserve": splits.reserve}.items():
        if len(real) and len(images):
            intake.refuse_copies(images, where, real, name, splits.train)


def _repeats(kept: intake.Kept) -> list[str]:
    """A note on samples that show the same; what one fold is given may come again in another."""
    found = [intake.repeats(images) for images in kept.folds if len(images)]
    exact, near = sum(f["exact"] for f in found), sum(f["near"] for f in found)
    if not exact + near:
        return []
    return [f"Of {len(kept)} images {exact} are exact and {near} near copies of others among them"]
