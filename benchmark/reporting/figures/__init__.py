"""Figures beside the tables: each turns runs into a drawn figure, or a reason why there is none."""

from collections.abc import Sequence

from benchmark.reporting.figures import change, fraction, learning_curve, reliability
from benchmark.reporting.figures.draw import Drawn, style
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run


def of_run(run: Run) -> list[Drawn | LeftOut]:
    """Draw every figure of one run."""
    with style():
        return [change.figure(run), reliability.figure(run), learning_curve.figure(run)]


def of_runs(runs: Sequence[Run]) -> list[Drawn | LeftOut]:
    """Draw every figure over all runs of a task."""
    with style():
        return [fraction.figure(runs)]
