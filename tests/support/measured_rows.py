"""Runs whose rows have the measures of the papers on generated images, with hand-chosen figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.tables.run import Run
from support.by_hand import bundle, predictions, run_of

CLASSES = ("none", "nodule", "edema", "mass")
REAL = {(0, "a", 0): (5, 5, 5, 5), (0, "a", 1): (6, 4, 5, 5)}
ADDED = {(b, "a", s): (6, 6, 6, 6) for b in (1, 2) for s in (0, 1)}


def measure(
    metric: str, value: float, floor: float, extractor: str | None = None, **more: Any
) -> dict[str, Any]:
    """Return the record of a measure."""
    card = {"title": metric.upper(), "description": "d", "citation": "c", "version": "1", "params": {}}
    card |= {"extractor": extractor} if extractor else {}
    return {"value": value, "floor": floor, "n": 40, "direction": "minimize", "card": card, **more}


def run_with(**fields: Mapping[str, Any]) -> Run:
    """Return a run of ``real_only`` and of generators with these fields, by row."""
    real = bundle("real_only", predictions(REAL), classes=CLASSES)
    rows = [
        bundle(row, predictions(ADDED), "generator", classes=CLASSES, **own) for row, own in fields.items()
    ]
    return run_of([real, *rows])


def matrix(at: Mapping[str, float]) -> dict[str, Any]:
    """Return the squared distances of places on a line."""
    return {"names": list(at), "values": [[(a - b) ** 2 for b in at.values()] for a in at.values()]}
