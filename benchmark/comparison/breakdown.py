"""What the papers' tables need beyond the leaderboard's comparison, as one JSON record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.comparison import by_class, by_classifier
from benchmark.comparison.rows import align
from benchmark.utils.rounding import canonical

if TYPE_CHECKING:
    import pandas as pd


def breakdown(bundles: Iterable[tuple[Mapping[str, Any], pd.DataFrame | None]]) -> dict[str, Any]:
    """The rows by classifier, by class and by fold.

    Args:
        bundles: as of ``study.compare``.
    Returns:
        ``classifiers`` (see ``by_classifier.cells``), ``changes`` (``by_classifier.changes``), ``classes``
        (``by_class.classes``) and ``folds``: by row the records of ``by_class.folds``.
    Raises:
        SubmissionError: the rows cannot be compared.
    """
    given = list(bundles)
    study = align(given)
    generators = sorted(r.name for r in study.complete() if r.role == "generator")
    record = {
        "classifiers": by_classifier.cells(study),
        "changes": by_classifier.changes(study, generators),
        "classes": by_class.classes(study),
        "folds": {m["row"]["name"]: by_class.folds(m, table) for m, table in given if table is not None},
    }
    return canonical(record)
