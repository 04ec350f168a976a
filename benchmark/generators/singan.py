"""SinGAN (Shaham et al. 2019): a pyramid of patch GANs on one image, as in Zhang et al. 2023, section 3.2."""

from typing import Any, ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.generators._gan_failures import COMPARED
from benchmark.generators._gan_training import GanGenerator, Setting
from benchmark.generators._singan_pyramid import Pyramid, patch_network, pyramid_sides, randn, resize
from benchmark.generators._single_source import SingleSource

version = "1"

ZHANG = "Zhang et al. 2023, section 4.2.2"
SHAHAM = "default of the code of Shaham et al. 2019, which Zhang et al. use"
OWN = "own addition; the default is what the paper does"

card = {
    "title": "SinGAN",
    "role": "generator",
    "description": "A pyramid of patch GANs, trained coarse to fine on one image; each scale adds detail "
    "to the enlarged image of the coarser ones.",
    "citation": "Shaham et al. 2019, arXiv:1905.01164; protocol: Zhang et al. 2023",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Pyramid and training; the defaults are the paper's protocol."""

    epochs: int = Field(2000, ge=1, description=f"of each scale, which is frozen then; {ZHANG}")
    smallest: int = Field(25, ge=8, description=f"side of the coarsest scale, px; {SHAHAM}")
    largest: int = Field(250, ge=8, description=f"side of the finest scale at most, px; {SHAHAM}")
    factor: float = Field(0.75, gt=0, lt=1, description=f"between the sides of scales, about; {SHAHAM}")
    channels: int = Field(32, ge=1, description=f"maps; doubled every four scales up to 128; {SHAHAM}")
    layers: int = Field(5, ge=2, description=f"convolutions of generator and critic; {SHAHAM}")
    noise: float = Field(0.1, ge=0, description=f"noise, times the error of the reconstruction; {SHAHAM}")
    reconstruction: float = Field(10.0, ge=0, description=f"weight of the reconstruction; {SHAHAM}")
    critic_updates: int = Field(3, ge=1, description=f"per epoch; {SHAHAM}")
    generator_updates: int = Field(3, ge=1, description=f"per epoch; {SHAHAM}")
    learning_rate: float = Field(5e-4, gt=0, description=SHAHAM)
    decay_at: float = Field(0.8, ge=0, le=1, description=f"share of a scale until the rate falls; {SHAHAM}")
    decay: float = Field(0.1, gt=0, le=1, description=f"factor of the rate then; {SHAHAM}")
    beta1: float = Field(0.5, ge=0, lt=1, description=SHAHAM)
    beta2: float = Field(0.999, ge=0, lt=1, description=SHAHAM)
    penalty: float = Field(0.1, ge=0, description=f"gradient penalty of WGAN-GP; {SHAHAM}")
    drift: float = Field(0.0, ge=0, description=f"pull of real scores to 0; {OWN}")
    average: float = Field(0.0, ge=0, le=0, description="no averaged weights; Shaham et al. 2019")
    augmentation: tuple[str, ...] = Field((), max_length=0, description="none; Shaham et al. 2019")
    balance: float = Field(0.0, ge=0, le=0, description="one image has no classes to balance")
    start_scale: int = Field(
        0, ge=0, description="scale that sampling starts from; coarser ones give the source; section 4"
    )


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "epochs": 3, "smallest": 12, "channels": 4, "layers": 3, "critic_updates": 1, "generator_updates": 2,
        "learning_rate": 0.1,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rate, the noise, the weight of the reconstruction and the coarsest side."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 2e-3, log=True),
        "noise": trial.suggest_float("noise", 0.02, 0.5, log=True),
        "reconstruction": trial.suggest_float("reconstruction", 1.0, 100.0, log=True),
        "smallest": trial.suggest_int("smallest", 12, 32),
    }


class SinGAN(SingleSource, GanGenerator):
    """One generator and one critic of patches per scale; a stage of the training is a scale."""

    name = "singan"
    params_type = Params
    conditions: ClassVar[set[str]] = set()
    fit_unit: ClassVar[str] = "per_image"
    fewest_images = 1
    penalty_per_pixel = True
    patience = 1  # a scale is frozen then

    network: Pyramid
    live: Pyramid
    critic: nn.ModuleList

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.critic_updates, self.generator_updates = params.critic_updates, params.generator_updates
        self.scale, self.source_id = 0, ""
        self._rebuilt: tuple[int, Tensor] | None = None  # a scale, and the reconstruction that it refines

    @property
    def sides(self) -> list[int]:
        """Sides of the scales in px, coarsest first."""
        p = self.params
        return pyramid_sides(self.image_size, p.smallest, p.largest, p.factor)

    @property
    def steps(self) -> int:
        return len(self.sides) * int(self.params.epochs)

    @property
    def previews_from(self) -> int:
        return self.steps - int(self.params.epochs)

    def is_logged(self, step: int) -> bool:
        """Return whether a step is logged: those of every network, and the last one of each scale."""
        return super().is_logged(step) or step % int(self.params.epochs) == 0

    def move_to(self, step: int) -> Setting:
        p = self.params
        self.scale, since = divmod(step, p.epochs)
        for i, (generator, critic) in enumerate(zip(self.live.scales, self.critic, strict=True)):
            generator.train(i == self.scale)  # frozen scales normalize by their averages
            critic.train(i == self.scale)
        rate = p.learning_rate * (p.decay if since >= p.decay_at * p.epochs else 1.0)
        return Setting(self.scale, since, 1, rate, rate)

    def begin(self, stage: int, images: Tensor) -> None:
        """Start a scale from the weights of the previous one, and scale its noise by what is missing."""
        live, side = self.live, self.sides[-1]
        if not stage:
            live.source.copy_(resize(images, side, side))
            return
        for scales in (live.scales, self.critic):
            before, own = scales[stage - 1].state_dict(), scales[stage].state_dict()
            if all(before[name].shape == own[name].shape for name in own):
                scales[stage].load_state_dict(before)
        error = (live.real(stage) - live.reconstruction_before(stage)).square().mean().sqrt()
        live.strength[stage] = self.params.noise * error

    def trained(self, stage: int) -> tuple[nn.Module, nn.Module]:
        return self.live.scales[stage], self.critic[stage]

    def prepare(self, images: Tensor) -> Tensor:
        return self.live.real(self.scale)

    def synthesize(self, network: Any, label: Tensor, random: torch.Generator) -> Tensor:
        side = self.sides[-1]
        previous = network.before(self.scale, (len(label), side, side), random, 0)
        image: Tensor = network.refine(self.scale, previous, randn(previous.shape, random))
        return image

    def score(self, images: Tensor, label: Tensor) -> Tensor:
        score: Tensor = self.critic[self.scale](images)
        return score

    def further_loss(self, real: Tensor) -> Tensor:
        """Return the error of the reconstruction from the anchor, so that one noise gives the source."""
        if self._rebuilt is None or self._rebuilt[0] != self.scale:
            self._rebuilt = self.scale, self.live.reconstruction_before(self.scale)
        previous = self._rebuilt[1]
        noise = torch.zeros_like(previous) if self.scale else self.live.anchor
        rebuilt = self.live.refine(self.scale, previous, noise)
        error: Tensor = self.params.reconstruction * F.mse_loss(rebuilt.float(), real)
        return error

    @torch.no_grad()
    def compared(self, setting: Setting, real: Tensor, synthetic: Tensor) -> tuple[Tensor, Tensor]:
        """Return several images of a scale at its end; an update has one, which has no variety."""
        if setting.since + 1 < self.params.epochs:
            return real, synthetic
        self.live.eval()  # the next step goes back
        with self.autocast():
            label = torch.zeros(COMPARED, device=self.device)
            drawn = self.synthesize(self.live, label, torch.Generator(self.device).manual_seed(0))
        return real.expand_as(drawn), drawn

    @torch.no_grad()
    def draw_sized(
        self, count: int, height: int, width: int, random: torch.Generator, start: int = 0
    ) -> Tensor:
        """Draw (N, 1, H, W) images in about [-1, 1] of any size.

        Args:
            start: first scale with noise, 0 for all; coarser ones keep the source's structure.
        """
        network, last = self.network, len(self.sides) - 1
        network.eval()  # the next step of a fit goes back
        with self.autocast():
            x = network.before(last, (count, height, width), random, min(start, last))
            x = network.refine(last, x, randn(x.shape, random))
        return x.float()

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        side = self.sides[-1]
        images = self.draw_sized(len(label), side, side, random, self.params.start_scale)
        return resize(images, self.image_size, self.image_size)

    def build(self) -> Pyramid:
        p, sides = self.params, self.sides
        return self.place(Pyramid(sides, self._widths(), p.layers))

    def build_critic(self) -> nn.ModuleList:
        return self.place(nn.ModuleList(patch_network(w, self.params.layers) for w in self._widths()))

    def _widths(self) -> list[int]:
        return [min(self.params.channels << i // 4, 128) for i in range(len(self.sides))]


Generator = SinGAN
