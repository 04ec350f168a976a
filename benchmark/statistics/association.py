"""Do two figures of the rows rise together? Spearman's correlation with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import finite, none_of

EXACT_UP_TO = 9  # pairs: 362880 orders
ROUNDING = 1e-9


def spearman(x: Sequence[float], y: Sequence[float], alpha: float = 0.05) -> dict[str, Any]:
    """Rank correlation of two figures of the same rows.

    Args:
        x, y: (n,) one value a row, in one order; ties get midranks.
        alpha: one less the confidence of the interval.
    Returns:
        ``rho`` from -1 to 1; ``low`` and ``high`` of its interval by Fisher's z with the variance
        (1 + rho^2 / 2) / (n - 3), None where all rows are in one order; ``p`` two-sided for no
        association; ``n``; ``method`` of p: up to nine rows the share of all n! orders whose correlation
        is as far from zero, beyond from the t distribution; ``reason`` why figures are None, else None.
    Raises:
        MetricError: lengths differ, or a value is not finite.
    Source: Spearman 1904; interval by Bonett and Wright 2000, Psychometrika 65:23-28.
    """
    values = finite({"x": x, "y": y})
    n = len(values["x"])
    if n != len(values["y"]):
        raise MetricError(
            "y", f"{len(values['y'])} values beside {n} of x", "Give one of each for every row."
        )
    if reason := _impossible(values["x"], values["y"]):
        return none_of(("rho", "low", "high", "p", "method"), n=n, reason=reason)
    a, b = _standard_ranks(values["x"]), _standard_ranks(values["y"])
    rho = float(np.clip(a @ b, -1, 1))
    p, method = _exact_p(a, b, rho) if n <= EXACT_UP_TO else _t_p(rho, n)
    known = {"rho": rho, "p": p, "n": n, "method": method}
    if abs(rho) > 1 - ROUNDING:
        return {**known, "low": None, "high": None, "reason": "all rows in one order: no interval"}
    low, high = _interval(rho, n, alpha)
    return {**known, "low": low, "high": high, "reason": None}


def _impossible(x: np.ndarray, y: np.ndarray) -> str | None:
    if len(x) < 4:
        return "fewer than four rows"
    if len(np.unique(x)) == 1 or len(np.unique(y)) == 1:
        return "all rows have the same value"
    return None


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Midranks less their mean, of length one, so that a product is a correlation."""
    from scipy import stats

    centered = stats.rankdata(values) - (len(values) + 1) / 2
    return centered / np.linalg.norm(centered)


def _exact_p(a: np.ndarray, b: np.ndarray, rho: float) -> tuple[float, str]:
    orders = _orders(len(a))
    as_far = np.abs(a[orders] @ b) >= abs(rho) - ROUNDING
    return float(as_far.mean()), f"exact, all {len(orders)} orders"


@lru_cache(maxsize=EXACT_UP_TO)
def _orders(n: int) -> np.ndarray:
    """(n!, n) every order of 0 to n - 1: the last one put at each place of the orders of the others."""
    if n == 1:
        return np.zeros((1, 1), np.int8)
    fewer = _orders(n - 1)
    return np.concatenate([np.insert(fewer, place, n - 1, axis=1) for place in range(n)])


def _t_p(rho: float, n: int) -> tuple[float, str]:
    from scipy import stats

    t = abs(rho) * np.sqrt((n - 2) / max(1 - rho**2, np.finfo(float).eps))
    return float(2 * stats.t.sf(t, n - 2)), "t distribution"


def _interval(rho: float, n: int, alpha: float) -> tuple[float, float]:
    from scipy import stats

    half = stats.norm.ppf(1 - alpha / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return float(np.tanh(np.arctanh(rho) - half)), float(np.tanh(np.arctanh(rho) + half))
