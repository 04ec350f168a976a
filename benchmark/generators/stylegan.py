"""StyleGAN (Karras et al. 2019) with DiffAugment, as in Schaudt et al. 2023, section 3.2.1."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor
from torch.nn import functional as F

from benchmark.generators import _network_training as training
from benchmark.generators import _stylegan_network as networks
from benchmark.generators._diff_augment import diff_augment
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.generators._stylegan_growth import Growth, Phase
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext

version = "3"

TABLE = "Schaudt et al. 2023, Table 3, GAN"
KARRAS = "Karras et al. 2019, arXiv:1812.04948"
OWN = "own choice"
HIGH = 128  # px; from here on the second of two batch sizes and learning rates holds

card = {
    "title": "StyleGAN",
    "role": "generator",
    "description": "Mapping network, AdaIN, noise inputs and progressive growing, trained with WGAN-GP and "
    "DiffAugment; conditioned on the class by an embedding and a projection critic.",
    "citation": f"{KARRAS}; Zhao et al. 2020, arXiv:2006.10738; protocol: Schaudt et al. 2023",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Size, schedule and training; the defaults are the paper's protocol at 256 px."""

    style: int = Field(512, ge=2, description=f"length of codes and styles; {KARRAS}")
    mapping_layers: int = Field(8, ge=1, description=KARRAS)
    channels: int = Field(512, ge=1, description=f"largest number of maps; {KARRAS}")
    channels_by_side: int = Field(16_384, ge=1, description=f"maps times side at high resolution; {KARRAS}")
    unshuffle: int = Field(1, ge=1, le=8, description=f"side of the pixel blocks folded into channels; {OWN}")
    start_size: int = Field(8, ge=4, description="px where growing starts; Karras et al. 2019, section 2")
    final_share: float = Field(
        1 / 6,
        gt=0,
        le=1,
        description=f"of the steps at full size, the rest equally; {OWN}: 8 to 256 px are 6",
    )
    fade: float = Field(0.5, ge=0, le=1, description=f"share of a size's steps that blend it in; {OWN}")
    mixing: float = Field(0.9, ge=0, le=1, description=f"probability of style mixing; {KARRAS}")
    steps: int = Field(37_500, ge=1, description=f"training steps; {TABLE}")
    batch_size: tuple[int, int] = Field(
        (32, 16), description=f"below {HIGH} px, and from there on; {TABLE} has the range"
    )
    learning_rate: tuple[float, float] = Field((1e-3, 5e-4), description=f"likewise; {TABLE}")
    critic_pace: float = Field(1.0, gt=0, description=f"learning rate of the critic, relative; {OWN}")
    beta1: float = Field(0.0, ge=0, lt=1, description=TABLE)
    beta2: float = Field(0.99, ge=0, lt=1, description=TABLE)
    penalty: float = Field(10.0, ge=0, description="gradient penalty of WGAN-GP; Gulrajani et al. 2017")
    penalty_every: int = Field(
        1, ge=1, description=f"critic steps per penalty; {OWN}, 1 is the plain WGAN-GP"
    )
    drift: float = Field(1e-3, ge=0, description="pull of real scores to 0; Karras et al. 2018, appendix A.1")
    augmentation: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        ("color", "translation", "cutout"), description="DiffAugment; Zhao et al. 2020"
    )
    balance: float = Field(0.0, ge=0, le=1, description=f"0 draws images, 1 draws classes equally; {OWN}")
    average: float = Field(
        0.0, ge=0, lt=1, description=f"decay of the averaged generator, 0 none; {TABLE}, EMA; {KARRAS}: 0.999"
    )


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "style": 8, "mapping_layers": 2, "channels": 8, "steps": 6, "batch_size": (4, 4), "final_share": 0.5,
        "penalty_every": 2, "average": 0.9,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rates, the penalty, the averaging, the growth and the mixture of classes."""
    rate = trial.suggest_float("learning_rate", 5e-4, 4e-3, log=True)
    return {
        "learning_rate": (rate, rate / 2),
        "penalty": trial.suggest_float("penalty", 1.0, 20.0, log=True),
        "average": trial.suggest_categorical("average", [0.99, 0.995, 0.999]),
        "final_share": trial.suggest_float("final_share", 0.3, 0.8),
        "balance": trial.suggest_float("balance", 0.0, 1.0),
    }


class StyleGAN(NetworkGenerator):
    """A generator against a critic, growing from small images to full size."""

    name = "stylegan"
    params_type = Params

    network: networks.Generator

    def __init__(self, params: Params) -> None:
        super().__init__(params)
        self.phase = Phase(0, 1.0, 0)

    @property
    def growth(self) -> Growth:
        """The growth to the fitted image size."""
        p = self.params
        return Growth(self.image_size, p.unshuffle, p.start_size, p.steps, p.final_share, p.fade)

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on the images by class; a single class gives an unconditional StyleGAN.

        Raises:
            GeneratorError: doubling does not reach the image size, or the loss is not finite.
        """
        p, batches = self.params, self.start(train, context)
        growth = self.growth
        with training.seeded_weights(context.seed):
            live, critic = self.build(), self._critic()
        self.start_average(live)
        parts: dict[str, Any] = {"live": live, "critic": critic, **self.averages()}
        for name, network in (("live_adam", live), ("critic_adam", critic)):
            parts[name] = torch.optim.Adam(network.parameters(), betas=(p.beta1, p.beta2), fused=True)
        saver = training.StateSaver(context)
        start = saver.resume(parts)
        self.phase = growth.at(max(start - 1, 0))
        for step in range(start, p.steps):
            self.phase = growth.at(step)
            high = growth.size(self.phase.level) >= HIGH
            _set_rate(parts["live_adam"], p.learning_rate[high])
            _set_rate(parts["critic_adam"], p.learning_rate[high] * p.critic_pace)
            images, label = batches(step, p.batch_size[high])
            random = training.step_generator(context.seed, step, self.device)
            losses = self._step(parts, self._shrink(images), label, step, random)
            self.update_average(live, since=self.phase.since)  # a new level starts a new average
            level = float(self.phase.level)
            self.log(step + 1, losses, context, level=level)
            # earlier previews would be smaller images, enlarged
            context.checkpoint(step + 1, p.steps, first=growth.growing_steps)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    def _step(
        self, parts: dict[str, Any], real: Tensor, label: Tensor, step: int, random: torch.Generator
    ) -> dict[str, Tensor]:
        """Update the critic, then the generator, on the same synthetic images."""
        p, critic = self.params, parts["critic"]
        with self.autocast():
            synthetic = self._synthesize(parts["live"], label, random, mixing=p.mixing)
            # random augmentations keep the critic from memorizing a small training set
            real = diff_augment(real, p.augmentation, random)
            fake = diff_augment(synthetic, p.augmentation, random)
            # critic: real scores up, synthetic scores down, neither far from zero
            real_score = self._score(critic, real, label)
            fake_score = self._score(critic, fake.detach(), label)
            loss = fake_score.mean() - real_score.mean() + p.drift * real_score.square().mean()
            if step % p.penalty_every == 0:
                penalty = self._gradient_penalty(critic, real, fake.detach(), label, random)
                loss = loss + p.penalty_every * p.penalty * penalty
        _update(parts["critic_adam"], loss)
        with self.autocast():
            # generator: scores of synthetic images up
            critic.requires_grad_(False)
            score = self._score(critic, fake, label)
            critic.requires_grad_(True)
        _update(parts["live_adam"], -score.mean())
        return {"critic_loss": loss.detach(), "distance": (real_score.mean() - fake_score.mean()).detach()}

    def _score(self, critic: networks.Critic, images: Tensor, label: Tensor) -> Tensor:
        score: Tensor = critic(images, label, self.phase.level, self.phase.blend)
        return score

    def _gradient_penalty(
        self, critic: networks.Critic, real: Tensor, fake: Tensor, label: Tensor, random: torch.Generator
    ) -> Tensor:
        """Penalize gradients of the critic whose norm is not one (WGAN-GP; Gulrajani et al. 2017).

        The gradients are taken between real and synthetic images.
        """
        share = torch.rand(len(real), 1, 1, 1, generator=random, device=real.device)
        between = torch.lerp(fake, real, share).requires_grad_(True)
        score = self._score(critic, between, label)
        (gradient,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def _synthesize(
        self, network: networks.Generator, label: Tensor, random: torch.Generator, *, mixing: float
    ) -> Tensor:
        """Synthesize (N, 1, S, S) images of the classes at the current size."""
        shape, levels = (len(label), self.params.style), self.phase.level + 1
        styles = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
        styles = styles[:, None].expand(-1, levels, -1)
        if mixing:
            # style mixing: from a random level on, some images take the style of another code
            other = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
            start = torch.randint(1, levels + 1, (len(label), 1), generator=random, device=self.device)
            chosen = torch.rand(len(label), 1, generator=random, device=self.device) < mixing
            late = chosen & (torch.arange(levels, device=self.device) >= start)
            styles = torch.where(late[:, :, None], other[:, None], styles)
        return network(styles, self.phase.level, self.phase.blend, random)

    def _shrink(self, images: Tensor) -> Tensor:
        """Shrink real images to the current size, blended like the synthetic ones."""
        small = F.avg_pool2d(images, 2 ** (self.growth.levels - 1 - self.phase.level))
        if self.phase.blend == 1:
            return small
        return torch.lerp(F.interpolate(F.avg_pool2d(small, 2), scale_factor=2), small, self.phase.blend)

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        """Draw from the averaged generator, enlarged to the full size."""
        with self.autocast():
            images = self._synthesize(self.network, label, random, mixing=0.0)
        return F.interpolate(images, size=self.image_size, mode="bilinear", align_corners=False)

    def _sizes(self) -> tuple[int, list[int]]:
        p = self.params
        return self.growth.constant_side, self.growth.channels(p.channels, p.channels_by_side)

    def build(self) -> networks.Generator:
        """Build the generator.

        Raises:
            GeneratorError: doubling does not reach the image size.
        """
        p = self.params
        network = networks.Generator(
            *self._sizes(), p.style, p.mapping_layers, len(self.classes), p.unshuffle
        )
        return training.place(network, self.device)

    def _critic(self) -> networks.Critic:
        critic = networks.Critic(*self._sizes(), len(self.classes), self.params.unshuffle)
        return training.place(critic, self.device)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "level": self.phase.level, "blend": self.phase.blend}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        super().restore(arrays, settings, context)
        self.phase = Phase(int(settings["level"]), float(settings["blend"]), 0)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


Generator = StyleGAN
