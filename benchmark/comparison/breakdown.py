"""The comparison by classifier, by class and by fold, for the tables of the papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.comparison import by_class, by_classifier
from benchmark.comparison.align import align
from benchmark.comparison.breakdown_records import Breakdown

if TYPE_CHECKING:
    import pandas as pd


def breakdown(bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]]) -> Breakdown:
    """Break the comparison of the bundles down; arguments and errors are those of ``compare``."""
    given = list(bundles)
    aligned = align(given)
    return Breakdown(
        classifiers=by_classifier.cells(aligned),
        changes=by_classifier.changes(aligned, aligned.generators()),
        classes=by_class.classes(aligned),
        folds={m["row"]["name"]: by_class.folds(m, table) for m, table in given if table is not None},
    )
