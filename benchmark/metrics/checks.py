"""Validation of two sets of features before a metric compares them."""

from __future__ import annotations

import numpy as np

from benchmark.errors import MetricError


def feature_pair(metric: str, real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float64.

    Args:
        metric: name of the metric, for the message.
        real: (N, D) features, N >= 2.
        fake: (M, D) features, M >= 2.
    Raises:
        MetricError: not a matrix, D differs, fewer than two rows, NaN or infinite values.
    """
    for side, rows in (("real", real), ("fake", fake)):
        if rows.ndim != 2 or len(rows) < 2:
            raise MetricError(
                metric,
                f"{side} has shape {rows.shape}, expected (N, D) features with N >= 2",
                "Give at least two images on each side.",
            )
        if not np.isfinite(rows).all():
            raise MetricError(
                metric, f"{side} has NaN or infinite features", "Check the images and the extractor."
            )
    if real.shape[1] != fake.shape[1]:
        raise MetricError(
            metric,
            f"real has {real.shape[1]} features, fake has {fake.shape[1]}",
            "Take both from the same extractor.",
        )
    return real.astype(np.float64), fake.astype(np.float64)
