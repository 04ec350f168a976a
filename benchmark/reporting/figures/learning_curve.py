"""The learning curve of ``real_only``, and where the rows with added images stand on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.reporting.figures.draw import BARS, MUTED, RULE, Drawn, canvas, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import BASELINE, Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, STEPS = "learning_curve", 200


def figure(run: Run) -> Drawn | LeftOut:
    """The measured points with intervals, the law through them, and what the rows are worth."""
    curve, worth = run.comparison.get("learning_curve"), run.comparison.get("equivalent")
    if not curve or worth is None:
        return LeftOut(NAME, "there is no learning curve of real_only")
    metric = next(m for m in run.metrics if m["name"] == curve["metric"])
    scale = 100 if metric["percent"] else 1
    drawn, axes = canvas()
    ax = axes[0][0]
    ax.grid(color=RULE, linewidth=0.6)
    _real(ax, curve, scale)
    placed = {
        r: worth[r]["primary"] for r in run.rows() if r in worth and worth[r]["primary"]["images"] is not None
    }
    for i, (row, record) in enumerate(placed.items()):
        at = (
            curve["images"] + record["images"],
            scale * (curve["points"][-1]["estimate"] + record["difference"]),
        )
        sides = [[record["images"] - record["low"]], [record["high"] - record["images"]]]
        ax.errorbar(*at, xerr=sides, **look(i), **BARS, linestyle="none", label=row)
    ax.set_xlabel("Real training images")
    ax.set_ylabel(metric["title"] + (", %" if metric["percent"] else ""))
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.18), ncols=4)
    caption = (
        f"{metric['title']} of real_only by the number of its training images (gray; the line is an inverse "
        f"power law, drawn to {curve['farthest']:.0f} images), and every row at +{run.head.primary_bracket} "
        "above the number of real images that would do as well, with bootstrap intervals; numbers beyond the "
        f"law's reach stand at its end. {run.sentence()}"
    )
    return Drawn(NAME, drawn, caption)


def _real(ax: Axes, curve: Mapping[str, Any], scale: float) -> None:
    """``real_only`` on subsets and on all its images, and the law."""
    points = curve["points"]
    x, y, low, high = (np.array([p[k] for p in points]) for k in ("images", "estimate", "low", "high"))
    reach = scale * np.maximum([y - low, high - y], 0)
    style: dict[str, Any] = {"color": MUTED, "marker": "o", "linestyle": "none", **BARS}
    ax.errorbar(x, scale * y, yerr=reach, label=BASELINE, **style)
    ax.axvline(curve["images"], color=MUTED, linewidth=0.6, linestyle=":")
    if curve["law"]:
        a, b, c = (curve["law"][k] for k in "abc")
        n = np.linspace(x.min(), curve["farthest"], STEPS)
        ax.plot(n, scale * (a - b * n**-c), color=MUTED, linewidth=1)
