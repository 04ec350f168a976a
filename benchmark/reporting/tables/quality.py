"""All figures of merit with bootstrap intervals, overall, by class and by subgroup."""

from __future__ import annotations

from benchmark.comparison.records import quality_metrics
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import Run, metric_form

OVERALL = "all"


def tables(run: Run) -> list[Table | LeftOut]:
    """Figures of merit of the rows, of their classes and of subgroups."""
    return [_quality(run), _subgroups(run), _quality_of_subgroups(run)]


def _quality(run: Run) -> Table | LeftOut:
    found = run.comparison.get("quality")
    if not found:
        return LeftOut("quality", "the comparison has no bootstrap figures")
    metrics = run.comparison["settings"]["quality_metrics"]
    rows: list[Key] = []
    cells: dict[tuple[Key, Key], Cell] = {}
    for row in (r for r in run.rows() if r in found):
        parts = {
            OVERALL: found[row]["overall"],
            **{c: found[row]["per_class"].get(c, {}) for c in run.classes},
        }
        for label, figures in parts.items():
            rows.append((row, label))
            cells.update(
                {
                    ((row, label), (m["title"],)): figure_cell(f)
                    for m in metrics
                    if (f := figures.get(m["name"])) and f["estimate"] is not None
                }
            )
    return Table(
        name="quality",
        title="All figures of merit",
        caption="Every figure of merit with its bootstrap interval, patients drawn with replacement, overall "
        f"and for each class against the rest, at +{run.head.primary_bracket}. {run.sentence()}",
        row_heads=("Row", "Class"),
        column_heads=("",),
        rows=tuple(rows),
        columns=tuple(Column((m["title"],), metric_form(m)) for m in metrics),
        cells=cells,
    )


def _subgroups(run: Run) -> Table | LeftOut:
    found = run.comparison["subgroups"]
    if not found:
        return LeftOut("subgroups", "no subgroup is recorded with the predictions")
    metric = run.metrics[0]
    cells: dict[tuple[Key, Key], Cell] = {}
    groups: dict[Key, None] = {}
    small = {}
    for row in run.rows():
        for field, values in found[row].items():
            for value, record in values.items():
                if record["too_small"]:
                    small[f"{field} {value}"] = record["too_small"]
                    continue
                groups[field, value] = None
                cells[(field, value), (row,)] = figure_cell(record)
    return Table(
        name="subgroups",
        title=f"{metric['title']} by subgroup",
        caption=f"{metric['title']} within each group of test images at +{run.head.primary_bracket}, with "
        f"intervals over patients and trainings, not adjusted for the number of groups. {run.sentence()}",
        row_heads=("Field", "Group"),
        column_heads=("Row",),
        rows=tuple(groups),
        columns=tuple(Column((r,), metric_form(metric)) for r in run.rows()),
        cells=cells,
        notes=tuple(f"{group} is too small to judge: {why}." for group, why in sorted(small.items())),
    )


def _quality_of_subgroups(run: Run) -> Table | LeftOut:
    metrics = quality_metrics(run.comparison)
    rows: list[Key] = []
    cells: dict[tuple[Key, Key], Cell] = {}
    for row in run.rows():
        for field, values in run.comparison["subgroups"].get(row, {}).items():
            for value, record in values.items():
                overall = record.get("quality", {}).get("overall", {})
                if overall:
                    rows.append((field, value, row))
                cells.update({((field, value, row), (m["title"],)): figure_cell(overall[m["name"]])
                              for m in metrics if m["name"] in overall})  # fmt: skip
    if not rows:
        return LeftOut("subgroups_quality", "the comparison has no bootstrap figures of subgroups")
    order = {key: i for i, key in enumerate(dict.fromkeys(key[:2] for key in rows))}
    return Table(
        name="subgroups_quality",
        title="All figures of merit by subgroup",
        caption="Every figure of merit within each group of test images, with its bootstrap interval, "
        f"patients drawn with replacement, at +{run.head.primary_bracket}; not adjusted for the number of "
        f"groups. {run.sentence()}",
        row_heads=("Field", "Group", "Row"),
        column_heads=("",),
        rows=tuple(sorted(rows, key=lambda key: order[key[:2]])),
        columns=tuple(Column((m["title"],), metric_form(m)) for m in metrics),
        cells=cells,
    )
