"""Base of StyleGAN and PGGAN: phases of the growth, the critic, latent codes."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.generators import _gan_layers as layers
from benchmark.generators import _growth as growing
from benchmark.generators._gan_training import GanGenerator
from benchmark.generators._growth import Growth, Phase
from benchmark.plugins.contexts import SampleContext


class GrowingGan(GanGenerator):
    """A GAN whose images double their side; it has a latent space (``plugins.latent_space``).

    Its ``params`` have ``channels`` and ``channels_by_side`` too.

    Attributes:
        phase: moment of the growth.
        blur: resample bilinearly.
    """

    blur: ClassVar[bool]

    critic: layers.Critic

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.phase = Phase(0, 1.0, 0)

    @property
    def growth(self) -> Growth:
        """The growth to the fitted image size."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        return self.growth.total

    @property
    def previews_from(self) -> int:
        return self.growth.growing_steps

    def grow_to(self, step: int) -> Phase:
        """Set and return the phase of a step."""
        self.phase = self.growth.at(step)
        return self.phase

    def sizes(self) -> tuple[int, list[int]]:
        """Return the side at level 0, and the number of maps per level.

        Raises:
            GeneratorError: doubling does not reach the image size.
        """
        p = self.params
        return growing.sides(self.image_size)[0], growing.channels(
            self.image_size, p.channels, p.channels_by_side
        )

    def build_critic(self) -> layers.Critic:
        return self.place(layers.Critic(*self.sizes(), self.critic_classes, blur=self.blur))

    @property
    def critic_classes(self) -> int:
        """Number of classes that the critic tells apart."""
        return len(self.classes)

    def prepare(self, images: Tensor) -> Tensor:
        return growing.shrink(images, self.growth, self.phase)

    def score(self, images: Tensor, label: Tensor) -> Tensor:
        score: Tensor = self.critic(images, label, self.phase.level, self.phase.blend)
        return score

    def from_latents(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """Synthesize (N, 1, S, S) images of this phase from (N, D) codes, differentiably."""
        raise NotImplementedError

    @property
    def latent_size(self) -> int:
        """Length of a latent code."""
        raise NotImplementedError

    @property
    def code_truncation(self) -> float | None:
        """Truncation of the codes of samples; None for the normal law of training."""
        return None

    def latents(self, count: int, random: torch.Generator, truncation: float | None = None) -> Tensor:
        """Draw (N, D) normal codes; with ``truncation``, entries beyond it are drawn again."""
        shape = (count, self.latent_size)
        if truncation is None:
            return torch.randn(shape, generator=random, device=self.device)
        codes = torch.empty(shape, device=self.device)
        return nn.init.trunc_normal_(codes, 0.0, 1.0, -truncation, truncation, generator=random)

    def decode(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        """See benchmark.plugins.latent_space.LatentSpace."""
        with self.autocast():
            images = self.from_latents(latents, label, random)
        images = F.interpolate(images, size=self.image_size, mode="bilinear", align_corners=False)
        return images.float().add(1).div(2)

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        """Draw from the averaged generator; before the full size is reached, enlarged to it."""
        codes = self.latents(len(label), random, self.code_truncation)
        return self.decode(codes, label, random).mul(2).sub(1)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "level": self.phase.level, "blend": self.phase.blend}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        super().restore(arrays, settings, context)
        self.phase = Phase(int(settings["level"]), float(settings["blend"]), 0)
