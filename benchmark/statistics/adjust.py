"""P values adjusted for the number of tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmark.errors import MetricError, unknown_name


def adjust(p: Sequence[float], correction: str) -> list[float]:
    """P values of one family, adjusted for their number.

    Our own, since that of statsmodels collects garbage at every call, a quarter second each.

    Args:
        p: p values, each from 0 to 1, in any order.
        correction: ``bonferroni`` or ``holm`` (family-wise error), ``fdr_bh`` (share of false
            discoveries among the discoveries) or ``none``.
    Returns:
        Adjusted p values from 0 to 1, in the given order.
    Raises:
        MetricError: a value is not from 0 to 1.
        UnknownNameError: no such correction.
    Source: Bonferroni (Dunn 1961); Holm 1979; Benjamini and Hochberg 1995.
    """
    if correction not in CORRECTIONS:
        raise unknown_name("correction", correction, list(CORRECTIONS))
    values = np.asarray(p, dtype=float)
    if not ((values >= 0) & (values <= 1)).all():
        raise MetricError("p", "a p value is not from 0 to 1", "Give finite p values, or leave the test out.")
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(len(values))
    adjusted[order] = CORRECTIONS[correction](values[order])
    return [float(v) for v in np.minimum(adjusted, 1.0)]


def _holm(ascending: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(ascending * np.arange(len(ascending), 0, -1))


def _benjamini_hochberg(ascending: np.ndarray) -> np.ndarray:
    scaled = ascending * len(ascending) / np.arange(1, len(ascending) + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]


CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": _holm,
    "bonferroni": lambda ascending: ascending * len(ascending),
    "fdr_bh": _benjamini_hochberg,
    "none": lambda ascending: ascending,
}
