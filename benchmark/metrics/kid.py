"""Kernel distance between the features of real and synthetic images."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics.extractor.features import feature_pair
from benchmark.plugins.metric import FEWEST_IMAGES, Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "KID",
    "description": "Unbiased squared maximum mean discrepancy of features, with a cubic kernel.",
    "citation": "Binkowski et al. 2018, arXiv:1801.01401",
}
BLOCK = 1024  # rows of the kernel matrix held at once


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """``kid`` of two sides of one size."""

    needs: ClassVar[set[Need]] = {"features"}
    direction: ClassVar[Direction] = "minimize"
    sides: ClassVar[Sides] = "matched"
    fewest: ClassVar[int] = FEWEST_IMAGES

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the distance."""
        return Value(kid(real.features, fake.features))


def kid(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the unbiased squared maximum mean discrepancy with a cubic kernel; lower is better.

    The kernel is ``(x.y / D + 1)^3``, by torch-fidelity. All pairs enter, so there is no random choice of
    subsets, and the two sides may differ in size.

    Args:
        real: (N, D) float features of one extractor, N >= 2.
        fake: (M, D) float features of the same extractor, M >= 2.
    Returns:
        Dimensionless; 0 in expectation for equal distributions, so it may be negative.
    Raises:
        MetricError: D differs, a side has fewer than two rows, or values are not finite.
    Source: Binkowski et al. 2018, arXiv:1801.01401, section 4.
    """
    a, b = feature_pair("kid", real, fake)
    n, m = len(a), len(b)
    within_a = (_kernel_sum(a, a) - _diagonal_sum(a)) / (n * (n - 1))
    within_b = (_kernel_sum(b, b) - _diagonal_sum(b)) / (m * (m - 1))
    return within_a + within_b - 2 * _kernel_sum(a, b) / (n * m)


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Return the sum of the kernel over all pairs of rows of x and y."""
    from torch_fidelity.metric_kid import kernel_poly

    return float(sum(kernel_poly(x[i : i + BLOCK], y).sum() for i in range(0, len(x), BLOCK)))


def _diagonal_sum(x: np.ndarray) -> float:
    """Return the sum of the kernel of every row with itself."""
    return float((((x * x).sum(1) / x.shape[1] + 1) ** 3).sum())
