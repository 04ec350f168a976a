"""AUROC of each finding by training set, in the shape of Segal et al. 2021, Table 2."""

from __future__ import annotations

from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run

NAME, AVERAGE = "auroc_by_finding", "Average"


def tables(run: Run) -> list[Table | LeftOut]:
    """One table."""
    if run.head.labels != "multilabel":
        return [LeftOut(NAME, "an image has one label, so there are no findings to tell apart one by one")]
    rows = run.rows()
    order = [r for r in rows if r != BASELINE] + [r for r in rows if r == BASELINE]
    cells: dict[tuple[Key, Key], Cell] = {}
    for row in order:
        figures = run.primary[row]
        for label in run.classes:
            cells[(label,), (row,)] = figure_cell(figures["per_class"][label]["auroc"])
        cells[(AVERAGE,), (row,)] = figure_cell(figures["auroc"])
    alone = run.head.mix.get("training") == "synthetic"
    how = "on its synthetic images alone, real_only on the real ones" if alone else "with its added images"
    return [
        Table(
            name=NAME,
            title="AUROC of each finding",
            caption=f"AUROC of each finding on the test images, with intervals over patients and trainings; "
            f"a row is trained {how}, at +{run.head.primary_bracket}. After Segal et al. 2021, Table 2. "
            f"{run.sentence()}",
            row_heads=("Finding",),
            column_heads=("Trained on",),
            rows=tuple((label,) for label in (*run.classes, AVERAGE)),
            columns=tuple(Column((r,), "decimal") for r in order),
            cells=cells,
        )
    ]
