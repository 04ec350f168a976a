"""Precision, recall and F1 of each class, in the shape of Schaudt et al. 2023, Table 9."""

from __future__ import annotations

from benchmark.reporting.tables.accuracy_by_bracket import SPREAD
from benchmark.reporting.tables.record import Cell, Column, Key, Table, figure_cell
from benchmark.reporting.tables.run import Run, bracket_title

TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
BEST = " (best)"


def tables(run: Run) -> list[Table]:
    """One table; its classifiers, where there are several, are a level of the rows."""
    multilabel = len(run.head.classifiers) > 1
    records = sorted(
        run.breakdown["classes"],
        key=lambda r: (
            r["classifier"], list(TITLES).index(r["metric"]), run.place(r["row"]), r["row"], r["best"],
            r["bracket"],
        ),
    )  # fmt: skip
    cells: dict[tuple[Key, Key], Cell] = {}
    rows: list[Key] = []
    for record in records:
        bracket = bracket_title(record["bracket"]) + (BEST if record["best"] else "")
        key: Key = (TITLES[record["metric"]], record["row"], bracket)
        key = (record["classifier"], *key) if multilabel else key
        if key not in rows:
            rows.append(key)
        cells[key, (record["class"],)] = figure_cell(record, run.alpha)
    settings = run.comparison["settings"]
    threshold = " A score of 0.5 counts as a finding." if settings["kind"] == "multilabel" else ""
    return [
        Table(
            name="per_class",
            title="Precision, recall and F1 of each class",
            caption=f"Precision, recall and F1 of each class.{threshold} {SPREAD} A row with added images "
            f"stands at the primary bracket, +{run.head.primary_bracket}, which the task names beforehand; "
            "(best) marks the bracket with the highest mean of the primary metric on these test images, so "
            "its figures are optimistic. Bold: differs from real_only by the paired interval over patients "
            f"and trainings, p below {settings['alpha']} after {settings['correction']} over the rows and "
            f"classes of one metric and classifier. After Schaudt et al. 2023, Table 9, which shows the best "
            f"bracket. {run.sentence()}",
            row_heads=(*(("Classifier",) if multilabel else ()), "Metric", "Row", "Added"),
            column_heads=("Class",),
            rows=tuple(rows),
            columns=tuple(Column((c,), "decimal") for c in run.classes),
            cells=cells,
        )
    ]
