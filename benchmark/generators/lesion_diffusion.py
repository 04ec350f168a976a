"""Lesion-preserving conditional diffusion (Papadopoulos and Georgiou 2024): label, mask, text, hybrids."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._diffusers_parts import make_optimizer, scheduler
from benchmark.generators._lesion_conditions import (
    Conditions,
    always_masked,
    at_size,
    check_training,
    healthy_text,
)
from benchmark.generators._lesion_latent import LatentSpace, train_autoencoder
from benchmark.generators._lesion_loss import PerceptualError, inside, structural_error
from benchmark.generators._lesion_network import LesionNetwork, new_text_encoder
from benchmark.generators._lesion_params import Params
from benchmark.generators._lesion_sampling import LesionSampling
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext
from benchmark.plugins.generator import Asset

version = "1"

COLUMNS = {"label": "label", "mask": "mask", "text": "prompt"}  # of a request, by condition

card = {
    "title": "Lesion-preserving diffusion",
    "role": "generator",
    "description": "Denoising diffusion conditioned on the finding, a mask of the lesion, a sentence, or any "
    "combination of them; the loss counts the lesion region again.",
    "citation": "Papadopoulos and Georgiou 2024; Ho et al. 2020, arXiv:2006.11239",
    "license": "Apache-2.0",
}


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
    """Return the pre-trained text encoder and the autoencoder, where they are given."""
    given = {
        "text_encoder": params.text_encoder if "text" in params.conditions else None,
        "autoencoder": params.latent.folder if params.latent else None,
    }
    return tuple(Asset(name, folder=folder) for name, folder in given.items() if folder is not None)


class LesionDiffusion(LesionSampling):
    """A conditional U-Net, trained with the lesion-preservation loss and drawn by DDIM."""

    name = "lesion_diffusion"
    params_type = Params
    conditions: ClassVar[set[str]] = {"label", "mask", "prompt"}

    @property
    def steps(self) -> int:
        """Number of steps of a fit, with those of an autoencoder that is trained here."""
        latent = self.params.latent
        return int(self.params.steps) + (latent.steps if latent is not None and latent.folder is None else 0)

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
        first = self.use_latent_space(train, region, batches, context)
        with training.seeded_weights(context.seed):
            live = self.build()
        self.start_average(live)
        optimizer, schedule = make_optimizer(live, p)
        parts = {"live": live, "optimizer": optimizer, "schedule": schedule, **self.averages()}
        parts |= {} if self.latent is None else {"autoencoder": self.latent}
        saver, noising = training.StateSaver(context), scheduler("DDPMScheduler", self.schedule())
        begun = "live" in (context.load_state() or {})  # else the last state is one of the autoencoder
        for step in range(saver.resume(parts) if begun else 0, p.steps):
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
            if self.has_failed(first + step + 1, loss, context):
                return
            rate = schedule.get_last_lr()[0]
            self.log(first + step + 1, {**losses, "loss": loss.detach()}, context, learning_rate=rate)
            context.checkpoint(first + step + 1, first + p.steps, first=first)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    def use_latent_space(
        self, train: ImageSet, region: np.ndarray | None, batches: training.Batches, context: FitContext
    ) -> int:
        """Read or train the autoencoder of the latent space; return the number of its training steps.

        Raises:
            GeneratorError: the side of the images is no multiple of its factor, the folder has none, or its
                loss is not finite.
        """
        p = self.params.latent
        if p is None:
            return 0
        p.check_size(self.image_size, self.name)
        if folder := context.assets.get("autoencoder"):
            self.latent = training.place(LatentSpace.read(folder, p), self.device)
            return 0
        weights = (self.params.lesion_noise, region)
        self.latent = train_autoencoder(p, batches, weights, context, self.params.steps)
        return p.steps

    def _losses(
        self, network: nn.Module, noising: Any, image: Tensor, given: Conditions, mask: Tensor | None,
        random: torch.Generator, perceptual: PerceptualError | None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Return the loss and its terms: the prediction error, and that of the lesion region in three ways.

        In a latent space the first is of latents, with the mask at their size, and the others of the decoded
        image. The clean image that a prediction implies means little under much noise, so its terms weigh as
        much as the image's share of the variance (alpha bar; an own choice).
        """
        p = self.params
        clean = image if self.latent is None else self.latent.encode(image)
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
            share, n = noising.alphas_cumprod.to(clean.device)[time], len(clean)
            implied = self.clean_image(predicted, noised, share)
            if self.latent is not None:
                n = min(n, p.latent.decoded)
                implied = self.latent.decode(implied[:n]).clamp(-1, 1)
            shown = (implied, image[:n], mask[:n])
            terms = {
                "lesion_noise": lambda: weight * inside(error, at_size(mask, error.shape[-1])),
                "lesion_ssim": lambda: share[:n] * structural_error(*shown),
                "lesion_perceptual": lambda: share[:n] * perceptual(*shown) if perceptual else None,
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
        side = self.image_size // (p.latent.factor if p.latent else 1)
        if side % factor:
            of = " of the latent space" if p.latent else ""
            raise GeneratorError(
                f"generator '{self.name}': channels",
                f"{len(p.channels)} levels and unshuffle {p.unshuffle} do not divide {side} px{of}",
                f"Use a multiple of {factor} px, or fewer levels.",
            )
        text = None
        if "text" in p.conditions and self.frozen_text is None:
            tokenizer = self.encoder.tokenizer
            text = new_text_encoder(tokenizer, p.tokens, p.text_width, p.text_layers, heads=2)
        width = p.text_width if self.frozen_text is None else self.frozen_text.config.hidden_size
        network = LesionNetwork(
            p, side=side, channels=p.latent.latent_channels if p.latent else 1, classes=len(self.classes),
            mask_channels=self.encoder.mask_channels, text=text, width=width,
        )  # fmt: skip
        return training.place(network, self.device)


def _region(masks: np.ndarray, device: str) -> Tensor:
    """Return (N, 1, S, S) in 0 and 1 of uint8 masks."""
    return torch.from_numpy(masks > 127).to(device).float().unsqueeze(1)


Generator = LesionDiffusion
