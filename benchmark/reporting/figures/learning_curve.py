"""The learning curve of ``real_only``, and the rows with added images on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.records import LearningCurve
from benchmark.reporting.figures.draw import BARS, MUTED, RULE, Drawn, canvas, legend, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import BASELINE, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, STEPS = "learning_curve", 200


def figure(run: Run) -> Drawn | LeftOut:
    """Draw the measured points with intervals, the fitted law, and the rows at their equivalents."""
    curve, equivalent = run.comparison.learning_curve, run.comparison.equivalent
    if not curve:
        return LeftOut(NAME, "there is no learning curve of real_only")
    metric = next(m for m in run.metrics if m.name == curve.metric)
    scale = 100 if metric.percent else 1
    drawn, axes = canvas()
    ax = axes[0][0]
    ax.grid(color=RULE, linewidth=0.6)
    _real(ax, curve, scale)
    rows = [row for row in run.rows() if row in equivalent and equivalent[row].primary.images is not None]
    for i, row in enumerate(rows):
        own = equivalent[row].primary
        images, low, high = np.array([own.images, own.low, own.high], dtype=float)
        at = (curve.images + images, scale * (curve.points[-1].estimate + own.difference))
        sides = [[images - low], [high - images]]
        ax.errorbar(*at, xerr=sides, **look(i), **BARS, linestyle="none", label=row)
    ax.set_xlabel("Real training images")
    ax.set_ylabel(metric.title + (", %" if metric.percent else ""))
    legend(ax, columns=4)
    caption = (
        f"{metric.title} of real_only by the number of its training images (gray; the line is an inverse "
        f"power law, drawn to {curve.farthest:.0f} images), and every row at +{run.head.primary_bracket} "
        "above the number of real images that would do as well, with bootstrap intervals; numbers beyond the "
        f"law's reach stand at its end. {run.sentence()}"
    )
    return Drawn(NAME, drawn, caption)


def _real(ax: Axes, curve: LearningCurve, scale: float) -> None:
    """Draw ``real_only`` on subsets and on all its images, and the law."""
    x, y, low, high = np.array([(p.images, p.estimate, p.low, p.high) for p in curve.points]).T
    reach = scale * np.maximum([y - low, high - y], 0)
    style: dict[str, Any] = {"color": MUTED, "marker": "o", "linestyle": "none", **BARS}
    ax.errorbar(x, scale * y, yerr=reach, label=BASELINE, **style)
    ax.axvline(curve.images, color=MUTED, linewidth=0.6, linestyle=":")
    if law := curve.law:
        n = np.linspace(x.min(), curve.farthest, STEPS)
        ax.plot(n, scale * (law.a - law.b * n**-law.c), color=MUTED, linewidth=1)
