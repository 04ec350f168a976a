"""The reported metrics of one row, from its predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.comparison.align import align
from benchmark.comparison.compared_rows import ComparedRows
from benchmark.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd


TOLERANCE = 1e-9  # of every number


def results(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the ``results`` of ``bundle.json``.

    Args:
        manifest: the content of ``bundle.json``; its own ``results`` are not read.
        predictions: of the row, with scores as the bundle stores them.
    Returns:
        ``{split: {bracket: {metric: {"mean", "runs"}}}}``, runs sorted by fit, classifier, seed and fold.
    Raises:
        SubmissionError: the predictions do not fit the manifest's protocol.
    """
    aligned = align([(manifest, predictions)])
    (row,) = aligned.complete()
    record: dict[str, Any] = {split: {} for split in sorted(aligned.splits)}
    for split, bracket in sorted(row.scores):
        compared = ComparedRows(aligned, split, bracket)
        runs = {m: compared.metric(m).training_values(row.name) for m in aligned.protocol.metrics}
        record[split][str(bracket)] = {m: {"mean": sum(v) / len(v), "runs": v} for m, v in runs.items()}
    return record


def confirm(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> None:
    """Refuse a row whose ``results`` differ from those of its predictions by more than ``TOLERANCE``.

    Raises:
        SubmissionError: names the row, the split, the bracket and the metric.
    """
    for field, problem in differences(manifest["results"], results(manifest, predictions)):
        raise SubmissionError(
            f"bundle '{manifest['row']['name']}': {field}",
            problem,
            "Write the bundle again from its predictions.",
        )


def differences(reported: Any, true: Any, where: str = "results") -> Iterator[tuple[str, str]]:
    """Yield field and problem of every number of ``results`` that is not the true one, to ``TOLERANCE``."""
    if isinstance(true, Mapping):
        for key in sorted(reported.keys() | true.keys()):
            if key not in reported:
                yield f"{where}.{key}", "is missing"
            elif key not in true:
                yield f"{where}.{key}", "does not come from the predictions"
            else:
                yield from differences(reported[key], true[key], f"{where}.{key}")
    elif isinstance(true, (list, tuple)):
        if len(reported) != len(true):
            yield where, f"has {len(reported)} runs, the predictions have {len(true)}"
            return
        for k, (one, other) in enumerate(zip(reported, true, strict=True)):
            yield from differences(one, other, f"{where}[{k}]")
    elif not abs(reported - true) <= TOLERANCE:
        yield where, f"is {reported!r}, the predictions give {true!r}"
