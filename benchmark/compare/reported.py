"""The reported metrics of one row, from its predictions alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.compare.panel import Panel
from benchmark.compare.rows import align
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
    said, true = _flat(manifest["results"]), _flat(results(manifest, predictions))
    for key in sorted(said.keys() | true.keys()):
        one, other = said.get(key, []), true.get(key, [])
        if len(one) != len(other) or any(abs(a - b) > TOLERANCE for a, b in zip(one, other, strict=True)):
            raise SubmissionError(
                f"bundle '{manifest['row']['name']}': results.{key}",
                f"is {one or 'missing'}, the predictions give {other or 'none'}",
                "Write the bundle again from its predictions.",
            )


def _flat(found: Mapping[str, Any]) -> dict[str, list[float]]:
    """Mean and run values by ``split.bracket.metric``."""
    return {
        f"{split}.{bracket}.{metric}": [own["mean"], *own["runs"]]
        for split, brackets in found.items()
        for bracket, metrics in brackets.items()
        for metric, own in metrics.items()
    }


def _runs(panel: Panel, metric: str, row: str) -> dict[str, Any]:
    runs = panel.metric(metric).run_values(row)
    return {"mean": sum(runs) / len(runs), "runs": runs}
