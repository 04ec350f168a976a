"""Precision, recall and F1 of each class, in the shape of Schaudt et al. 2023, Table 9."""

from benchmark.reporting.tables.accuracy_by_bracket import SPREAD
from benchmark.reporting.tables.record import Cell, Column, Key, Table, figure_cell
from benchmark.reporting.tables.run import Run, bracket_title, classifier_level

TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
BEST = " (best)"


def tables(run: Run) -> list[Table]:
    """One table; several classifiers are a level of the rows."""
    order = list(TITLES)
    records = sorted(
        run.breakdown.classes,
        key=lambda r: (r.classifier, order.index(r.metric), run.place(r.row), r.row, r.best, r.bracket),
    )
    cells: dict[tuple[Key, Key], Cell] = {}
    for r in records:
        bracket = bracket_title(r.bracket) + (BEST if r.best else "")
        key = (*classifier_level([run], r.classifier), TITLES[r.metric], r.row, bracket)
        cells[key, (r.label,)] = figure_cell(r, run.alpha)
    multilabel = run.comparison.settings.kind == "multilabel"
    threshold = " A score of 0.5 counts as a finding." if multilabel else ""
    return [
        Table(
            name="per_class",
            title="Precision, recall and F1 of each class",
            caption=f"Precision, recall and F1 of each class.{threshold} {SPREAD} A row with added images "
            f"stands at the primary bracket, +{run.head.primary_bracket}, which the task names beforehand; "
            "(best) marks the bracket with the highest mean of the primary metric on these test images, so "
            "its figures are optimistic. "
            f"{run.bold('the rows and classes of one metric and classifier')} After Schaudt et al. 2023, "
            f"Table 9, which shows the best bracket. {run.sentence()}",
            row_heads=(*classifier_level([run], "Classifier"), "Metric", "Row", "Added"),
            column_heads=("Class",),
            columns=tuple(Column((c,), "decimal") for c in run.classes),
            cells=cells,
        )
    ]
