"""A metric by bracket, row and classifier, in the shape of Schaudt et al. 2023, Table 7."""

from benchmark.comparison.records import MetricCard
from benchmark.reporting.tables.record import Column, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run, bracket_title, metric_form

SPREAD = "Mean ± sample standard deviation (n − 1) over the trainings; the paper divides by n."


def tables(run: Run) -> list[Table]:
    """One table for the primary metric, and one for accuracy where the task has it."""
    return [_table(run, metric) for metric in shown_metrics(run)]


def shown_metrics(run: Run) -> list[MetricCard]:
    """Return the primary metric, and accuracy, which is the paper's."""
    return [run.metrics[0], *[m for m in run.metrics[1:] if m.name == "accuracy"]]


def _table(run: Run, metric: MetricCard) -> Table:
    records = sorted(
        (r for r in run.breakdown.classifiers if r.metric == metric.name),
        key=lambda r: (r.bracket, run.place(r.row), r.row),
    )
    compared = sum(r.versus is not None for r in records)
    baseline = (
        "" if BASELINE in run.primary else " There is no finished row real_only, so nothing is compared."
    )
    percent = " in percent" if metric.percent else ""
    return Table(
        name=f"{metric.name}_by_bracket",
        title=f"{metric.title} by bracket",
        caption=f"{metric.title}{percent} of classifiers trained with added images, a bracket at a time. "
        f"{SPREAD} {run.bold(f'all {compared} differences of this table')}{baseline} After Schaudt et al. "
        f"2023, Table 7. {run.sentence()}",
        row_heads=("Added", "Row"),
        column_heads=("Classifier",),
        columns=tuple(Column((c,), metric_form(metric)) for c in run.head.classifiers),
        cells={
            ((bracket_title(r.bracket), r.row), (r.classifier,)): figure_cell(r, run.alpha) for r in records
        },
    )
