"""Turn a folder of synthetic images into a row of a run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.engine.store import store_root
from benchmark.images import arrow
from benchmark.images.gray_levels import note_few_levels
from benchmark.images.image_set import ImageSet
from benchmark.intake import samples as intake
from benchmark.intake.copies import count_copies, hidden_images, validate_no_copies
from benchmark.planning.plan import Plan, Row
from benchmark.planning.rows import generator_row
from benchmark.plugins.registry import Plugin
from benchmark.submissions.export import FoldData, prepare, required_counts
from benchmark.tasks.profile import GeneratorEntry

SUBMITTED = Plugin("generators", "submitted", "builtin", "benchmark.generators._submitted_samples")


def sample_row(plan: Plan, source: Path, workers: int | None = None) -> tuple[Row, list[str]]:
    """Validate and store images that were generated elsewhere, and make their row.

    The hash of their content is the row's only parameter.

    Args:
        plan: of a run with its controls; its data are computed unless they are in the store.
        source: a folder, or a Parquet file.
        workers: processes; None for one per core.
    Returns:
        The row, and notes for the user.
    Raises:
        SubmissionError: a picture is refused, a class has too few, or one shows a test or reserve image.
    """
    task, folds = plan.task, prepare(plan, workers)
    listed = intake.list_samples(source, task.classes, len(folds), multilabel=task.labels == "multilabel")
    used, notes = intake.select_samples(listed, required_counts(plan, folds), task.classes)
    notes += intake.color_note(used)
    stored = intake.store_samples(
        used,
        task.classes,
        folds=len(folds),
        size=plan.profile.image_size,
        fit="pad" if plan.source_params.get("fit") == "pad" else "stretch",
        store=store_root(),
    )
    for fold, (images, data) in enumerate(zip(stored.folds, folds, strict=True)):
        _validate_no_leaks(images, [s.where for s in used if s.fold == fold], data)
    copies = [count_copies(images) for images in stored.folds if len(images)]
    exact, near = (sum(counts[k] for counts in copies) for k in (0, 1))
    if exact + near:
        notes.append(f"Of {len(stored)} images {exact} are exact and {near} near copies of others among them")
    notes += note_few_levels(stored.folds)
    row = generator_row(SUBMITTED, GeneratorEntry(), {"content": stored.content})
    about = f"{len(stored)} images generated elsewhere; no code of the submission was run."
    description = " ".join([about, *(f"{note}." for note in notes)])
    return replace(row, card={**row.card, "description": description}), notes


def _validate_no_leaks(images: ImageSet, where: Sequence[str], data: FoldData) -> None:
    """Refuse samples that show a real image hidden from generators."""
    splits = arrow.read_splits(data.folder)
    if len(images):
        hidden = hidden_images({**splits.tests, "reserve": splits.reserve}, splits.train)
        validate_no_copies(images, where, hidden)
