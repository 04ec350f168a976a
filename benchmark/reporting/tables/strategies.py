"""Rows by strategy and other choices of the task, in the shape of Lan 2023, Tables 8 to 12 and 15."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import BASELINE, Run, metric_form
from benchmark.utils.formatting import listed

NAME, BY_FINDING = "strategies", "choices_by_finding"
ORDER = ("accuracy", "balanced_accuracy", "f1", "macro_f1", "auroc", "cohen_kappa")  # Lan's, and ours between
OF_FINDING = ("f1", "auroc")  # the columns of Tables 8 to 10
FINDING = ".finding"


def tables(runs: Sequence[Run]) -> list[Table | LeftOut]:
    """The rows of every run with all metrics; and, where findings vary, the choices beside each other."""
    return [_strategies(runs), _by_finding(runs)]


def _strategies(runs: Sequence[Run]) -> Table:
    fields, metrics = list(runs[0].variant), _metrics(runs)
    multilabel = _several(runs)
    rows: list[Key] = []
    cells: dict[tuple[Key, Key], Cell] = {}
    for run in runs:
        for record in _records(run, {m["name"] for m in metrics}):
            variant = tuple(run.variant[f] for f in fields)
            key: Key = (*variant, record["row"], *((record["classifier"],) if multilabel else ()))
            if key not in rows:
                rows.append(key)
            title = next(m["title"] for m in metrics if m["name"] == record["metric"])
            cells[key, (title,)] = figure_cell(record, run.alpha)
    varied = f" The runs differ in {listed(fields)}." if fields else ""
    settings = runs[0].comparison["settings"]
    return Table(
        name=NAME,
        title="Rows and strategies",
        caption="Figures of every row at its run's primary bracket, mean ± sample standard deviation (n − 1) "
        f"over the trainings.{varied} Bold: differs from real_only of the same run by the paired interval "
        f"over patients and trainings, p below {settings['alpha']} after {settings['correction']} over the "
        "run's differences in that metric (rows, brackets, classifiers). After Lan 2023, Tables 8 to 12 and "
        f"15. {_sentence(runs)}",
        row_heads=(*fields, "Row", *(("Classifier",) if multilabel else ())),
        column_heads=("",),
        rows=tuple(rows),
        columns=tuple(Column((m["title"],), metric_form(m)) for m in metrics),
        cells=cells,
    )


def _by_finding(runs: Sequence[Run]) -> Table | LeftOut:
    field = next((f for f in runs[0].variant if f.endswith(FINDING)), None)
    if field is None:
        return LeftOut(BY_FINDING, "the runs do not differ in the finding")
    runs = [run for run in runs if BASELINE in run.primary]
    metrics = [m for m in _metrics(runs) if m["name"] in OF_FINDING]
    fields = [f for f in runs[0].variant if f != field]
    multilabel = _several(runs)
    rows: list[Key] = []
    cells: dict[tuple[Key, Key], Cell] = {}
    for run in runs:
        for record in _records(run, {m["name"] for m in metrics}):
            if record["row"] != BASELINE:
                continue
            key: Key = (*(run.variant[f] for f in fields), *((record["classifier"],) if multilabel else ()))
            key = key or (BASELINE,)
            if key not in rows:
                rows.append(key)
            title = next(m["title"] for m in metrics if m["name"] == record["metric"])
            cells[key, (run.variant[field], title)] = figure_cell(record)
    findings = list(dict.fromkeys(run.variant[field] for run in runs))
    return Table(
        name=BY_FINDING,
        title="Choices by finding",
        caption="F1 and AUROC of real_only, trained without added images, for each finding: mean ± sample "
        f"standard deviation (n − 1) over the trainings. After Lan 2023, Tables 8 to 10. {_sentence(runs)}",
        row_heads=(*fields, *(("Classifier",) if multilabel else ())) or ("Row",),
        column_heads=("Finding", "Metric"),
        rows=tuple(rows),
        columns=tuple(Column((f, m["title"]), metric_form(m)) for f in findings for m in metrics),
        cells=cells,
    )


def _several(runs: Sequence[Run]) -> bool:
    return len({c for run in runs for c in run.head.classifiers}) > 1


def _metrics(runs: Sequence[Run]) -> list[Mapping[str, Any]]:
    """The metrics that all runs have, in the order of Lan's columns."""
    shared = set.intersection(*({m["name"] for m in run.metrics} for run in runs))
    return sorted((m for m in runs[0].metrics if m["name"] in shared), key=lambda m: ORDER.index(m["name"]))


def _records(run: Run, metrics: set[str]) -> Iterator[Mapping[str, Any]]:
    """The records of a run at its primary bracket, row by row."""
    shown = {0, run.head.primary_bracket}
    own = [r for r in run.breakdown["classifiers"] if r["bracket"] in shown and r["metric"] in metrics]
    yield from sorted(own, key=lambda r: (run.place(r["row"]), r["row"], r["classifier"]))


def _sentence(runs: Sequence[Run]) -> str:
    """Of one run its own sentence; of several, what is common to them."""
    if len(runs) == 1:
        return runs[0].sentence()
    first = runs[0].sentence().replace(f" ({runs[0].label})", "")
    return f"{first.removesuffix('.')} (sizes of the first of {len(runs)} runs)."
