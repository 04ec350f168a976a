"""All figures of merit with bootstrap intervals, overall, by class and by subgroup."""

from collections.abc import Iterator

from benchmark.comparison.row_records import Subgroup
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table, figure_cell
from benchmark.reporting.tables.run import Run, metric_form

OVERALL = "all"


def tables(run: Run) -> list[Table | LeftOut]:
    """Figures of merit of the rows, of their classes and of subgroups."""
    return [_quality(run), _subgroups(run), _quality_of_subgroups(run)]


def _quality(run: Run) -> Table | LeftOut:
    quality, cards = run.comparison.quality, run.comparison.settings.quality_metrics
    if not quality:
        return LeftOut("quality", "the comparison has no bootstrap figures")
    parts = {
        (row, label): quality[row].overall if label == OVERALL else quality[row].per_class.get(label, {})
        for row in run.rows()
        if row in quality
        for label in (OVERALL, *run.classes)
    }
    return Table(
        name="quality",
        title="All figures of merit",
        caption="Every figure of merit with its bootstrap interval, patients drawn with replacement, overall "
        f"and for each class against the rest, at +{run.head.primary_bracket}. {run.sentence()}",
        row_heads=("Row", "Class"),
        column_heads=("",),
        columns=tuple(Column((m.title,), metric_form(m)) for m in cards),
        cells={
            (key, (m.title,)): figure_cell(f)
            for key, figures in parts.items()
            for m in cards
            if (f := figures.get(m.name)) and f.estimate is not None
        },
        rows=tuple(parts),
    )


def _groups(run: Run) -> Iterator[tuple[str, str, str, Subgroup]]:
    """Yield field, value, row and record of every subgroup."""
    for row in run.rows():
        for field, values in run.comparison.subgroups.get(row, {}).items():
            for value, record in values.items():
                yield field, value, row, record


def _subgroups(run: Run) -> Table | LeftOut:
    groups = list(_groups(run))
    if not groups:
        return LeftOut("subgroups", "no subgroup is recorded with the predictions")
    metric = run.metrics[0]
    small = {f"{field} {value}": r.too_small for field, value, _, r in groups if r.too_small}
    return Table(
        name="subgroups",
        title=f"{metric.title} by subgroup",
        caption=f"{metric.title} within each group of test images at +{run.head.primary_bracket}, with "
        f"intervals over patients and trainings, not adjusted for the number of groups. {run.sentence()}",
        row_heads=("Field", "Group"),
        column_heads=("Row",),
        columns=tuple(Column((r,), metric_form(metric)) for r in run.rows()),
        cells={((f, value), (row,)): figure_cell(r) for f, value, row, r in groups if not r.too_small},
        notes=tuple(f"{group} is too small to judge: {why}." for group, why in sorted(small.items())),
    )


def _quality_of_subgroups(run: Run) -> Table | LeftOut:
    cards = run.comparison.quality_metrics
    cells: dict[tuple[Key, Key], Cell] = {}
    for field, value, row, record in _groups(run):
        overall = record.quality.overall if record.quality else {}
        for m in cards:
            if m.name in overall:
                cells[(field, value, row), (m.title,)] = figure_cell(overall[m.name])
    if not cells:
        return LeftOut("subgroups_quality", "the comparison has no bootstrap figures of subgroups")
    groups = list(dict.fromkeys(key[:2] for key, _ in cells))
    rows = sorted(dict.fromkeys(key for key, _ in cells), key=lambda key: groups.index(key[:2]))
    return Table(
        name="subgroups_quality",
        title="All figures of merit by subgroup",
        caption="Every figure of merit within each group of test images, with its bootstrap interval, "
        f"patients drawn with replacement, at +{run.head.primary_bracket}; not adjusted for the number of "
        f"groups. {run.sentence()}",
        row_heads=("Field", "Group", "Row"),
        column_heads=("",),
        columns=tuple(Column((m.title,), metric_form(m)) for m in cards),
        cells=cells,
        rows=tuple(rows),
    )
