"""Rows by strategy and other choices of the task, in the shape of Lan 2023, Tables 8 to 12 and 15."""

from collections.abc import Iterator, Sequence

from benchmark.comparison.breakdown_records import ClassifierCell
from benchmark.comparison.records import MetricCard
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run, classifier_level, metric_form
from benchmark.utils.formatting import listed

NAME, BY_FINDING = "strategies", "choices_by_finding"
ORDER = ("accuracy", "balanced_accuracy", "f1", "macro_f1", "auroc", "cohen_kappa")  # Lan's, and ours between
OF_FINDING = ("f1", "auroc")  # the columns of Tables 8 to 10
FINDING = ".finding"


def tables(runs: Sequence[Run]) -> list[Table | LeftOut]:
    """One table of all rows and metrics; and, where findings vary, one of the choices by finding."""
    return [_strategies(runs), _by_finding(runs)]


def _strategies(runs: Sequence[Run]) -> Table:
    fields, metrics = list(runs[0].variant), _metrics(runs)
    cells: dict[tuple[Key, Key], Cell] = {}
    for run, metric, r in _records(runs, metrics):
        key = (*(run.variant[f] for f in fields), r.row, *classifier_level(runs, r.classifier))
        cells[key, (metric.title,)] = figure_cell(r, run.alpha)
    varied = f" The runs differ in {listed(fields)}." if fields else ""
    settings = runs[0].comparison.settings
    return Table(
        name=NAME,
        title="Rows and strategies",
        caption="Figures of every row at its run's primary bracket, mean ± sample standard deviation (n − 1) "
        f"over the trainings.{varied} Bold: differs from real_only of the same run by the paired interval "
        f"over patients and trainings, p below {settings.alpha} after {settings.correction} over the "
        "run's differences in that metric (rows, brackets, classifiers). After Lan 2023, Tables 8 to 12 and "
        f"15. {_sentence(runs)}",
        row_heads=(*fields, "Row", *classifier_level(runs, "Classifier")),
        column_heads=("",),
        columns=tuple(Column((m.title,), metric_form(m)) for m in metrics),
        cells=cells,
    )


def _by_finding(runs: Sequence[Run]) -> Table | LeftOut:
    field = next((f for f in runs[0].variant if f.endswith(FINDING)), None)
    if field is None:
        return LeftOut(BY_FINDING, "the runs do not differ in the finding")
    runs = [run for run in runs if BASELINE in run.primary]
    metrics = [m for m in _metrics(runs) if m.name in OF_FINDING]
    fields = [f for f in runs[0].variant if f != field]
    cells: dict[tuple[Key, Key], Cell] = {}
    for run, metric, r in _records(runs, metrics):
        if r.row == BASELINE:
            key = (*(run.variant[f] for f in fields), *classifier_level(runs, r.classifier))
            cells[key or (BASELINE,), (run.variant[field], metric.title)] = figure_cell(r)
    values = list(dict.fromkeys(run.variant[field] for run in runs))
    return Table(
        name=BY_FINDING,
        title="Choices by finding",
        caption="F1 and AUROC of real_only, trained without added images, for each finding: mean ± sample "
        f"standard deviation (n − 1) over the trainings. After Lan 2023, Tables 8 to 10. {_sentence(runs)}",
        row_heads=(*fields, *classifier_level(runs, "Classifier")) or ("Row",),
        column_heads=("Finding", "Metric"),
        columns=tuple(Column((value, m.title), metric_form(m)) for value in values for m in metrics),
        cells=cells,
    )


def _metrics(runs: Sequence[Run]) -> list[MetricCard]:
    """Return the metrics that all runs have, in the order of Lan's columns."""
    shared = set.intersection(*({m.name for m in run.metrics} for run in runs))
    return sorted((m for m in runs[0].metrics if m.name in shared), key=lambda m: ORDER.index(m.name))


def _records(
    runs: Sequence[Run], metrics: Sequence[MetricCard]
) -> Iterator[tuple[Run, MetricCard, ClassifierCell]]:
    """Yield the records of every run at its primary bracket, row by row."""
    by_name = {m.name: m for m in metrics}
    for run in runs:
        brackets = {0, run.head.primary_bracket}
        own = [r for r in run.breakdown.classifiers if r.bracket in brackets and r.metric in by_name]
        for r in sorted(own, key=lambda r: (run.place(r.row), r.row, r.classifier)):
            yield run, by_name[r.metric], r


def _sentence(runs: Sequence[Run]) -> str:
    """Return the sentence of a single run; of several runs, the part common to them."""
    if len(runs) == 1:
        return runs[0].sentence()
    first = runs[0].sentence().replace(f" ({runs[0].label})", "")
    return f"{first.removesuffix('.')} (sizes of the first of {len(runs)} runs)."
