"""Average change from the baseline over all brackets, in the shape of Schaudt et al. 2023, Table 8."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.comparison.breakdown_records import AverageChange
from benchmark.comparison.records import MetricCard
from benchmark.reporting.tables.accuracy_by_bracket import shown_metrics
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import BASELINE, Run, with_images

NAME, OVERALL, MEAN = "change_by_classifier", "Overall", "mean"


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


def tables(run: Run) -> list[Table | LeftOut]:
    """One table for the primary metric, and one for accuracy where the task has it."""
    if BASELINE not in run.primary:
        return [LeftOut(NAME, "there is no finished row real_only to change from")]
    if not with_images(run.primary):
        return [LeftOut(NAME, "no finished row adds images")]
    return [_table(run, metric) for metric in shown_metrics(run)]


def _table(run: Run, metric: MetricCard) -> Table:
    cells = _cells(run, metric.name)
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


def _cells(run: Run, metric: str) -> dict[tuple[Key, Key], Cell]:
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
            cells[(row,), (c,)] = _cell(every.cells[row, c], known.get((row, c)), run.alpha)
        cells[(row,), (OVERALL,)] = _cell(every.overall[row], known.get((row, None)), run.alpha)
    for c in run.head.classifiers if generators else ():
        cells[(MEAN,), (c,)] = _cell(inside.mean[c], known.get((None, c)), run.alpha)
    return cells


def _cell(value: float, record: AverageChange | None, alpha: float) -> Cell:
    if record is None:
        return Cell(value)
    p = record.p_adjusted
    return Cell(value, low=record.low, high=record.high, p_adjusted=p, bold=p is not None and p < alpha)
