"""SinDDM (Kulikov et al. 2023), diffusion over the scales of a single image, as in Zhang et al. 2023."""

from typing import ClassVar

from benchmark.generators._single_image_diffusion import (
    Params,
    SingleImageDiffusion,
    described,
    search_space,
    tiny,
)
from benchmark.generators._single_source import SingleSource

__all__ = ["Generator", "Params", "card", "search_space", "tiny", "version"]

version = "1"
card = described(
    "SinDDM",
    "One denoiser for all scales of one image; images are drawn coarse to fine, each scale from the enlarged "
    "and noised image of the coarser one.",
)


class SinDDM(SingleSource, SingleImageDiffusion):
    """A diffusion model of one image; its samples name that image."""

    name = "sinddm"
    remedy: ClassVar[str] = "Fit it per_image, or use fewddm."


Generator = SinDDM
