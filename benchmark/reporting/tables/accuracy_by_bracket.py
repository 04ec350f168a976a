"""A metric by bracket, row and classifier, in the shape of Schaudt et al. 2023, Table 7."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.tables.record import Cell, Column, Key, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run, bracket_title, metric_form

SIGNIFICANT = (
    "Bold: differs from real_only by the paired interval over patients and trainings, p below {alpha} after "
    "{correction} over all {compared} differences of this table."
)
SPREAD = "Mean ± sample standard deviation (n − 1) over the trainings; the paper divides by n."


def tables(run: Run) -> list[Table]:
    """One table for the primary metric, and one for accuracy where the task has it."""
    return [_table(run, metric) for metric in shown_metrics(run)]


def shown_metrics(run: Run) -> list[Mapping[str, Any]]:
    """The primary metric, and accuracy, which is the paper's."""
    return [run.metrics[0], *[m for m in run.metrics[1:] if m["name"] == "accuracy"]]


def significance(run: Run, compared: int) -> str:
    """The sentence that says what bold means."""
    settings = run.comparison["settings"]
    return SIGNIFICANT.format(alpha=settings["alpha"], correction=settings["correction"], compared=compared)


def _table(run: Run, metric: Mapping[str, Any]) -> Table:
    found: dict[tuple[int, str], dict[str, Cell]] = {}
    for record in run.breakdown["classifiers"]:
        if record["metric"] == metric["name"]:
            cells = found.setdefault((record["bracket"], record["row"]), {})
            cells[record["classifier"]] = figure_cell(record, run.alpha)
    order = sorted(found, key=lambda k: (k[0], run.place(k[1]), k[1]))
    rows: dict[tuple[int, str], Key] = {k: (bracket_title(k[0]), k[1]) for k in order}
    columns = tuple(Column((c,), metric_form(metric)) for c in run.head.classifiers)
    compared = sum(c.p_adjusted is not None for cells in found.values() for c in cells.values())
    baseline = (
        "" if BASELINE in run.primary else " There is no finished row real_only, so nothing is compared."
    )
    percent = " in percent" if metric["percent"] else ""
    return Table(
        name=f"{metric['name']}_by_bracket",
        title=f"{metric['title']} by bracket",
        caption=f"{metric['title']}{percent} of classifiers trained with added images, a bracket at a time. "
        f"{SPREAD} {significance(run, compared)}{baseline} After Schaudt et al. 2023, Table 7. "
        f"{run.sentence()}",
        row_heads=("Added", "Row"),
        column_heads=("Classifier",),
        rows=tuple(rows.values()),
        columns=columns,
        cells={(rows[k], (c,)): cell for k, cells in found.items() for c, cell in cells.items()},
    )
