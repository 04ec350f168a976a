"""SinDDM (Kulikov et al. 2023), diffusion over the scales of a single image, as in Zhang et al. 2023."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.generators._single_image_diffusion import (
    Params,
    SingleImageDiffusion,
    described,
    search_space,
    tiny,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

__all__ = ["Generator", "Params", "card", "search_space", "tiny", "version"]

version = "1"
card = described(
    "SinDDM",
    "One denoiser for all scales of one image; images are drawn coarse to fine, each scale from the enlarged "
    "and noised image of the coarser one.",
)


class SinDDM(SingleImageDiffusion):
    """A diffusion model of one image; its samples name that image."""

    name = "sinddm"
    fit_unit: ClassVar[str] = "per_image"

    source_id = ""

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on one image.

        Raises:
            GeneratorError: there are several images, or an unusable one; or the loss is not finite.
        """
        if len(train) > 1:
            problem = f"learns from one image, got {len(train)}"
            raise GeneratorError(f"generator '{self.name}'", problem, "Fit it per_image, or use fewddm.")
        self.source_id = str(train.image_id[0]) if len(train) else ""
        super().fit(train, context)

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw images; each names the source image."""
        drawn = super().sample(request, context)
        return Samples(drawn.image, source_id=np.full(len(request), self.source_id))

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "source_id": self.source_id}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        super().restore(arrays, settings, context)
        self.source_id = str(settings["source_id"])


Generator = SinDDM
