"""Denoising diffusion (Ho et al. 2020) by class, as in Schaudt et al. 2023, section 3.2.2, with diffusers.

A saved model is a pipeline folder of diffusers, which loads it without the suite.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._diffusers_parts import UNET, make_optimizer, save_pipeline, scheduler
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext

version = "4"

TABLE = "Schaudt et al. 2023, Table 3, Unconditional"
DIFFUSERS = "default of diffusers' train_unconditional.py, on which Schaudt et al. built"
OWN = "own addition; the default is what the paper does"
LAN = "Lan 2023, section 3.2.2"
SCHEDULERS = {"ddpm": "DDPMScheduler", "ddim": "DDIMScheduler", "dpmsolver++": "DPMSolverMultistepScheduler"}

card = {
    "title": "DDPM",
    "role": "generator",
    "description": "Denoising diffusion in pixel space with a U-Net, conditioned on the class by an "
    "embedding; with one class it is the paper's unconditional model.",
    "citation": "Ho et al. 2020, arXiv:2006.11239; protocol: Schaudt et al. 2023",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Size, schedule and training; the defaults are the paper's protocol at 256 px."""

    channels: tuple[int, ...] = Field((128, 128, 256, 256, 512, 512), min_length=2, description=DIFFUSERS)
    layers: int = Field(2, ge=1, description=f"residual blocks per level; {DIFFUSERS}")
    attention: bool = Field(True, description=f"at the second deepest level and in the middle; {DIFFUSERS}")
    modulation: Literal["default", "scale_shift"] = Field(
        "default", description=f"how time and class enter a block: added, or also multiplied; {DIFFUSERS}"
    )
    groups: int = Field(32, ge=1, description=f"of the group normalization; {DIFFUSERS}")
    unshuffle: int = Field(1, ge=1, le=8, description=f"side of the pixel blocks folded into channels; {OWN}")
    prediction: Literal["epsilon", "v_prediction", "sample"] = Field("epsilon", description=DIFFUSERS)
    snr_gamma: float | None = Field(None, gt=0, description=f"min-SNR loss weights, arXiv:2303.09556; {OWN}")
    noise_steps: int = Field(1000, ge=2, description=DIFFUSERS)
    noise_schedule: Literal["linear", "squaredcos_cap_v2"] = Field("linear", description=DIFFUSERS)
    steps: int = Field(13_750, ge=1, description=f"training steps; {TABLE}")
    batch_size: int = Field(8, ge=1, description=TABLE)
    balance: float = Field(0.0, ge=0, le=1, description=f"0 draws images, 1 draws classes equally; {OWN}")
    learning_rate: float = Field(1e-4, gt=0, description=TABLE)
    rate_schedule: Literal["cosine", "constant"] = Field("cosine", description=f"after the warm-up; {TABLE}")
    warmup: int = Field(500, ge=0, description=f"steps; {TABLE}")
    beta1: float = Field(0.95, ge=0, lt=1, description=TABLE)
    beta2: float = Field(0.999, ge=0, lt=1, description=TABLE)
    weight_decay: float = Field(1e-6, ge=0, description=TABLE)
    max_gradient_norm: float = Field(1.0, gt=0, description=TABLE)
    average: float = Field(
        0.0, ge=0, lt=1, description=f"decay of the averaged weights, 0 none; {TABLE}, EMA"
    )
    condition_dropout: float = Field(
        0.0, ge=0, lt=1, description=f"share of images that train without their class; {LAN}, Figure 10"
    )
    guidance: float = Field(
        1.0, ge=0, description=f"1 + w of classifier-free guidance, 1 is none; {LAN}, Figure 11"
    )
    sampler: Literal["ddpm", "ddim", "dpmsolver++"] = Field("ddpm", description=DIFFUSERS)
    denoising_steps: int = Field(250, ge=1, description=TABLE)

    @model_validator(mode="after")
    def _consistent(self) -> Params:
        odd = [c for c in self.channels if c % self.groups]
        if odd:
            raise ValueError(f"channels: {odd[0]} is not a multiple of groups {self.groups}")
        if self.denoising_steps > self.noise_steps:
            raise ValueError("denoising_steps exceeds noise_steps")
        if self.guidance != 1 and not self.condition_dropout:
            raise ValueError("guidance needs condition_dropout: no model is trained without classes")
        return self


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "channels": (8, 16), "layers": 1, "attention": False, "groups": 4, "unshuffle": 2, "steps": 6,
        "batch_size": 4, "warmup": 2, "average": 0.9, "sampler": "dpmsolver++", "denoising_steps": 3,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rate, the prediction target, the averaging and the mixture of classes."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-5, 3e-3, log=True),
        "prediction": trial.suggest_categorical("prediction", ["epsilon", "v_prediction"]),
        "noise_schedule": trial.suggest_categorical("noise_schedule", ["linear", "squaredcos_cap_v2"]),
        "average": trial.suggest_categorical("average", [0.0, 0.99, 0.998]),
        "balance": trial.suggest_float("balance", 0.0, 1.0),
    }


class DDPM(NetworkGenerator):
    """A U-Net that predicts the noise (or the image, or the velocity) of a noised image."""

    name = "ddpm"
    params_type = Params
    tensors: ClassVar[str] = UNET
    formats: ClassVar[frozenset[str]] = frozenset({"diffusers"})

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on the images by class; a single class gives the unconditional model.

        Raises:
            GeneratorError: the image size does not fit the levels of the network, guidance without classes,
                or a loss that is not finite before the first preview.
        """
        p, batches = self.params, self.start(train, context)
        if p.guidance != 1 and len(self.classes) == 1:
            problem = "steers towards a class, but the fit has one class, so the model has no condition"
            raise GeneratorError(f"generator '{self.name}': guidance", problem, "Fit it jointly, or use 1.")
        with training.seeded_weights(context.seed):
            live = self.build()
        self.start_average(live)
        optimizer, schedule = make_optimizer(live, p)
        parts = {"live": live, "optimizer": optimizer, "schedule": schedule, **self.averages()}
        saver = training.StateSaver(context)
        noising = scheduler("DDPMScheduler", self.schedule())
        start = saver.resume(parts)
        for step in range(start, p.steps):
            images, label = batches(step, p.batch_size)
            clean = F.pixel_unshuffle(images, p.unshuffle)
            random = training.step_generator(context.seed, step, self.device)
            loss = self._loss(live, noising, clean, label, random)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(live.parameters(), p.max_gradient_norm)
            optimizer.step()
            schedule.step()
            self.update_average(live)
            if self.has_failed(step + 1, loss, context):
                return
            (rate,) = schedule.get_last_lr()
            self.log(step + 1, {"loss": loss.detach()}, context, learning_rate=rate)
            context.checkpoint(step + 1, p.steps)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    def _loss(
        self, network: nn.Module, noising: Any, clean: Tensor, label: Tensor, random: torch.Generator
    ) -> Tensor:
        """Return the loss of algorithm 1 of Ho et al.: noise the images and predict the noise."""
        time = torch.randint(self.params.noise_steps, (len(clean),), generator=random, device=clean.device)
        noise = torch.randn(clean.shape, generator=random, device=clean.device)
        noised = noising.add_noise(clean, noise, time)
        if self.params.condition_dropout:
            drop = torch.rand(len(label), generator=random, device=label.device)
            label = label.masked_fill(drop < self.params.condition_dropout, len(self.classes))
        target = {"epsilon": lambda: noise, "sample": lambda: clean}.get(
            self.params.prediction, lambda: noising.get_velocity(clean, noise, time)
        )()
        error = (self._predict(network, noised, time, label) - target).square().mean((1, 2, 3))
        return (error * self._loss_weight(noising, time)).mean()

    def _loss_weight(self, noising: Any, time: Tensor) -> Tensor:
        """Return (N,) weights of arXiv:2303.09556, section 3.4; ones without snr_gamma.

        Barely noised images, whose error is not informative, weigh less.
        """
        if self.params.snr_gamma is None:
            return torch.ones(len(time), device=time.device)
        from diffusers.training_utils import compute_snr

        ratio = compute_snr(noising, time)
        capped = ratio.clamp(max=self.params.snr_gamma)
        return {"epsilon": capped / ratio, "sample": capped}.get(self.params.prediction, capped / (ratio + 1))

    def _predict(self, network: nn.Module, noised: Tensor, time: Tensor, label: Tensor) -> Tensor:
        noised = noised.contiguous(memory_format=training.memory_format(self.device))
        with self.autocast():
            predicted: Tensor = network(
                noised, time, class_labels=label if len(self.classes) > 1 else None
            ).sample
        return predicted.float()

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        """Denoise by algorithm 2 of Ho et al., or by a faster sampler over fewer times.

        Raises:
            GeneratorError: more steps than times of the diffusion.
        """
        sampler = self.prepared_sampler(steps)
        side = self.image_size // self.params.unshuffle
        shape = (len(label), self.params.unshuffle**2, side, side)
        x = torch.randn(shape, generator=random, device=self.device)
        return self.denoise(x, label, sampler, sampler.timesteps, random)

    def prepared_sampler(self, steps: int | None) -> Any:
        """Return the sampler with its times set.

        Raises:
            GeneratorError: more steps than times of the diffusion.
        """
        self.refuse_steps(steps, self.params.noise_steps)
        sampler = self.sampler()
        sampler.set_timesteps(steps or self.params.denoising_steps)
        return sampler

    def denoise(
        self, x: Tensor, label: Tensor, sampler: Any, times: Iterable[Tensor], random: torch.Generator
    ) -> Tensor:
        """Denoise (N, C, s, s) folded images over descending times; return (N, 1, S, S) images."""
        extra = {} if self.params.sampler == "ddim" else {"generator": random}
        for time in times:
            predicted = self._guided(x, time.to(self.device), label)
            x = sampler.step(predicted, time, x, **extra).prev_sample
        return F.pixel_shuffle(x, self.params.unshuffle)

    def _guided(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Return the prediction with classifier-free guidance: (1 + w) that of the class - w that of none.

        For one noised image noise, image and velocity are affine in each other, so it is the same for all.
        Source: Lan 2023, Figure 11 (Ho and Salimans 2022, algorithm 2).
        """
        conditional = self._predict(self.network, x, time, label)
        if self.params.guidance == 1 or len(self.classes) == 1:
            return conditional
        free = self._predict(self.network, x, time, torch.full_like(label, len(self.classes)))
        return free + self.params.guidance * (conditional - free)

    def sampler(self) -> Any:
        """Return the scheduler of diffusers that draws."""
        # few steps are best spent from the last time on (arXiv:2305.08891); many, as the paper's library does
        spacing = {} if self.params.sampler == "ddpm" else {"timestep_spacing": "trailing"}
        return scheduler(SCHEDULERS[self.params.sampler], self.schedule() | spacing)

    def schedule(self) -> dict[str, Any]:
        """Return the noise schedule and the prediction, as parameters of a scheduler of diffusers."""
        p = self.params
        return {
            "num_train_timesteps": p.noise_steps,
            "beta_schedule": p.noise_schedule,
            "prediction_type": p.prediction,
        }

    def build(self) -> nn.Module:
        """Build the U-Net.

        Raises:
            GeneratorError: its levels do not divide the image size.
        """
        p, levels = self.params, len(self.params.channels)
        if self.image_size % (p.unshuffle * 2 ** (levels - 1)):
            raise GeneratorError(
                f"generator '{self.name}': channels",
                f"{levels} levels and unshuffle {p.unshuffle} do not divide images of {self.image_size} px",
                f"Use a multiple of {p.unshuffle * 2 ** (levels - 1)} px, or fewer levels.",
            )
        attend = [p.attention and level == levels - 2 for level in range(levels)]
        from diffusers import UNet2DModel

        network: Any = UNet2DModel(
            sample_size=self.image_size // p.unshuffle,
            in_channels=p.unshuffle**2,
            out_channels=p.unshuffle**2,
            layers_per_block=p.layers,
            block_out_channels=p.channels,
            down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in attend),
            up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attend)),
            norm_num_groups=p.groups,
            resnet_time_scale_shift=p.modulation,
            add_attention=p.attention,
            num_class_embeds=len(self.classes) + bool(p.condition_dropout) if len(self.classes) > 1 else None,
        )
        return training.place(network, self.device)

    def save(self, folder: Path) -> None:
        """Write the averaged weights as a pipeline folder of diffusers, and what the suite needs as JSON."""
        super().save(folder)
        save_pipeline(folder, self.network, self.sampler())


Generator = DDPM
