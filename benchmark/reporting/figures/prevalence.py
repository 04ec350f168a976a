"""Prevalence of the labels in real and in generated images."""

from __future__ import annotations

from typing import Any

from benchmark.reporting.figures.draw import BARS, MUTED, RULE, Drawn, canvas, look
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run
from benchmark.reporting.tables.segal import PREVALENCE, REAL, measured
from benchmark.stages.records import Measure

MOST = 6  # rows of a readable figure


def label_prevalence(run: Run) -> Drawn | LeftOut:
    """Draw the share of images in which the evaluators see each label, with intervals."""
    rows = {row: measure for row, (_, measure) in measured(run, PREVALENCE).items()}
    if not rows:
        return LeftOut(PREVALENCE, f"no row has the metric {PREVALENCE}")
    generators = [row for row in rows if run.manifests[row].row.role == "generator"]
    shown = (generators or list(rows))[:MOST]
    names = [c for c in run.classes if c in (rows[shown[0]].per_class or {})]
    height = 1.2 + len(names) * (0.16 + 0.09 * (len(shown) + 1))
    drawn, axes = canvas(size=(6.2, height))
    ax = axes[0][0]
    ax.grid(axis="x", color=RULE, linewidth=0.6)
    for i, row in enumerate([REAL, *shown]):
        style: dict[str, Any] = {"color": MUTED, "marker": "|"} if i == 0 else look(i - 1)
        _points(ax, rows[shown[max(i - 1, 0)]], names, row, i / (len(shown) + 1) - 0.4, style)
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(left=0)
    ax.set_xlabel("Share of images in which the classifiers see the label, %")
    drawn.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    caption = (
        "Prevalence of the labels in real images and in those of each generator, of which as many were "
        "requested of each class, by the same classifiers of real images; bars are bootstrap intervals over "
        f"images (95 %). After Segal et al. 2021, Figure 6. {run.sentence()}"
    )
    return Drawn(PREVALENCE, drawn, caption)


def _points(ax: Any, measure: Measure, names: list[str], row: str, aside: float, style: Any) -> None:
    """Draw the prevalences of one row, or of the real images."""
    values = [(measure.per_class or {})[name] for name in names]
    real = row == REAL
    x = [v.floor if real else v.value for v in values]
    bounds = [(v.floor_interval if real else v.interval) or (y, y) for v, y in zip(values, x, strict=True)]
    reach = [
        [100 * max(y - low, 0) for y, (low, _) in zip(x, bounds, strict=True)],
        [100 * max(high - y, 0) for y, (_, high) in zip(x, bounds, strict=True)],
    ]
    at = [k + 0.8 * aside for k in range(len(names))]
    ax.errorbar([100 * v for v in x], at, xerr=reach, label=row, linestyle="none", **style, **BARS)
