"""FewDDM (Zhang et al. 2023, section 5.3): SinDDM that learns from the few images of a class."""

from typing import ClassVar

from benchmark.generators._single_image_diffusion import (
    Params,
    SingleImageDiffusion,
    described,
    search_space,
    tiny,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext

__all__ = ["Generator", "Params", "card", "search_space", "tiny", "version"]

version = "2"
card = described(
    "FewDDM",
    "One denoiser for all scales of two or three images; a batch has noised variants of one of them. Where a "
    "class has a single image it is SinDDM with another seed, and a note says so.",
)


class FewDDM(SingleImageDiffusion):
    """A diffusion model of a few images."""

    name = "fewddm"
    fit_unit: ClassVar[str] = "per_class"
    stream: ClassVar[int] = 1  # else the rows of both would be one row in folds with one still

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on the images of a class.

        Raises:
            GeneratorError: there are no images, or unusable ones; or the loss is not finite.
        """
        if len(train) == 1:
            context.note(
                "fewddm has one training image of its class here, with which it is sinddm of another seed"
            )
        super().fit(train, context)


Generator = FewDDM
