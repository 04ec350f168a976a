"""Real-image equivalents of the added images."""

from benchmark.comparison.records import ImageEquivalent
from benchmark.reporting.tables.record import Cell, Column, Key, LeftOut, Table
from benchmark.reporting.tables.run import Run, bracket_title
from benchmark.reporting.tables.schaudt import BEST

NAME = "equivalent"
DIFFERENCE, WORTH, TOTAL = "Difference to real_only", "Worth in real images", "Real images that do as well"
UNKNOWN = "unknown"


def tables(run: Run) -> list[Table | LeftOut]:
    """One table, where there is a learning curve."""
    curve, rows = run.comparison.learning_curve, run.comparison.equivalent
    if not curve or not rows:
        return [LeftOut(NAME, "there is no learning curve of real_only")]
    cells: dict[tuple[Key, Key], Cell] = {}
    reasons: dict[str, None] = {}
    for row in (r for r in run.rows() if r in rows):
        for record, mark in ((rows[row].primary, ""), (rows[row].best, BEST)):
            if record:
                key = (row, bracket_title(record.bracket) + mark)
                cells.update({(key, (title,)): cell for title, cell in _cells(record).items()})
                if record.reason:
                    reasons[f"Unknown: {record.reason}."] = None
    metric = next(m for m in run.metrics if m.name == curve.metric)
    return [
        Table(
            name=NAME,
            title="Worth in real images",
            caption=f"How many more real images real_only would have needed for the same {metric.noun}, "
            f"read off its learning curve over subsets of the {curve.images} training images, with "
            "bootstrap intervals over patients and trainings. The primary bracket comes first; (best) marks "
            f"the bracket chosen by its result on these test images, so its figures are optimistic. "
            f"{run.sentence()}",
            row_heads=("Row", "Added"),
            column_heads=("",),
            columns=(Column((DIFFERENCE,), "points"), Column((WORTH,), "number"), Column((TOTAL,), "number")),
            cells=cells,
            notes=tuple(reasons),
        )
    ]


def _cells(record: ImageEquivalent) -> dict[str, Cell]:
    difference = Cell(record.difference)
    if record.images is None:
        return {DIFFERENCE: difference, WORTH: Cell(text=UNKNOWN), TOTAL: Cell(text=UNKNOWN)}
    worth, low, high = (_bounded(getattr(record, k), record.bounds.get(k)) for k in ("images", "low", "high"))
    total = " ".join(filter(None, (record.bounds.get("images"), f"{record.total:.0f}")))
    return {
        DIFFERENCE: difference,
        WORTH: Cell(record.images, low=record.low, high=record.high, text=f"{worth} [{low}, {high}]"),
        TOTAL: Cell(record.total, text=total),
    }


def _bounded(images: float, bound: str | None) -> str:
    """Format a number of images with its sign, after ``more than`` or ``at most``."""
    number = f"{images:+.0f}".replace("-", "−") if round(images) else "0"
    return " ".join(filter(None, (bound, number)))
