"""Fréchet distance between the features of real and synthetic images."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics.extractor.features import feature_pair
from benchmark.plugins.metric import FEWEST_IMAGES, Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "FID",
    "description": "Fréchet distance of two Gaussians fitted to the features of real and synthetic images.",
    "citation": "Heusel et al. 2017, arXiv:1706.08500",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """``fid`` of two sides of one size."""

    needs: ClassVar[set[Need]] = {"features"}
    direction: ClassVar[Direction] = "minimize"
    sides: ClassVar[Sides] = "matched"
    fewest: ClassVar[int] = FEWEST_IMAGES

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the distance."""
        return Value(fid(real.features, fake.features))


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the Fréchet distance of two Gaussians fitted to features; lower is better.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, computed by torch-fidelity. The estimate is biased
    upwards, the more so the fewer images: never read it without its sample size and the real-against-real
    floor of the same size.

    Args:
        real: (N, D) float features of one extractor, N >= 2.
        fake: (M, D) float features of the same extractor, M >= 2.
    Returns:
        Squared feature units, >= 0 up to rounding; 0 for equal means and covariances.
    Raises:
        MetricError: D differs, a side has fewer than two rows, or values are not finite.
    Source: Heusel et al. 2017, arXiv:1706.08500, eq. 6; Schaudt et al. 2023, section 4.1.
    """
    import torch
    from torch_fidelity.metric_fid import (
        KEY_METRIC_FID,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )

    a, b = feature_pair("fid", real, fake)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])
