"""Reliability diagram: the accuracy of predictions against their confidence."""

from benchmark.reporting.figures.draw import MUTED, RULE, Drawn, canvas, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run

NAME, COLUMNS = "reliability", 3


def figure(run: Run) -> Drawn | LeftOut:
    """Draw a panel per row."""
    quality, color = run.comparison.quality, look(0)["color"]
    diagrams = {
        row: [b for b in quality[row].calibration.bins if b.weight] for row in run.rows() if row in quality
    }
    if not diagrams:
        return LeftOut(NAME, "the comparison has no calibration record")
    columns = min(COLUMNS, len(diagrams))
    lines = -(-len(diagrams) // columns)
    drawn, axes = canvas(columns, lines, size=(2.6, 2.6), sharex=True, sharey=True)
    for ax in axes.flat[len(diagrams) :]:
        ax.set_axis_off()
    for ax, (row, bins) in zip(axes.flat, diagrams.items(), strict=False):
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
        ax.grid(color=RULE, linewidth=0.6)
        most = max(b.weight for b in bins)
        points = [(b.confidence, b.accuracy) for b in bins]
        ax.plot(*zip(*points, strict=True), color=color, linewidth=1, alpha=0.4)
        for b, point in zip(bins, points, strict=True):
            ax.scatter(*point, s=8 + 60 * b.weight / most, color=color, zorder=3, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=row)
    drawn.supxlabel("Confidence", fontsize=9)
    drawn.supylabel("Share that is right", fontsize=9)
    caption = (
        f"Reliability at +{run.head.primary_bracket}: the share of predictions that is right against their "
        f"mean confidence, in bins; a mark grows with the bin's share of the images. {run.sentence()}"
    )
    return Drawn(NAME, drawn, caption)
