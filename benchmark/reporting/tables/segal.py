"""Tables in the shapes of Segal et al. 2021: Table 1, and the numbers of Figure 6."""

from collections.abc import Mapping

from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import Run
from benchmark.stages.records import ClassValue, Measure

DISTANCES, PREVALENCE = "class_distances", "label_prevalence"
REAL = "real"
HALVES, SEXES, SYNTHETIC = ("Patient-disjoint halves",), ("Women and men",), ("Real and synthetic",)


def measured(run: Run, metric: str) -> dict[str, tuple[str, Measure]]:
    """Return name and record of a metric by row, with the extractor in the name where it reads features."""
    records = {}
    for row in run.rows():
        for name, measure in run.manifests[row].measures.items():
            extractor = measure.card.extractor if measure.card else None
            if name == (f"{metric}_{extractor}" if extractor else metric):
                records[row] = name, measure
    return records


def in_order(run: Run, measure: Measure) -> list[tuple[str, ClassValue]]:
    """Return the figures of the classes in the task's order."""
    of_class = measure.per_class or {}
    return [(name, of_class[name]) for name in run.classes if name in of_class]


def tables(run: Run) -> list[Table | LeftOut]:
    """Distances between sets of images, and prevalence of labels."""
    return [_distances(run), _prevalence(run)]


def _distances(run: Run) -> Table | LeftOut:
    rows = {row: measure for row, (_, measure) in measured(run, DISTANCES).items()}
    if not rows:
        return LeftOut("fid_by_split", f"no row has the metric {DISTANCES}")
    measure = next(iter(rows.values()))
    extractor = measure.card.extractor if measure.card else ""
    cells: dict[tuple[Key, Key], Cell] = {}
    for row, own in rows.items():
        fid = run.manifests[row].measures.get(f"fid_{extractor}")
        if fid is not None:
            cells[HALVES, (REAL,)] = Cell(fid.floor, std=fid.floor_sd)
        for column, name in ((REAL, "between_sexes_real"), (row, "between_sexes")):
            if own.details and name in own.details:
                cells[SEXES, (column,)] = Cell(own.details[name])
        for name, value in in_order(run, own):
            cells[(name,), (REAL,)] = Cell(value.floor)
            cells[(name,), (row,)] = Cell(value.value)
    for row in rows:
        fid = run.manifests[row].measures.get(f"fid_{extractor}")
        if fid is not None:
            cells[SYNTHETIC, (row,)] = Cell(fid.value)
    baseline = (measure.card.params.get("baseline") if measure.card else "") or run.classes[0]
    return Table(
        name="fid_by_split",
        title="FID between sets of images",
        caption=f"FID ({extractor}) of each class and {baseline}, of women and men, of two halves of the "
        "real test images without a common patient (± over halvings), and of real and synthetic images. Of a "
        f"class {measure.n} images count, so a figure compares with others of its kind alone. After Segal et "
        f"al. 2021, Table 1. {run.sentence()}",
        row_heads=("Split",),
        column_heads=("Images",),
        columns=tuple(Column((name,), "decimal") for name in (REAL, *rows)),
        cells=cells,
    )


def _prevalence(run: Run) -> Table | LeftOut:
    rows = {row: measure for row, (_, measure) in measured(run, PREVALENCE).items()}
    if not rows:
        return LeftOut(PREVALENCE, f"no row has the metric {PREVALENCE}")
    return Table(
        name=PREVALENCE,
        title="Prevalence of the labels",
        caption=f"Share of images in which the classifiers of real images see each label, in percent, with "
        f"bootstrap intervals over images (95 %). {_dropped(rows)} After Segal et al. 2021, Figure 6. "
        f"{run.sentence()}",
        row_heads=("Label",),
        column_heads=("Images",),
        columns=tuple(Column((name,), "percent") for name in (REAL, *rows)),
        cells=_prevalence_cells(run, rows),
    )


def _prevalence_cells(run: Run, rows: Mapping[str, Measure]) -> dict[tuple[Key, Key], Cell]:
    cells: dict[tuple[Key, Key], Cell] = {}
    for row, measure in rows.items():
        for name, value in in_order(run, measure):
            low, high = value.floor_interval or (None, None)
            cells[(name,), (REAL,)] = Cell(value.floor, low=low, high=high)
            low, high = value.interval or (None, None)
            cells[(name,), (row,)] = Cell(value.value, low=low, high=high)
    return cells


def _dropped(rows: Mapping[str, Measure]) -> str:
    """Return a sentence with the number of labels that are rarer than in real images, by row."""
    counts = {row: int((m.details or {}).get("dropped", 0)) for row, m in rows.items()}
    return (
        "Labels significantly rarer than in real images: "
        + ", ".join(f"{row} {count}" for row, count in counts.items())
        + "."
    )
