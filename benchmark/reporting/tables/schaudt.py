"""Tables in the shapes of Schaudt et al. 2023: Table 7, Table 8 and Table 9."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.comparison.breakdown_records import AverageChange
from benchmark.comparison.records import MetricCard
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import (
    BASELINE,
    Run,
    bracket_title,
    classifier_level,
    metric_form,
    with_images,
)  # fmt: skip

SPREAD = "Mean ± sample standard deviation (n − 1) over the trainings; the paper divides by n."
CHANGE, OVERALL, MEAN = "change_by_classifier", "Overall", "mean"
TITLES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
BEST = " (best)"


def accuracy_by_bracket(run: Run) -> list[Table]:
    """One table for the primary metric, and one for accuracy where the task has it."""
    return [_accuracy_table(run, metric) for metric in shown_metrics(run)]


def shown_metrics(run: Run) -> list[MetricCard]:
    """Return the primary metric, and accuracy, which is the paper's."""
    return [run.metrics[0], *[m for m in run.metrics[1:] if m.name == "accuracy"]]


def _accuracy_table(run: Run, metric: MetricCard) -> Table:
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


@dataclass(frozen=True)
class Changes:
    """Average changes, in the unit of what they were computed from."""

    cells: Mapping[tuple[str, str], float]  # by generator and classifier, over its brackets
    overall: Mapping[str, float]  # by generator, over its brackets and all classifiers
    # by classifier, over all pairs of generator and bracket, so that a generator with more brackets weighs
    # more, as in the paper
    mean: Mapping[str, float]


def average_changes(
    baseline: Mapping[str, float], values: Mapping[tuple[str, int], Mapping[str, float]]
) -> Changes:
    """Compute Schaudt's Table 8 from Table 7.

    Args:
        baseline: by classifier.
        values: by generator and bracket, then by classifier.
    Source: Schaudt et al. 2023, Table 8, whose printed ``mean`` weighs every line of Table 7 alike.
    """
    changes = {k: {c: v - baseline[c] for c, v in each.items()} for k, each in values.items()}
    by_generator: dict[str, list[dict[str, float]]] = {}
    for (generator, _), change in changes.items():
        by_generator.setdefault(generator, []).append(change)
    cells = {(g, c): _mean([ch[c] for ch in each]) for g, each in by_generator.items() for c in baseline}
    return Changes(
        cells=cells,
        overall={g: _mean([cells[g, c] for c in baseline]) for g in by_generator},
        mean={c: _mean([change[c] for change in changes.values()]) for c in baseline} if changes else {},
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def change_by_classifier(run: Run) -> list[Table | LeftOut]:
    """One table for the primary metric, and one for accuracy where the task has it."""
    if BASELINE not in run.primary:
        return [LeftOut(CHANGE, "there is no finished row real_only to change from")]
    if not with_images(run.primary):
        return [LeftOut(CHANGE, "no finished row adds images")]
    return [_change_table(run, metric) for metric in shown_metrics(run)]


def _change_table(run: Run, metric: MetricCard) -> Table:
    cells = _change_cells(run, metric.name)
    tested = [r for r in run.breakdown.changes if r.metric == metric.name and r.p_adjusted is not None]
    settings, classifiers = run.comparison.settings, run.head.classifiers
    heads = (*classifiers, *([OVERALL] if len(classifiers) > 1 else []))
    return Table(
        name=f"{metric.name}_change",
        title=f"Average change of {metric.noun}",
        caption=f"Average change of {metric.noun} from real_only over all brackets, in points, with "
        f"intervals over patients and trainings. Bold: p below {settings.alpha} after "
        f"{settings.correction} over the {len(tested)} differences of a row and a classifier; Overall and "
        f"mean are not tested. The mean is over every generator and bracket. After Schaudt et al. 2023, "
        f"Table 8. {run.sentence()}",
        row_heads=("Row",),
        column_heads=("Classifier",),
        columns=tuple(Column((c,), "points") for c in heads),
        cells=cells,
    )


def _change_cells(run: Run, metric: str) -> dict[tuple[Key, Key], Cell]:
    """Return the cells of the rows in order, and of the mean over the generators."""
    values: dict[tuple[str, int], dict[str, float]] = {}
    for r in run.breakdown.classifiers:
        if r.metric == metric:
            values.setdefault((r.row, r.bracket), {})[r.classifier] = r.estimate
    baseline, values = values[BASELINE, 0], {k: v for k, v in values.items() if k[1]}
    generators = {k: v for k, v in values.items() if run.manifests[k[0]].row.role == "generator"}
    every, inside = average_changes(baseline, values), average_changes(baseline, generators)
    known = {(r.row, r.classifier): r for r in run.breakdown.changes if r.metric == metric}
    cells: dict[tuple[Key, Key], Cell] = {}
    for row in (r for r in run.rows() if r in every.overall):
        for c in run.head.classifiers:
            cells[(row,), (c,)] = _change_cell(every.cells[row, c], known.get((row, c)), run.alpha)
        cells[(row,), (OVERALL,)] = _change_cell(every.overall[row], known.get((row, None)), run.alpha)
    for c in run.head.classifiers if generators else ():
        cells[(MEAN,), (c,)] = _change_cell(inside.mean[c], known.get((None, c)), run.alpha)
    return cells


def _change_cell(value: float, record: AverageChange | None, alpha: float) -> Cell:
    if record is None:
        return Cell(value)
    p = record.p_adjusted
    return Cell(value, low=record.low, high=record.high, p_adjusted=p, bold=p is not None and p < alpha)


def per_class(run: Run) -> list[Table]:
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
