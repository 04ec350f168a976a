"""The reported metrics of one row, from its predictions alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from benchmark.comparison.panel import Panel
from benchmark.comparison.rows import align
from benchmark.errors import SubmissionError

if TYPE_CHECKING:
    import pandas as pd


TOLERANCE = 1e-9  # of every number


def results(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    """What ``bundle.json`` says under ``results``.

    Args:
        manifest: the content of ``bundle.json``; its own ``results`` are not read.
        predictions: of the row, with scores as the bundle stores them.
    Returns:
        ``{split: {bracket: {metric: {"mean", "runs"}}}}``, runs sorted by classifier, seed and fold.
    Raises:
        SubmissionError: the predictions are not those of the manifest's protocol.
    """
    study = align([(manifest, predictions)])
    (row,) = study.complete()
    found: dict[str, Any] = {split: {} for split in sorted(study.splits)}
    for split, bracket in sorted(row.scores):
        panel = Panel(study, split, bracket)
        found[split][str(bracket)] = {m: _runs(panel, m, row.name) for m in study.protocol.metrics}
    return found


def confirm(manifest: Mapping[str, Any], predictions: pd.DataFrame) -> None:
    """Refuse a row whose ``results`` do not come out again from its predictions, to ``TOLERANCE``.

    Raises:
        SubmissionError: names the row, the split, the bracket and the metric.
    """
    for field, problem in differences(manifest["results"], results(manifest, predictions)):
        raise SubmissionError(
            f"bundle '{manifest['row']['name']}': {field}",
            problem,
            "Write the bundle again from its predictions.",
        )


def differences(said: Any, true: Any, where: str = "results") -> Iterator[tuple[str, str]]:
    """Every number that is said and is not the true one, to ``TOLERANCE``: its field, and what is wrong.

    Args:
        said, true: of ``results``, or a part of them.
    """
    if isinstance(true, Mapping):
        for key in sorted(said.keys() | true.keys()):
            if key not in said:
                yield f"{where}.{key}", "is missing"
            elif key not in true:
                yield f"{where}.{key}", "does not come from the predictions"
            else:
                yield from differences(said[key], true[key], f"{where}.{key}")
    elif isinstance(true, (list, tuple)):
        if len(said) != len(true):
            yield where, f"has {len(said)} runs, the predictions have {len(true)}"
            return
        for k, (one, other) in enumerate(zip(said, true, strict=True)):
            yield from differences(one, other, f"{where}[{k}]")
    elif not abs(said - true) <= TOLERANCE:
        yield where, f"is {said!r}, the predictions give {true!r}"


def _runs(panel: Panel, metric: str, row: str) -> dict[str, Any]:
    runs = panel.metric(metric).run_values(row)
    return {"mean": sum(runs) / len(runs), "runs": runs}
