"""Lesion-preserving conditional diffusion (Papadopoulos and Georgiou 2024): label, mask, text, hybrids."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._diffusers_parts import make_optimizer, scheduler
from benchmark.generators._lesion_conditions import (
    Conditions,
    always_masked,
    check_training,
    healthy_text,
)
from benchmark.generators._lesion_loss import PerceptualError, inside, structural_error
from benchmark.generators._lesion_network import LesionNetwork, new_text_encoder
from benchmark.generators._lesion_sampling import LesionSampling
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext
from benchmark.plugins.generator import Asset

version = "1"

PAPER = "Papadopoulos and Georgiou 2024"
OWN = "own choice; the paper has no value"
SAME = "as ddpm, whose source is Schaudt et al. 2023, Table 3, or diffusers"
COLUMNS = {"label": "label", "mask": "mask", "text": "prompt"}  # of a request, by condition

card = {
    "title": "Lesion-preserving diffusion",
    "role": "generator",
    "description": "Denoising diffusion conditioned on the finding, a mask of the lesion, a sentence, or any "
    "combination of them; the loss counts the lesion region again.",
    "citation": "Papadopoulos and Georgiou 2024; Ho et al. 2020, arXiv:2006.11239",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Conditions, loss, network and training; the paper gives the structure, and few numbers."""

    conditions: tuple[Literal["label", "mask", "text"], ...] = Field(
        ("label", "mask", "text"), min_length=1, description=f"{PAPER}, Table 1; the default is its last row"
    )
    mask_channels: Literal["one", "by_class"] = Field(
        "by_class", description=f"binary or multi-class mask; {PAPER}, Conditioning mechanism"
    )
    lesion_noise: float = Field(
        1.0,
        ge=0,
        description=f"weight of the error inside the mask; {PAPER}, Lesion preservation loss; {OWN}",
    )
    lesion_ssim: float = Field(0.1, ge=0, description=f"weight of 1 - SSIM of the lesion region; {OWN}")
    lesion_perceptual: float = Field(
        0.1, ge=0, description=f"weight of the distance of a classifier's features of the region; {OWN}"
    )
    text_encoder: Path | None = Field(
        None, description=f"folder of a pre-trained CLIPTextModel with its tokenizer; None trains one; {OWN}"
    )
    text_width: int = Field(128, ge=8, description=f"of the text encoder that is trained; {OWN}")
    text_layers: int = Field(2, ge=1, description=f"of the text encoder that is trained; {OWN}")
    tokens: int = Field(32, ge=4, le=77, description=f"longest text; the sentences have up to 25; {OWN}")
    channels: tuple[int, ...] = Field((128, 128, 256, 256, 512, 512), min_length=2, description=SAME)
    layers: int = Field(2, ge=1, description=f"residual blocks per level; {SAME}")
    attention: int = Field(
        2,
        ge=1,
        description=f"number of the lowest resolutions with attention; {PAPER}, Reverse denoising network",
    )
    heads: int = Field(8, ge=1, description=f"of an attention; {OWN}")
    modulation: Literal["default", "scale_shift"] = Field("default", description=SAME)
    groups: int = Field(32, ge=1, description=f"of the group normalization; {SAME}")
    unshuffle: int = Field(1, ge=1, le=8, description=f"side of pixel blocks folded into channels; {SAME}")
    prediction: Literal["epsilon", "v_prediction", "sample"] = Field(
        "epsilon", description=f"{PAPER}, Reverse denoising network: the noise"
    )
    snr_gamma: float | None = Field(None, gt=0, description="min-SNR loss weights, arXiv:2303.09556")
    noise_steps: int = Field(1000, ge=2, description=f"{PAPER}, Forward diffusion process: one thousand")
    noise_schedule: Literal["linear", "squaredcos_cap_v2"] = Field(
        "squaredcos_cap_v2", description=f"linear or cosine; {PAPER}, Forward diffusion process"
    )
    steps: int = Field(13_750, ge=1, description=f"training steps; {SAME}")
    batch_size: int = Field(8, ge=1, description=SAME)
    balance: float = Field(1.0, ge=0, le=1, description="0 draws images, 1 draws classes equally; " + OWN)
    learning_rate: float = Field(1e-4, gt=0, description=SAME)
    rate_schedule: Literal["cosine", "constant"] = Field("cosine", description=SAME)
    warmup: int = Field(500, ge=0, description=f"steps; {SAME}")
    beta1: float = Field(0.95, ge=0, lt=1, description=SAME)
    beta2: float = Field(0.999, ge=0, lt=1, description=SAME)
    weight_decay: float = Field(1e-6, ge=0, description=SAME)
    max_gradient_norm: float = Field(1.0, gt=0, description=SAME)
    average: float = Field(0.999, ge=0, lt=1, description=f"decay of the averaged weights, 0 none; {OWN}")
    condition_dropout: float = Field(0.0, ge=0, lt=1, description="share trained without conditions; " + OWN)
    guidance: float = Field(1.0, ge=0, description=f"1 + w of classifier-free guidance; {OWN}")
    denoising_steps: int = Field(
        50, ge=1, le=50, description=f"DDIM, 50 or fewer; {PAPER}, Implementation pathways"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Params:
        if len(set(self.conditions)) < len(self.conditions):
            raise ValueError("conditions: one is named twice")
        for name in ("groups", "heads"):
            wrong = [c for c in self.channels if c % getattr(self, name)]
            if wrong:
                raise ValueError(f"channels: {wrong[0]} is not a multiple of {name} {getattr(self, name)}")
        if self.attention > len(self.channels):
            raise ValueError("attention exceeds the number of channels")
        if self.denoising_steps > self.noise_steps:
            raise ValueError("denoising_steps exceeds noise_steps")
        if self.guidance != 1 and not self.condition_dropout:
            raise ValueError("guidance needs condition_dropout: no model is trained without conditions")
        return self


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "conditions": ("label",), "lesion_perceptual": 0, "text_width": 8, "text_layers": 1, "heads": 2,
        "channels": (8, 16), "layers": 1, "attention": 1, "groups": 4, "unshuffle": 2, "steps": 6,
        "batch_size": 4, "warmup": 2, "average": 0.9, "denoising_steps": 3,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rate, the prediction target and the weights of the loss."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 5e-5, 3e-3, log=True),
        "prediction": trial.suggest_categorical("prediction", ["epsilon", "v_prediction", "sample"]),
        "lesion_noise": trial.suggest_float("lesion_noise", 0.1, 10.0, log=True),
        "lesion_ssim": trial.suggest_float("lesion_ssim", 0.01, 1.0, log=True),
    }


def conditions_of(params: Params) -> set[str]:
    """Return the columns of a request that a model with these parameters reads."""
    return {"label"} | {COLUMNS[kind] for kind in params.conditions}


def requires(params: Params) -> set[str]:
    """Return that the perceptual term needs the classifier of the stage ``guide``."""
    return {"classifier"} if params.lesion_perceptual else set()


def assets(params: Params) -> tuple[Asset, ...]:
    """Return the pre-trained text encoder, where one is given."""
    reads = params.text_encoder is not None and "text" in params.conditions
    return (Asset("text_encoder", folder=params.text_encoder),) if reads else ()


class LesionDiffusion(LesionSampling):
    """A conditional U-Net, trained with the lesion-preservation loss and drawn by DDIM."""

    name = "lesion_diffusion"
    params_type = Params
    conditions: ClassVar[set[str]] = {"label", "mask", "prompt"}

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on images with their findings, masks and sentences.

        Without masks the lesion-preservation loss has no region: a note says that it was left out.

        Raises:
            GeneratorError: a condition is missing in the images, the network does not fit their size, or the
                loss is not finite before the first preview.
        """
        p, batches = self.params, self.start(train, context)
        check_training(train, p.conditions, self.name)
        self.masked, self.healthy_text = always_masked(train, batches.position), healthy_text(train)
        self.use_text(context)
        given = self.training_conditions(train, batches.position)
        region = None if train.mask is None else np.ascontiguousarray(train.mask)
        if region is None and p.lesion_noise + p.lesion_ssim + p.lesion_perceptual:
            context.note("the images have no masks: trained without the lesion-preservation loss")
        perceptual = self._perceptual(context) if region is not None and p.lesion_perceptual else None
        with training.seeded_weights(context.seed):
            live = self.build()
        self.start_average(live)
        optimizer, schedule = make_optimizer(live, p)
        parts = {"live": live, "optimizer": optimizer, "schedule": schedule, **self.averages()}
        saver, noising = training.StateSaver(context), scheduler("DDPMScheduler", self.schedule())
        for step in range(saver.resume(parts), p.steps):
            rows = training.draw_batch(batches.position, p.batch_size, step, context.seed, p.balance)
            images, _ = batches(step, p.batch_size)
            mask = None if region is None else _region(region[rows], self.device)
            random = training.step_generator(context.seed, step, self.device)
            losses = self._losses(
                live, noising, images, given(rows).to(self.device), mask, random, perceptual
            )
            loss = losses["loss"]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(live.parameters(), p.max_gradient_norm)
            optimizer.step()
            schedule.step()
            self.update_average(live)
            if self.has_failed(step + 1, loss, context):
                return
            self.log(
                step + 1, {**losses, "loss": loss.detach()}, context, learning_rate=schedule.get_last_lr()[0]
            )
            context.checkpoint(step + 1, p.steps)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    def _losses(
        self, network: nn.Module, noising: Any, clean: Tensor, given: Conditions, mask: Tensor | None,
        random: torch.Generator, perceptual: PerceptualError | None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Return the loss and its terms: the prediction error, and that of the lesion region in three ways.

        The clean image that a prediction implies means little under much noise, so its terms weigh as much as
        the image's share of the variance (alpha bar; an own choice).
        """
        p = self.params
        time = torch.randint(p.noise_steps, (len(clean),), generator=random, device=clean.device)
        noise = torch.randn(clean.shape, generator=random, device=clean.device)
        noised = noising.add_noise(clean, noise, time)
        if p.condition_dropout:
            drop = torch.rand(len(clean), generator=random, device=clean.device) < p.condition_dropout
            given = given.without(drop, self.empty_text)
        predicted = self.predict(network, noised, time, given)
        target = {"epsilon": noise, "sample": clean}.get(p.prediction)
        target = noising.get_velocity(clean, noise, time) if target is None else target
        error, weight = (predicted - target).square(), self.loss_weight(noising, time)
        losses = {"error": (weight * error.mean((1, 2, 3))).mean()}
        if mask is not None:
            share = noising.alphas_cumprod.to(clean.device)[time]
            image = self.clean_image(predicted, noised, share)
            terms = {
                "lesion_noise": lambda: weight * inside(error, mask),
                "lesion_ssim": lambda: share * structural_error(image, clean, mask),
                "lesion_perceptual": lambda: share * perceptual(image, clean, mask) if perceptual else None,
            }
            for name, term in terms.items():
                if scale := getattr(p, name):
                    losses[name] = scale * term().mean()
        return {
            "loss": torch.stack(list(losses.values())).sum(),
            **{k: v.detach() for k, v in losses.items()},
        }

    def _perceptual(self, context: FitContext) -> PerceptualError:
        """Return the perceptual term.

        Raises:
            GeneratorError: the run has no classifier.
        """
        if context.classifier is None:
            raise GeneratorError(
                f"generator '{self.name}': lesion_perceptual",
                "needs a classifier of real images, which this run does not have",
                "Run it in a task, whose stage guide trains one; or set it to 0.",
            )
        return PerceptualError(context.classifier)

    def build(self) -> nn.Module:
        """Build the network, with a text encoder where none is given.

        Raises:
            GeneratorError: its levels do not divide the image size.
        """
        p, factor = self.params, self.params.unshuffle * 2 ** (len(self.params.channels) - 1)
        if self.image_size % factor:
            raise GeneratorError(
                f"generator '{self.name}': channels",
                f"{len(p.channels)} levels and unshuffle {p.unshuffle} do not divide {self.image_size} px",
                f"Use a multiple of {factor} px, or fewer levels.",
            )
        text = None
        if "text" in p.conditions and self.frozen_text is None:
            tokenizer = self.encoder.tokenizer
            text = new_text_encoder(tokenizer, p.tokens, p.text_width, p.text_layers, heads=2)
        width = p.text_width if self.frozen_text is None else self.frozen_text.config.hidden_size
        network = LesionNetwork(
            p, side=self.image_size, channels=1, classes=len(self.classes),
            mask_channels=self.encoder.mask_channels, text=text, width=width,
        )  # fmt: skip
        return training.place(network, self.device)


def _region(masks: np.ndarray, device: str) -> Tensor:
    """Return (N, 1, S, S) in 0 and 1 of uint8 masks."""
    return torch.from_numpy(masks > 127).to(device).float().unsqueeze(1)


Generator = LesionDiffusion
