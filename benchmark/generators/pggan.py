"""Progressive growing GAN (Karras et al. 2018), unsupervised, as in Segal et al. 2021, section 3.2."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.generators import _gan_layers as layers
from benchmark.generators import _growth as growing
from benchmark.generators._gan_training import Setting
from benchmark.generators._growing_gan import GrowingGan
from benchmark.generators._growth import Growth
from benchmark.plugins.contexts import SampleContext

version = "1"

SEGAL = "Segal et al. 2021, section 3.2"
KARRAS = "Karras et al. 2018, arXiv:1710.10196"
ZOO = "default of pytorch_GAN_zoo, on which Segal et al. built"
OWN = "own addition; the default is what the paper does"
CRITIC = "critic."  # prefix of the critic's arrays

card = {
    "title": "PGGAN",
    "role": "generator",
    "description": "Progressive growing from 4 px with WGAN-GP, pixel norm, minibatch standard deviation and "
    "equalized learning rates; unconditional; the averaged generator is sampled.",
    "citation": f"{KARRAS}; protocol: Segal et al. 2021, arXiv:2010.03975",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Size, schedule and training; the defaults are the paper's protocol at 1024 px."""

    latent: int = Field(512, ge=2, description=f"length of codes; {ZOO}")
    channels: int = Field(512, ge=1, description=f"largest number of maps; {ZOO}")
    channels_by_side: int = Field(16_384, ge=1, description=f"maps times side at high resolution; {ZOO}")
    images_per_stage: int = Field(800_000, ge=1, description=f"real images at each size, faded in; {SEGAL}")
    images_per_fade: int = Field(800_000, ge=1, description=f"real images while a size fades in; {SEGAL}")
    batch_size: int = Field(16, ge=1, description=ZOO)
    learning_rate: float = Field(1e-3, gt=0, description=ZOO)
    beta1: float = Field(0.0, ge=0, lt=1, description=f"{KARRAS}, appendix A.1")
    beta2: float = Field(0.99, ge=0, lt=1, description=f"{KARRAS}, appendix A.1")
    penalty: float = Field(10.0, ge=0, description=f"gradient penalty of WGAN-GP; {ZOO}")
    drift: float = Field(1e-3, ge=0, description=f"pull of real scores to 0; {ZOO}")
    average: float = Field(
        0.999, ge=0, lt=1, description=f"decay of the averaged generator (has one: {SEGAL}); {KARRAS}, A.1"
    )
    augmentation: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        (), description=f"DiffAugment; {OWN}"
    )
    balance: float = Field(0.0, ge=0, le=1, description=f"0 draws images, 1 draws classes equally; {OWN}")
    truncation: float | None = Field(
        None, gt=0, description="of the normal law of codes, None for none; Segal et al. 2021, figure 2"
    )


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "latent": 8, "channels": 8, "batch_size": 4, "images_per_stage": 4, "images_per_fade": 4,
        "average": 0.9,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rate, the penalty, the averaging and the batch."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 4e-3, log=True),
        "penalty": trial.suggest_float("penalty", 1.0, 20.0, log=True),
        "average": trial.suggest_categorical("average", [0.99, 0.995, 0.999]),
        "batch_size": trial.suggest_categorical("batch_size", [8, 16, 32]),
    }


class ProgressiveNetwork(nn.Module):
    """From a code to an image; every activation has unit length at each position."""

    def __init__(self, side: int, channels: list[int], latent: int, colors: int = 1) -> None:
        super().__init__()
        self.shape = (channels[0], side, side)
        self.dense = layers.Linear(latent, channels[0] * side**2, gain=layers.GAIN)
        self.enlarge = nn.ModuleList(layers.Conv(a, b, resample="up") for a, b in pairwise(channels))
        self.convolve = nn.ModuleList(layers.Conv(c, c) for c in channels)
        self.to_gray = nn.ModuleList(layers.Conv(c, colors, 1, gain=1.0) for c in channels)

    def forward(self, latents: Tensor, level: int, blend: float) -> Tensor:
        """Synthesize (N, 1, S, S) from (N, D) codes; ``blend`` < 1 blends in the previous level."""
        x = _normalized(self.dense(layers.unit_length(latents)).unflatten(1, self.shape))
        previous = None
        for i in range(level + 1):
            if i == level and blend < 1:
                previous = self.to_gray[i - 1](x).float()
            if i:
                x = _normalized(self.enlarge[i - 1](x))
            x = _normalized(self.convolve[i](x))
        return layers.blend_in(previous, self.to_gray[level](x).float(), blend)


def _normalized(x: Tensor) -> Tensor:
    return layers.unit_length(layers.activate(x))


class PGGAN(GrowingGan):
    """A generator without classes against a critic whose features can be reused."""

    name = "pggan"
    params_type = Params
    conditions: ClassVar[set[str]] = set()
    blur = False

    network: ProgressiveNetwork

    @property
    def growth(self) -> Growth:
        """The growth from 4 px to the fitted image size."""
        p, levels = self.params, growing.sides(self.image_size)[1]
        fade = -(-p.images_per_fade // p.batch_size)
        steps = -(-p.images_per_stage // p.batch_size)
        return Growth(
            self.image_size,
            (steps,) + (fade + steps,) * (levels - 1),
            (0.0,) + (float(fade),) * (levels - 1),
        )

    def move_to(self, step: int) -> Setting:
        p, phase = self.params, self.grow_to(step)
        return Setting(phase.level, phase.since, p.batch_size, p.learning_rate, p.learning_rate)

    def synthesize(self, network: Any, label: Tensor, random: torch.Generator) -> Tensor:
        codes = torch.randn(len(label), self.params.latent, generator=random, device=self.device)
        images: Tensor = network(codes, self.phase.level, self.phase.blend)
        return images

    def from_latents(self, latents: Tensor, label: Tensor, random: torch.Generator) -> Tensor:
        images: Tensor = self.network(latents, self.phase.level, self.phase.blend)
        return images

    @property
    def latent_size(self) -> int:
        return int(self.params.latent)

    @property
    def critic_classes(self) -> int:
        return 1

    @property
    def feature_size(self) -> int:
        """See benchmark.plugins.latent_space.CriticFeatures."""
        return self.sizes()[1][0]

    def critic_features(self, images: Tensor, *, alone: bool = False) -> Tensor:
        """See benchmark.plugins.latent_space.CriticFeatures."""
        small = F.avg_pool2d(images.mul(2).sub(1), self.image_size // self.growth.size(self.phase.level))
        with self.autocast():
            return self.critic.features(small, self.phase.level, self.phase.blend, alone=alone)

    def critic_parameters(self) -> list[nn.Parameter]:
        """See benchmark.plugins.latent_space.CriticFeatures."""
        unused = {id(p) for p in self.critic.score.parameters()}
        return [p for p in self.critic.parameters() if id(p) not in unused]

    @property
    def code_truncation(self) -> float | None:
        truncation: float | None = self.params.truncation
        return truncation

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights of generator and critic by name."""
        critic = {CRITIC + k: v.detach().cpu().numpy() for k, v in self.critic.state_dict().items()}
        return {**super().arrays(), **critic}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        own = {k: v for k, v in arrays.items() if not k.startswith(CRITIC)}
        super().restore(own, settings, context)
        self.critic = self.build_critic()
        stored = {k.removeprefix(CRITIC): v for k, v in arrays.items() if k not in own}
        self.load_weights(self.critic, stored)

    def build(self) -> ProgressiveNetwork:
        """Build the generator.

        Raises:
            GeneratorError: doubling does not reach the image size.
        """
        return self.place(ProgressiveNetwork(*self.sizes(), self.params.latent), normalizes=True)


Generator = PGGAN
