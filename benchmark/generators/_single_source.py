"""The part that models of one image share: they refuse several, and their samples name their source."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from benchmark.errors import GeneratorError
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples


class SingleSource(NetworkGenerator):
    """A generator of one image. Precedes the generator that it completes among the bases.

    Attributes:
        source_id: of the training image.
        remedy: what to do where there are several images.
    """

    fit_unit: ClassVar[str] = "per_image"
    remedy: ClassVar[str] = "Fit it per_image."

    source_id = ""

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on one image.

        Raises:
            GeneratorError: there are several images, or an unusable one; or a loss is not finite.
        """
        if len(train) > 1:
            problem = f"learns from one image, got {len(train)}"
            raise GeneratorError(f"generator '{self.name}'", problem, self.remedy)
        self.source_id = str(train.image_id[0]) if len(train) else ""
        super().fit(train, context)  # type: ignore[misc]  # of the other base

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
