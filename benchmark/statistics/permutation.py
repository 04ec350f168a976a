"""P values by rearrangement, for designs too small for the large-sample distributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from benchmark.errors import MetricError

SMALL = 10  # with fewer values a row, the large-sample p values are off (docs/statistics_runs.md)
ARRANGEMENTS = 9999  # drawn where there are more, so that p values have steps of 1e-4
SEED = 0  # the same values give the same p
ROUNDING = 1e-12


def permutation_p(
    observed: float, null: tuple[tuple[float, ...], ...], statistic: Callable[..., np.ndarray], within: str
) -> tuple[float, str]:
    """Share of the arrangements of the values whose statistic is at least the observed one.

    Args:
        observed: the statistic of the values as they are.
        null: the values in an order that says nothing of the rows, so that p does not depend on the
            order of the rows either, and the arrangements of one design are made once.
        statistic: of the rows' arrays along ``axis``; larger speaks more against the null hypothesis.
        within: ``independent`` moves values between rows, ``samples`` within blocks only.
    Returns:
        p, and how it was got: all arrangements, or 9999 drawn at random, the observed one counted too.
    """
    arrangements = _arrangements(null, statistic, within)
    count = len(arrangements)
    as_large = int((arrangements >= observed - ROUNDING * abs(observed)).sum())
    if count < ARRANGEMENTS:
        return as_large / count, f"exact, all {count} arrangements"
    return (as_large + 1) / (count + 1), f"permutation, {count} arrangements drawn"


@lru_cache(maxsize=64)
def _arrangements(
    null: tuple[tuple[float, ...], ...], statistic: Callable[..., np.ndarray], within: str
) -> np.ndarray:
    """The statistic of every arrangement, or of those drawn."""
    from scipy import stats

    found = stats.permutation_test(
        [np.array(own) for own in null], statistic, permutation_type=within, alternative="greater",
        vectorized=True, n_resamples=ARRANGEMENTS, rng=np.random.default_rng(SEED),
    )  # fmt: skip
    return np.asarray(found.null_distribution)


def finite(values: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """The values of every row as arrays; a MetricError names the row where one is not a finite number."""
    arrays = {name: np.asarray(own, dtype=float) for name, own in values.items()}
    for name, own in arrays.items():
        if own.ndim != 1 or not np.isfinite(own).all():
            raise MetricError(name, "its run values are not a list of finite numbers", "Leave the row out.")
    return arrays


def none_of(fields: Sequence[str], **known: Any) -> dict[str, Any]:
    """A record without numbers: every field None, beside what is known."""
    return {**dict.fromkeys(fields), **known}
