"""AUROC of each finding by training set, in the shape of Segal et al. 2021, Table 2."""

from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run

NAME, AVERAGE = "auroc_by_finding", "Average"


def tables(run: Run) -> list[Table | LeftOut]:
    """One table."""
    if run.head.labels != "multilabel":
        return [LeftOut(NAME, "an image has one label, so there are no separate findings")]
    order = sorted(run.rows(), key=lambda row: row == BASELINE)
    cells: dict[tuple[Key, Key], Cell] = {}
    for label in run.classes:
        cells.update({((label,), (r,)): figure_cell(run.primary[r].per_class[label].auroc) for r in order})
    cells.update({((AVERAGE,), (r,)): figure_cell(run.primary[r].metrics["auroc"]) for r in order})
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
            columns=tuple(Column((r,), "decimal") for r in order),
            cells=cells,
        )
    ]
