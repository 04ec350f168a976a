"""P values by rearrangement, for designs too small for the large-sample distributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.errors import MetricError

SMALL = 10  # with fewer values a row, the large-sample p values are off (docs/statistics.md, "Between runs")
ARRANGEMENTS = 9999  # drawn where there are more, so that p values have steps of 1e-4
SEED = 0  # the same values give the same p


def permutation_p(
    samples: Sequence[np.ndarray], statistic: Callable[..., np.ndarray], within: str
) -> tuple[float, str]:
    """Share of the arrangements of the values whose statistic is at least the observed one.

    Args:
        samples: the values of each row.
        statistic: of the rows' arrays along ``axis``; larger speaks more against the null hypothesis.
        within: ``independent`` moves values between rows, ``samples`` within blocks only.
    Returns:
        p, and how it was got: all arrangements, or 9999 drawn at random, the observed one counted too.
    """
    from scipy import stats

    found = stats.permutation_test(
        samples, statistic, permutation_type=within, alternative="greater", vectorized=True,
        n_resamples=ARRANGEMENTS, rng=np.random.default_rng(SEED),
    )  # fmt: skip
    count = len(found.null_distribution)
    if count < ARRANGEMENTS:
        return float(found.pvalue), f"exact, all {count} arrangements"
    return float(found.pvalue), f"permutation, {count} arrangements drawn"


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
