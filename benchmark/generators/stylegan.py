"""StyleGAN (Karras et al. 2019) with DiffAugment, as in Schaudt et al. 2023, section 3.2.1; our own code."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor
from torch.nn import functional as F

from benchmark.errors import GeneratorError
from benchmark.generators import _stylegan_blocks as blocks
from benchmark.generators import _training as training
from benchmark.generators._store import (
    class_positions,
    load_folder,
    requested_positions,
    save_folder,
    square_size,
    trained_classes,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext, SampleRequest, synthetic_set
from benchmark.utils.training_state import autocast

version = "1"

TABLE = "Schaudt et al. 2023, Table 3, GAN"
KARRAS = "Karras et al. 2019, arXiv:1812.04948"
OWN = "own choice"
HIGH = 128  # px; from here on the second of two batch sizes and learning rates holds

card = {
    "title": "StyleGAN",
    "role": "generator",
    "description": "Mapping network, AdaIN, noise inputs and progressive growing, trained with WGAN-GP and "
    "DiffAugment; told the class by an embedding and a projection critic.",
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
    batch_size: tuple[int, int] = Field((32, 16), description=f"below {HIGH} px, and from there on; {TABLE}")
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
    average: float = Field(0.999, ge=0, lt=1, description=f"decay of the averaged generator; {KARRAS}")
    previews: int = Field(10, ge=1, description=f"checkpoints measured at full size; {OWN}")


def search_space(trial: Any) -> dict[str, Any]:
    """What tuning may change: the pace of learning, the penalty, and the mixture of classes."""
    rate = trial.suggest_float("learning_rate", 5e-4, 4e-3, log=True)
    return {
        "learning_rate": (rate, rate / 2),
        "penalty": trial.suggest_float("penalty", 1.0, 20.0, log=True),
        "average": trial.suggest_categorical("average", [0.99, 0.995, 0.999]),
        "final_share": trial.suggest_float("final_share", 0.3, 0.8),
        "balance": trial.suggest_float("balance", 0.0, 1.0),
    }


class StyleGAN:
    """A generator against a critic, growing from small pictures to full size."""

    conditions: ClassVar[set[str]] = {"label"}

    def __init__(self, params: Params) -> None:
        self.params, self.device, self.precision = params, "cpu", "float32"
        self.level, self.blend = 0, 1.0

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on the images by class; a single class gives an unconditional StyleGAN.

        Raises:
            GeneratorError: the image size cannot be reached by doubling, or the loss is not finite.
        """
        self.device, self.precision = context.device, context.precision
        self.image_size, self.classes = square_size(train, "stylegan"), trained_classes(train)
        images, position = np.ascontiguousarray(train.image), class_positions(train)
        with training.seeded_weights(context.seed):
            live, critic = self._generator(), self._critic()
        self.network = copy.deepcopy(live)
        adam: dict[str, Any] = {"betas": (self.params.beta1, self.params.beta2), "fused": True}
        parts: dict[str, Any] = {"live": live, "kept": self.network, "critic": critic}
        parts["live_adam"] = torch.optim.Adam(live.parameters(), **adam)
        parts["critic_adam"] = torch.optim.Adam(critic.parameters(), **adam)
        keeper = training.Keeper(context)
        start = keeper.resume(parts)
        self.level, self.blend, _ = self._growth(max(start - 1, 0))
        for step in range(start, self.params.steps):
            self.level, self.blend, since = self._growth(step)
            high = self.image_size >> (self._levels() - 1 - self.level) >= HIGH
            rows = training.draw_batch(
                position, self.params.batch_size[high], step, context.seed, self.params.balance
            )
            rate = self.params.learning_rate[high]
            parts["live_adam"].param_groups[0]["lr"] = rate
            parts["critic_adam"].param_groups[0]["lr"] = rate * self.params.critic_pace
            real = self._shrink(training.to_network(images[rows], self.device))
            label = torch.from_numpy(position[rows]).to(self.device)
            losses = self._step(
                parts, real, label, step, training.step_generator(context.seed, step, self.device)
            )
            training.update_average(self.network, live, self.params.average, since)
            if self._report(step + 1, losses, context):
                return
            keeper.keep(step + 1, parts)

    def _step(
        self, parts: dict[str, Any], real: Tensor, label: Tensor, step: int, random: torch.Generator
    ) -> dict[str, Tensor]:
        """One update of the critic and one of the generator, on the same made pictures."""
        p, critic = self.params, parts["critic"]
        with autocast(torch.device(self.device).type, self.precision):
            # make pictures of the same classes as the real ones
            made = self._make(parts["live"], label, random, mixing=p.mixing)
            # the critic sees both through random augmentations, so that it cannot learn few images by heart
            real = blocks.augment(real, p.augmentation, random)
            fake = blocks.augment(made, p.augmentation, random)
            # critic: real scores up, made scores down, neither far from zero
            real_score = critic(real, label, self.level, self.blend)
            fake_score = critic(fake.detach(), label, self.level, self.blend)
            loss = fake_score.mean() - real_score.mean() + p.drift * real_score.square().mean()
            if step % p.penalty_every == 0:
                slope = self._slope_penalty(critic, real, fake.detach(), label, random)
                loss = loss + p.penalty_every * p.penalty * slope
        _update(parts["critic_adam"], loss)
        with autocast(torch.device(self.device).type, self.precision):
            # generator: scores of made pictures up
            critic.requires_grad_(False)
            score = critic(fake, label, self.level, self.blend)
            critic.requires_grad_(True)
        _update(parts["live_adam"], -score.mean())
        return {"critic_loss": loss.detach(), "distance": (real_score.mean() - fake_score.mean()).detach()}

    def _slope_penalty(
        self, critic: blocks.Critic, real: Tensor, fake: Tensor, label: Tensor, random: torch.Generator
    ) -> Tensor:
        """WGAN-GP (Gulrajani et al. 2017): between real and made, the critic's slope should be one."""
        share = torch.rand(len(real), 1, 1, 1, generator=random, device=real.device)
        between = torch.lerp(fake, real, share).requires_grad_(True)
        score = critic(between, label, self.level, self.blend)
        (slope,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def _make(
        self, network: blocks.Generator, label: Tensor, random: torch.Generator, *, mixing: float
    ) -> Tensor:
        """(N, 1, S, S) images of the classes at the present size."""
        shape = (len(label), self.params.style)
        styles = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
        styles = styles[:, None].expand(-1, self.level + 1, -1)
        if mixing:
            # style mixing: from a random level on, some images take the style of another code
            other = network.mapping(torch.randn(shape, generator=random, device=self.device), label)
            start = torch.randint(1, self.level + 2, (len(label), 1), generator=random, device=self.device)
            chosen = torch.rand(len(label), 1, generator=random, device=self.device) < mixing
            late = chosen & (torch.arange(self.level + 1, device=self.device) >= start)
            styles = torch.where(late[:, :, None], other[:, None], styles)
        return network(styles, self.level, self.blend, random)

    def _growth(self, step: int) -> tuple[int, float, int]:
        """Level, share of its blending done, and steps since it began."""
        p, top, first, growing = self.params, self._levels() - 1, self._first_level(), self._growing_steps()
        if step >= growing:
            level, began, length = top, growing, float(p.steps - growing)
        else:
            length = growing / (top - first)
            level = first + int(step / length)
            began = math.ceil((level - first) * length)
        if level == first or not p.fade:
            return level, 1.0, step - began
        return level, min(1.0, (step - began + 1) / (p.fade * length)), step - began

    def _first_level(self) -> int:
        """The level that training starts at."""
        doublings = round(math.log2(self.params.start_size / (self.params.unshuffle * self._constant_side())))
        return min(self._levels() - 1, max(0, doublings))

    def _growing_steps(self) -> int:
        """Steps before the size is full."""
        if self._first_level() == self._levels() - 1:
            return 0
        return self.params.steps - max(1, round(self.params.steps * self.params.final_share))

    def _shrink(self, images: Tensor) -> Tensor:
        """Real images at the present size, blended like the made ones."""
        small = F.avg_pool2d(images, 2 ** (self._levels() - 1 - self.level))
        if self.blend == 1:
            return small
        return torch.lerp(F.interpolate(F.avg_pool2d(small, 2), scale_factor=2), small, self.blend)

    def _report(self, step: int, losses: dict[str, Tensor], context: FitContext) -> bool:
        """Report now and then, with previews once the size is full; True when the fit should stop."""
        p, full = self.params, step - self._growing_steps()
        sampler = None
        if step == p.steps or (full > 0 and full % math.ceil((p.steps - step + full) / p.previews) == 0):
            sampler = lambda request, seed: self.sample(request, seed=seed)  # noqa: E731
        if sampler is None and step % max(1, p.steps // 50):
            return False
        scalars = {k: float(v) for k, v in losses.items()}
        training.check_finite(scalars["critic_loss"], "stylegan", step)
        return context.report(step, p.steps, sampler, level=float(self.level), **scalars)

    @torch.no_grad()
    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Draw from the averaged generator; the same seed gives the same bytes.

        Raises:
            GeneratorError: a class or size that it was not fitted on, or NaN.
        """
        position = requested_positions(request, self.classes, self.image_size, "stylegan")
        random = torch.Generator(self.device).manual_seed(seed)
        images = []
        for label in torch.from_numpy(position).to(self.device).split(training.SAMPLE_BATCH):
            with autocast(torch.device(self.device).type, self.precision):
                made = self._make(self.network, label, random, mixing=0.0)
            full = F.interpolate(made, size=self.image_size, mode="bilinear", align_corners=False)
            images.append(training.to_pixels(full))
        return synthetic_set(np.concatenate(images), request, generator="stylegan")

    def _levels(self) -> int:
        """Sizes from the constant's, 4 to 7 places, to the full one, each double the one before."""
        return max(1, int(math.log2(self.image_size / (4 * self.params.unshuffle))) + 1)

    def _constant_side(self) -> int:
        return self.image_size // (self.params.unshuffle << (self._levels() - 1))

    def _channels(self) -> list[int]:
        """Maps per level; also checks the image size."""
        side, p = self._constant_side(), self.params
        if side < 4 or side * p.unshuffle << (self._levels() - 1) != self.image_size:
            raise GeneratorError(
                "generator 'stylegan'",
                f"cannot grow to {self.image_size} px by doubling",
                f"Use {p.unshuffle} times 4 to 7 times a power of two, such as {p.unshuffle * 32}.",
            )
        return [max(1, min(p.channels, p.channels_by_side // (side << i))) for i in range(self._levels())]

    def _generator(self) -> blocks.Generator:
        p = self.params
        network = blocks.Generator(
            self._constant_side(), self._channels(), p.style, p.mapping_layers, len(self.classes), p.unshuffle
        )
        return training.place(network, self.device)

    def _critic(self) -> blocks.Critic:
        critic = blocks.Critic(
            self._constant_side(), self._channels(), len(self.classes), self.params.unshuffle
        )
        return training.place(critic, self.device)

    def to(self, device: str) -> Self:
        """Move to a device; a loaded generator starts on the CPU."""
        self.device, self.network = device, training.place(self.network, device)
        return self

    def save(self, folder: Path) -> None:
        """Write the averaged generator's weights, and what is needed to build it again."""
        meta = {
            "generator": "stylegan",
            "params": self.params.model_dump(mode="json"),
            "classes": list(self.classes),
            "image_size": self.image_size,
            "precision": self.precision,
            "level": self.level,
            "blend": self.blend,
        }
        save_folder(Path(folder), training.numpy_weights(self.network), meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The generator that ``save`` wrote, on the CPU.

        Raises:
            GeneratorError: the folder cannot be read.
        """
        weights, meta = load_folder(Path(folder), "stylegan")
        model = cls(Params.model_validate(meta["params"]))
        model.classes, model.image_size = tuple(meta["classes"]), int(meta["image_size"])
        model.precision, model.level, model.blend = (
            meta["precision"],
            int(meta["level"]),
            float(meta["blend"]),
        )
        model.network = model._generator()
        training.set_weights(model.network, weights, "stylegan")
        return model


def _update(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


Generator = StyleGAN
