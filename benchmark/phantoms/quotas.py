"""Divide totals among groups in proportion."""

from collections.abc import Sequence

import numpy as np


def apportion(weights: Sequence[float] | np.ndarray, total: int) -> np.ndarray:
    """Integers in proportion to the weights that sum to ``total`` (largest remainder)."""
    return round_to_total(np.array(weights) * total / sum(weights), total)


def round_to_total(exact: np.ndarray, total: int) -> np.ndarray:
    """Round down, then raise the largest remainders so that the sum is ``total``."""
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole
