"""Canonical rounding of every number that a page shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DIGITS = 8  # significant, of every number in leaderboard.json


def rounded(value: Any) -> Any:
    """The same JSON values, numbers to eight significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value
