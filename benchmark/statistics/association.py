"""Spearman's rank correlation of two figures of the rows, with an interval."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, permutations
from typing import Any

import numpy as np

from benchmark.errors import MetricError
from benchmark.statistics.permutation import finite

EXACT_UP_TO = 9  # pairs: 362,880 orders
ROUNDING = 1e-9


def spearman(x: Sequence[float], y: Sequence[float], alpha: float = 0.05) -> dict[str, Any]:
    """Rank correlation of two figures of the same rows.

    Args:
        x, y: (n,) one value per row, in the same order; ties get midranks.
        alpha: of the interval of level 1 - alpha.
    Returns:
        ``rho`` from -1 to 1; ``low`` and ``high`` by Fisher's z with the variance
        (1 + rho^2 / 2) / (n - 3), None if all rows are in one order; ``p`` two-sided for no association;
        ``n``; ``method`` of p: exact over all n! orders for up to nine rows, else the t distribution;
        ``reason`` why figures are None, else None.
    Raises:
        MetricError: lengths differ, or a value is not finite.
    Source: Spearman 1904; interval by Bonett and Wright 2000, Psychometrika 65:23-28.
    """
    from scipy import stats

    values = finite({"x": x, "y": y})
    n = len(values["x"])
    if n != len(values["y"]):
        raise MetricError("y", f"{len(values['y'])} values, {n} of x", "Give one of each for every row.")
    if reason := _untestable(*values.values()):
        return {**dict.fromkeys(("rho", "low", "high", "p", "method")), "n": n, "reason": reason}
    result = stats.spearmanr(values["x"], values["y"])
    rho, p, method = float(result.statistic), float(result.pvalue), "t distribution"
    if n <= EXACT_UP_TO:
        p, method = _exact_p(values["x"], values["y"])
    low = high = reason = None
    if abs(rho) > 1 - ROUNDING:
        reason = "all rows in one order: no interval"
    else:
        half = stats.norm.ppf(1 - alpha / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
        low, high = (float(np.tanh(np.arctanh(rho) + side * half)) for side in (-1, 1))
    return {"rho": rho, "p": p, "n": n, "method": method, "low": low, "high": high, "reason": reason}


def _untestable(x: np.ndarray, y: np.ndarray) -> str | None:
    if len(x) < 4:
        return "fewer than four rows"
    return "all rows have the same value" if np.ptp(x) == 0 or np.ptp(y) == 0 else None


def _exact_p(x: np.ndarray, y: np.ndarray) -> tuple[float, str]:
    """Share of all orders of x whose correlation with y is at least as far from zero."""
    from scipy import stats

    a, b = (stats.zscore(stats.rankdata(values)) for values in (x, y))
    orders = _orders(len(a))
    as_far = np.abs(a[orders] @ b) >= abs(a @ b) - ROUNDING * len(a)
    return float(as_far.mean()), f"exact, all {len(orders)} orders"


@lru_cache(maxsize=EXACT_UP_TO)
def _orders(n: int) -> np.ndarray:
    """(n!, n) all permutations of 0 to n - 1."""
    return np.fromiter(chain.from_iterable(permutations(range(n))), np.int8).reshape(-1, n)
