"""Figures beside the tables: each turns runs into a drawn figure, or a reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.comparison.records import LearningCurve
from benchmark.reporting.figures.classes import class_distances
from benchmark.reporting.figures.draw import BARS, MUTED, RULE, Drawn, canvas, legend, look, series, style
from benchmark.reporting.figures.prevalence import label_prevalence
from benchmark.reporting.figures.training import samples, training
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import BASELINE, Run, with_images
from benchmark.reporting.tables.variants import numeric_field

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANGE = "change_by_bracket"
RELIABILITY, COLUMNS = "reliability", 3
CURVE, STEPS = "learning_curve", 200
FRACTION = "metric_by_choice"


def of_run(run: Run) -> list[Drawn | LeftOut]:
    """Draw every figure of one run."""
    with style():
        own = [change(run), reliability(run), learning_curve(run), class_distances(run)]
        return [*own, label_prevalence(run), *training(run), *samples(run)]


def of_runs(runs: Sequence[Run]) -> list[Drawn | LeftOut]:
    """Draw every figure over all runs of a task."""
    with style():
        return [fraction(runs)]


def change(run: Run) -> Drawn | LeftOut:
    """Draw the change of the primary metric by bracket, for generators and for controls with images."""
    brackets = sorted(run.head.brackets)
    if BASELINE not in run.primary:
        return LeftOut(CHANGE, "there is no finished row real_only to change from")
    if len(brackets) < 2:
        return LeftOut(CHANGE, "the profile has one bracket")
    rows = with_images(run.rows())
    if not rows:
        return LeftOut(CHANGE, "no finished row adds images")
    roles = {"generator": "Generators", "control": "Controls"}
    by_role = {t: [r for r in rows if run.manifests[r].row.role == role] for role, t in roles.items()}
    panels = {title: own for title, own in by_role.items() if own}
    drawn, axes = canvas(len(panels), sharey=True, size=(4.6, 3.6))
    metric, by_bracket = run.metrics[0], run.comparison.figures["test"]
    for ax, (title, own) in zip(axes[0], panels.items(), strict=True):
        ax.axhline(0, color=MUTED, linewidth=0.8)
        ax.grid(axis="y", color=RULE, linewidth=0.6)
        for i, row in enumerate(own):
            changes = [by_bracket[b][row].versus[BASELINE][metric.name] for b in brackets]
            aside = (i - (len(own) - 1) / 2) * 0.08
            series(ax, rows.index(row), [k + aside for k in range(len(brackets))], changes, row, scale=100)
        ax.set_xticks(range(len(brackets)), [f"+{b}" for b in brackets])
        ax.set_xlabel("Added images, bracket")
        ax.set_title(title)
        legend(ax, columns=3)
    axes[0][0].set_ylabel(f"Change of {metric.noun}\nfrom {BASELINE}, points")
    caption = (
        f"Change of {metric.noun} from real_only at each bracket, mean over classifiers and trainings, "
        f"with intervals over patients and trainings. After Schaudt et al. 2023, Figure 7. {run.sentence()}"
    )
    return Drawn(CHANGE, drawn, caption)


def reliability(run: Run) -> Drawn | LeftOut:
    """Draw the accuracy of predictions against their confidence, a panel per row."""
    quality, color = run.comparison.quality, look(0)["color"]
    diagrams = {
        row: [b for b in quality[row].calibration.bins if b.weight] for row in run.rows() if row in quality
    }
    if not diagrams:
        return LeftOut(RELIABILITY, "the comparison has no calibration record")
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
    return Drawn(RELIABILITY, drawn, caption)


def learning_curve(run: Run) -> Drawn | LeftOut:
    """Draw the measured points with intervals, the fitted law, and the rows at their equivalents."""
    curve, equivalent = run.comparison.learning_curve, run.comparison.equivalent
    if not curve:
        return LeftOut(CURVE, "there is no learning curve of real_only")
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
    return Drawn(CURVE, drawn, caption)


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


def fraction(runs: Sequence[Run]) -> Drawn | LeftOut:
    """Draw the primary metric against the number in which the runs differ.

    The series are ``real_only`` and every generator, or every row with images where there is no generator.
    """
    field = numeric_field([run.variant for run in runs])
    if field is None:
        return LeftOut(FRACTION, "it needs runs that differ in one field whose values are numbers")
    ordered = sorted(runs, key=lambda run: float(run.variant[field]))
    first = ordered[0]
    everywhere = [r for r in first.rows() if all(r in run.primary for run in ordered)]
    generators = [r for r in everywhere if first.manifests[r].row.role == "generator"]
    rows = [BASELINE] * (BASELINE in everywhere) + (generators or with_images(everywhere))
    if not rows:
        return LeftOut(FRACTION, "no row finished in every run")
    metric = first.metrics[0]
    x = [float(run.variant[field]) for run in ordered]
    scale = 100 if metric.percent else 1
    gap = min(b - a for a, b in pairwise(x))
    drawn, axes = canvas()
    ax = axes[0][0]
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    for i, row in enumerate(rows):
        aside = (i - (len(rows) - 1) / 2) * 0.05 * gap
        values = [run.primary[row].metrics[metric.name] for run in ordered]
        series(ax, i, [v + aside for v in x], values, row, scale)
    ax.set_xticks(x, [run.variant[field] for run in ordered])
    ax.set_xlabel(field)
    ax.set_ylabel(metric.title + (", %" if metric.percent else ""))
    ax.tick_params(color=MUTED)
    legend(ax, columns=4)
    caption = (
        f"{metric.title} by {field}, with and without added images, with intervals over patients and "
        f"trainings. After Zhang et al. 2023, Figure 3. {first.sentence()}"
    )
    return Drawn(FRACTION, drawn, caption)
