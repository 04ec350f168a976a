"""Schaudt et al. 2023, Table 5: the best FID of each class along the training, with its MS-SSIM."""

from collections.abc import Iterator

from benchmark.bundles.schema import FitCurve
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import Run
from benchmark.stages.records import FID_OF, MS_SSIM_OF

NAME, MEAN = "best_preview", "Mean"
Points = list[tuple[int, float]]  # step and value


def first_curves(run: Run, row: str) -> list[FitCurve]:
    """Return the curves of a row's first fit, in the first fold; of several images of a class the first."""
    curves = run.manifests[row].fit_curves
    seeds = [c.fit for c in curves]
    return [c for c in curves if (c.fit, c.fold, c.number) == (min(seeds), 0, 0)]


def points(run: Run, row: str, prefix: str) -> dict[str, Points]:
    """Return the points of a figure of the previews by class."""
    lines: dict[str, Points] = {}
    for curve in first_curves(run, row):
        for name, values in curve.figures.items():
            if name.startswith(prefix):
                own = [(s, v) for s, v in zip(curve.step, values, strict=True) if v is not None]
                lines.setdefault(name.removeprefix(prefix), own)
    return {name: lines[name] for name in run.classes if lines.get(name)}


def tables(run: Run) -> list[Table | LeftOut]:
    """Smallest FID of each class and the MS-SSIM of the same preview."""
    cells = dict(_cells(run))
    if not cells:
        return [LeftOut(NAME, "no fit has previews with 20 images of a class")]
    return [
        Table(
            name=NAME,
            title="Best preview of each class",
            caption="Smallest FID of each class over the previews of the first fit, and in parentheses the "
            "MS-SSIM of the same preview. The images are those of the preview and not those that are added; "
            f"their number biases FID. After Schaudt et al. 2023, Table 5. {run.sentence()}",
            row_heads=("Row",),
            column_heads=("Class",),
            columns=tuple(Column((name,), "number") for name in (*run.classes, MEAN)),
            cells=cells,
        )
    ]


def _cells(run: Run) -> Iterator[tuple[tuple[Key, Key], Cell]]:
    for row in run.rows():
        fids, alike = points(run, row, FID_OF), points(run, row, MS_SSIM_OF)
        best = {name: min(own, key=lambda point: (point[1], point[0])) for name, own in fids.items()}
        for name, (step, value) in best.items():
            diversity = dict(alike.get(name, [])).get(step)
            text = f"{value:.2f}" + ("" if diversity is None else f" ({diversity:.2f})")
            yield ((row,), (name,)), Cell(value, text=text)
        if len(best) == len(run.classes):
            mean = sum(value for _, value in best.values()) / len(best)
            yield ((row,), (MEAN,)), Cell(mean, text=f"{mean:.2f}")
