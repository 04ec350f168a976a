"""Tables in the papers' shapes: a file per paper or purpose turns runs into ``Table`` records."""

from collections.abc import Sequence

from benchmark.reporting.tables import (
    auroc_by_finding,
    curves,
    equivalent,
    folds,
    quality,
    schaudt,
    segal,
    strategies,
    zhang,
)
from benchmark.reporting.tables.record import LeftOut, Table
from benchmark.reporting.tables.run import Run

OF_RUN = (
    schaudt.accuracy_by_bracket, schaudt.change_by_classifier, schaudt.per_class, folds.tables,
    curves.tables, zhang.tables, auroc_by_finding.tables, segal.tables, quality.tables, equivalent.tables,
)  # fmt: skip


def of_run(run: Run) -> list[Table | LeftOut]:
    """Return every table of one run."""
    return [table for tables in OF_RUN for table in tables(run)]


def of_runs(runs: Sequence[Run]) -> list[Table | LeftOut]:
    """Return every table over all runs of a task."""
    return strategies.tables(runs)
