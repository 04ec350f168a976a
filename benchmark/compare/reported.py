"""The reported metrics of one row, from its predictions alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmark.compare.panel import Panel
from benchmark.compare.rows import align

if TYPE_CHECKING:
    import pandas as pd


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


def _runs(panel: Panel, metric: str, row: str) -> dict[str, Any]:
    runs = panel.metric(metric).run_values(row)
    return {"mean": sum(runs) / len(runs), "runs": runs}
