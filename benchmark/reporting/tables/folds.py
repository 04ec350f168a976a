"""Figures of a cross-validation, fold by fold, in the shape of Zhang et al. 2023, Table 3."""

from collections.abc import Sequence

from benchmark.comparison.breakdown_records import FoldCell
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import Run, classifier_level

NAME = "folds"
OF_CLASS = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
OF_ROW = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy"}


def tables(run: Run) -> list[Table | LeftOut]:
    """One table per test split."""
    if run.head.folds < 2:
        return [LeftOut(NAME, "the task has no folds")]
    if run.head.labels == "multilabel":
        return [LeftOut(NAME, "an image may have several labels, so there is no accuracy of a fold")]
    return [_table(run, split) for split in sorted(run.comparison.splits)]


def _table(run: Run, split: str) -> Table:
    cells: dict[tuple[Key, Key], Cell] = {}
    for classifier in run.head.classifiers:
        for row in run.rows():
            records = [r for r in run.breakdown.folds[row] if (r.split, r.classifier) == (split, classifier)]
            for label in run.classes:
                key = (*classifier_level([run], classifier), row, label)
                by_title = _cells(records, label, of_row=label == run.classes[0])
                cells.update({(key, (title,)): cell for title, cell in by_title.items()})
    joined = run.comparison.splits[split].joined_folds
    images = "its own held-out images" if joined else f"all images of the split {split}"
    return Table(
        name=NAME if split == "test" else f"{NAME}_{split}",
        title=f"Figures of {run.head.folds} folds" + ("" if split == "test" else f" on {split}"),
        caption=f"Mean ± sample standard deviation (n − 1) over {run.head.folds} folds, each read on "
        f"{images}; a fold's value is the mean over its seeds. Accuracy and balanced accuracy are of the row "
        f"and stand beside its first class. Rows with added images at +{run.head.primary_bracket}. Folds "
        "share training patients, so their spread is no standard error. "
        f"After Zhang et al. 2023, Table 3. {run.sentence()}",
        row_heads=(*classifier_level([run], "Classifier"), "Row", "Class"),
        column_heads=("",),
        columns=tuple(Column((t,), "decimal") for t in (*OF_CLASS.values(), *OF_ROW.values())),
        cells=cells,
        notes=_missing(run, split),
    )


def _cells(records: Sequence[FoldCell], label: str, *, of_row: bool) -> dict[str, Cell]:
    """Return the cells of a class by title; those of the row are empty except beside its first class."""
    cells = {title: Cell(text="") for title in OF_ROW.values()}
    for r in records:
        cell = Cell(r.estimate, std=r.std, n=len(r.values))
        if r.label == label:
            cells[OF_CLASS[r.metric]] = cell
        elif r.label is None and of_row:
            cells[OF_ROW[r.metric]] = cell
    return cells


def _missing(run: Run, split: str) -> tuple[str, ...]:
    """Return a note for each class without test images in some fold."""
    present = {
        r.label: len(r.values)
        for records in run.breakdown.folds.values()
        for r in records
        if r.split == split and r.label and len(r.values) < run.head.folds
    }
    return tuple(
        f"{label} has images in {n} of {run.head.folds} folds; its figures are of these, and balanced "
        "accuracy is of the folds that have every class."
        for label, n in sorted(present.items())
    )
