"""The primary metric against the number in which the runs differ, after Zhang et al. 2023, Figure 3."""

from collections.abc import Sequence
from itertools import pairwise

from benchmark.reporting.figures.draw import MUTED, RULE, Drawn, canvas, legend, series
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import BASELINE, Run, with_images
from benchmark.reporting.tables.variants import numeric_field

NAME = "metric_by_choice"


def figure(runs: Sequence[Run]) -> Drawn | LeftOut:
    """Draw ``real_only`` and every generator, or every row with images where there is no generator."""
    field = numeric_field([run.variant for run in runs])
    if field is None:
        return LeftOut(NAME, "it needs runs that differ in one field whose values are numbers")
    ordered = sorted(runs, key=lambda run: float(run.variant[field]))
    first = ordered[0]
    everywhere = [r for r in first.rows() if all(r in run.primary for run in ordered)]
    generators = [r for r in everywhere if first.manifests[r].row.role == "generator"]
    rows = [BASELINE] * (BASELINE in everywhere) + (generators or with_images(everywhere))
    if not rows:
        return LeftOut(NAME, "no row finished in every run")
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
    return Drawn(NAME, drawn, caption)
