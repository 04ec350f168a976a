"""Average change from the baseline over all brackets, in the shape of Schaudt et al. 2023, Table 8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.reporting.tables.accuracy_by_bracket import shown_metrics
from benchmark.reporting.tables.record import Cell, Column, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run, with_images

NAME, OVERALL, MEAN = "change_by_classifier", "Overall", "mean"


@dataclass(frozen=True)
class Changes:
    """Average changes, in the unit of what they were computed from.

    Attributes:
        cells: by generator and classifier, over its brackets.
        overall: by generator, over its brackets and all classifiers.
        mean: by classifier, over all pairs of generator and bracket, so that a generator with more
            brackets weighs more, as in the paper.
    """

    cells: Mapping[tuple[str, str], float]
    overall: Mapping[str, float]
    mean: Mapping[str, float]


def average_changes(
    baseline: Mapping[str, float], values: Mapping[tuple[str, int], Mapping[str, float]]
) -> Changes:
    """The arithmetic from Schaudt's Table 7 to Table 8.

    Args:
        baseline: by classifier.
        values: by generator and bracket, then by classifier.
    Source: Schaudt et al. 2023, Table 8; that ``mean`` weighs every line of Table 7 alike is what its
        printed figures say.
    """
    changes = {k: {c: v - baseline[c] for c, v in each.items()} for k, each in values.items()}
    by_generator: dict[str, list[dict[str, float]]] = {}
    for (generator, _), change in changes.items():
        by_generator.setdefault(generator, []).append(change)
    cells = {(g, c): _mean([ch[c] for ch in each]) for g, each in by_generator.items() for c in baseline}
    return Changes(
        cells=cells,
        overall={g: _mean([cells[g, c] for c in baseline]) for g in by_generator},
        mean={c: _mean([change[c] for change in changes.values()]) for c in baseline},
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


def _table(run: Run, metric: Mapping[str, Any]) -> Table:
    values, baseline = _values(run, metric["name"])
    generators = {k: v for k, v in values.items() if run.manifests[k[0]].row.role == "generator"}
    every, inside = average_changes(baseline, values), average_changes(baseline, generators or values)
    known = {
        (r["row"], r["classifier"]): r for r in run.breakdown["changes"] if r["metric"] == metric["name"]
    }
    classifiers = run.head.classifiers
    heads = (*classifiers, *([OVERALL] if len(classifiers) > 1 else []))
    rows = [r for r in run.rows() if any(r == row for row, _ in values)]
    cells: dict[tuple[tuple[str, ...], tuple[str, ...]], Cell] = {}
    for row in rows:
        for c in classifiers:
            cells[(row,), (c,)] = _cell(every.cells[row, c], known.get((row, c)), run.alpha)
        cells[(row,), (OVERALL,)] = _cell(every.overall[row], known.get((row, None)), run.alpha)
    if generators:
        for c in classifiers:
            cells[(MEAN,), (c,)] = _cell(inside.mean[c], known.get((None, c)), run.alpha)
    compared = sum(1 for r in known.values() if r.get("p_adjusted") is not None)
    settings = run.comparison["settings"]
    return Table(
        name=f"{metric['name']}_change",
        title=f"Average change of {metric['noun']}",
        caption=f"Average change of {metric['noun']} from real_only over all brackets, in points, with "
        f"intervals over patients and trainings. Bold: p below {settings['alpha']} after "
        f"{settings['correction']} over the {compared} differences of a row and a classifier; Overall and "
        f"mean are not tested. The mean is over every generator and bracket. After Schaudt et al. 2023, "
        f"Table 8. {run.sentence()}",
        row_heads=("Row",),
        column_heads=("Classifier",),
        rows=tuple((r,) for r in (*rows, *([MEAN] if generators else []))),
        columns=tuple(Column((c,), "points") for c in heads),
        cells=cells,
    )


def _values(run: Run, metric: str) -> tuple[dict[tuple[str, int], dict[str, float]], dict[str, float]]:
    """What ``average_changes`` takes: by row and bracket, and of the baseline."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for record in run.breakdown["classifiers"]:
        if record["metric"] == metric:
            cell = found.setdefault((record["row"], record["bracket"]), {})
            cell[record["classifier"]] = record["estimate"]
    baseline = found[BASELINE, 0]
    return {k: v for k, v in found.items() if k[1]}, baseline


def _cell(value: float, record: Mapping[str, Any] | None, alpha: float) -> Cell:
    if record is None:
        return Cell(value)
    versus = {"p_adjusted": record.get("p_adjusted")}
    return figure_cell({**record, "estimate": value, "versus": versus}, alpha)
