"""Single-image FID of each synthetic image and the training image that it came from."""

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from benchmark.metrics._pairs import mean_over_pairs
from benchmark.metrics.fid import fid
from benchmark.plugins.metric import Direction, Need, Side, Sides, Value

version = "1"

card = {
    "title": "SIFID",
    "description": "Fréchet distance of the features of the positions within an image and within its source "
    "image, before the extractor's second pooling layer; mean over the images.",
    "citation": "Shaham et al. 2019, arXiv:1905.01164, section 3.2",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """No parameters."""


class Metric:
    """Mean ``fid`` of the feature maps of a synthetic image and of its source.

    A copy has 0, and so has any image with the same texture elsewhere: read it beside the SSIM.
    Source: Shaham et al. 2019, section 3.2; Zhang et al. 2023, section 5.1 and Table 2.
    """

    needs: ClassVar[set[Need]] = {"feature_maps", "images", "sources"}
    direction: ClassVar[Direction] = "minimize"
    sides: ClassVar[Sides] = "all"

    def __init__(self, params: Params, device: str) -> None:
        pass

    def measure(self, real: Side, fake: Side) -> Value:
        """Return the mean distance; the real side does not count."""

        def distances(sources: np.ndarray, images: np.ndarray) -> np.ndarray:
            each = zip(fake.feature_maps(sources), fake.feature_maps(images), strict=True)
            return np.array([fid(source, image) for source, image in each])

        return mean_over_pairs(fake, distances)
