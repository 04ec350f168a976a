"""Records of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def quality_metrics(comparison: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The figures of merit that have bootstrap intervals, those that some row has overall."""
    found = comparison.get("quality", {})
    metrics = comparison["settings"].get("quality_metrics", [])
    return [m for m in metrics if any(m["name"] in own["overall"] for own in found.values())]
