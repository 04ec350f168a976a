"""Reliability diagram: how often a prediction of some confidence is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.figures.draw import MUTED, RULE, Drawn, canvas, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run

NAME, COLUMNS = "reliability", 3


def figure(run: Run) -> Drawn | LeftOut:
    """A panel per row with a calibration record."""
    found = {row: bins for row in run.rows() if (bins := _bins(run.comparison, row))}
    if not found:
        return LeftOut(NAME, "the comparison has no calibration record")
    columns = min(COLUMNS, len(found))
    lines = -(-len(found) // columns)
    drawn, axes = canvas(columns, lines, size=(2.6, 2.6), sharex=True, sharey=True)
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    for ax, (row, bins) in zip(axes.flat, found.items(), strict=False):
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle="--")
        ax.grid(color=RULE, linewidth=0.6)
        most = max(b["weight"] for b in bins)
        ax.plot(
            [b["confidence"] for b in bins],
            [b["accuracy"] for b in bins],
            color=look(0)["color"],
            linewidth=1,
            alpha=0.4,
        )
        for b in bins:
            size = 8 + 60 * b["weight"] / most
            ax.scatter(
                b["confidence"], b["accuracy"], s=size, color=look(0)["color"], zorder=3, clip_on=False
            )
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=row)
    drawn.supxlabel("Confidence", fontsize=9)
    drawn.supylabel("Share that is right", fontsize=9)
    caption = (
        f"Reliability at +{run.head.primary_bracket}: the share of predictions that is right against their "
        f"mean confidence, in bins; a mark grows with the bin's share of the images. {run.sentence()}"
    )
    return Drawn(NAME, drawn, caption)


def _bins(comparison: Mapping[str, Any], row: str) -> list[Mapping[str, Any]]:
    record = comparison.get("quality", {}).get(row, {}).get("calibration", {})
    return [b for b in record.get("bins", []) if b["weight"]]
