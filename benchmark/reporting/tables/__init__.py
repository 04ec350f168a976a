"""Tables in the papers' shapes: a file per shape turns runs into ``Table`` records."""

from collections.abc import Sequence

from benchmark.reporting.tables import (
    accuracy_by_bracket,
    auroc_by_finding,
    change_by_classifier,
    equivalent,
    folds,
    per_class,
    quality,
    strategies,
)
from benchmark.reporting.tables.record import LeftOut, Table
from benchmark.reporting.tables.run import Run

OF_RUN = (accuracy_by_bracket, change_by_classifier, per_class, folds, auroc_by_finding, quality, equivalent)


def of_run(run: Run) -> list[Table | LeftOut]:
    """Return every table of one run."""
    return [table for shape in OF_RUN for table in shape.tables(run)]


def of_runs(runs: Sequence[Run]) -> list[Table | LeftOut]:
    """Return every table over all runs of a task."""
    return strategies.tables(runs)
