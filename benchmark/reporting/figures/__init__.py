"""Figures beside the tables: each from runs to a drawn figure, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.reporting.figures import change, fraction, learning_curve, reliability
from benchmark.reporting.figures.draw import Drawn, style
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run


def of_run(run: Run) -> list[Drawn | LeftOut]:
    """Every figure of one run."""
    with style():
        return [change.figure(run), reliability.figure(run), learning_curve.figure(run)]


def of_runs(runs: Sequence[Run]) -> list[Drawn | LeftOut]:
    """Every figure over all runs of a task."""
    with style():
        return [fraction.figure(runs)]
