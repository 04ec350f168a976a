"""Base of SinDDM and FewDDM: a multi-scale diffusion model of one or a few images."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators._multiscale_process import Level, MultiScaleDiffusion, pyramid, scale_sides
from benchmark.generators._network_generator import NetworkGenerator
from benchmark.generators._singan_pyramid import resize
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext

ZHANG = "Zhang et al. 2023, section 4.2.1"
KULIKOV = "default of the code of Kulikov et al. 2023, which Zhang et al. use"


class Params(BaseModel, extra="forbid", frozen=True):
    """Scales, diffusion and training; the defaults are the paper's protocol."""

    steps: int = Field(120_000, ge=1, description=f"training steps; {ZHANG}")
    batch_size: int = Field(32, ge=1, description=f"noised variants of one image; {ZHANG}")
    learning_rate: float = Field(1e-3, gt=0, description=ZHANG)
    halve_at: tuple[int, ...] = Field(
        (20_000, 40_000, 70_000, 80_000, 90_000, 110_000), description=f"steps; {ZHANG}"
    )
    beta1: float = Field(0.9, ge=0, lt=1, description=f"Adam with its defaults in torch; {ZHANG}")
    beta2: float = Field(0.999, ge=0, lt=1, description=f"Adam with its defaults in torch; {ZHANG}")
    width: int = Field(160, ge=2, multiple_of=2, description=f"maps of the wide blocks; {KULIKOV}")
    noise_steps: int = Field(100, ge=2, description=f"times of the diffusion at each scale; {KULIKOV}")
    smallest: int = Field(55, ge=8, description=f"side of the coarsest scale of a square, px; {KULIKOV}")
    largest: int = Field(223, ge=8, description=f"side of the finest at most, 50,000 pixels; {KULIKOV}")
    factor: float = Field(1.411, gt=1, description=f"between the sides of scales, about; {KULIKOV}")
    blur: float = Field(1.0, gt=0, description=f"noise at the full blur, times its error; {KULIKOV}")
    average: float = Field(0.995, ge=0, lt=1, description=f"decay of the averaged weights; {KULIKOV}")
    average_every: int = Field(10, ge=1, description=f"steps; {KULIKOV}")
    balance: Literal[0] = Field(0, description="images of one class; there is nothing to balance")

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        if self.smallest >= self.largest:
            raise ValueError(f"smallest: {self.smallest} px is not below largest, {self.largest} px")
        return self


def tiny() -> dict[str, Any]:
    """Return parameters of a fit of seconds."""
    return {
        "steps": 6, "batch_size": 4, "width": 8, "noise_steps": 5, "smallest": 8, "learning_rate": 5e-3,
        "average": 0.9, "average_every": 1,
    }  # fmt: skip


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest the learning rate, the width, the coarsest side and the blur."""
    return {
        "learning_rate": trial.suggest_float("learning_rate", 2e-4, 4e-3, log=True),
        "width": trial.suggest_categorical("width", [32, 64, 160]),
        "smallest": trial.suggest_int("smallest", 12, 55),
        "blur": trial.suggest_float("blur", 0.25, 2.0, log=True),
    }


class SingleImageDiffusion(NetworkGenerator):
    """A denoiser for all scales of one or a few images; draws images of any size, coarse to fine."""

    params_type = Params
    conditions: ClassVar[set[str]] = set()
    stream: ClassVar[int] = 0  # of random numbers; a subclass that can get the same data has another

    network: MultiScaleDiffusion

    @property
    def sides(self) -> list[int]:
        """Sides of the scales in px, coarsest first."""
        p = self.params
        return scale_sides(self.image_size, p.smallest, p.largest, p.factor)

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Train on noised variants of one image a step, at one scale, both drawn at random.

        Raises:
            GeneratorError: images without content or too small for two scales, float16, or a loss that is
                not finite before the first preview.
        """
        self.start(train, context)
        self._refuse(train.image)
        p, seed = self.params, self.fit_seed(context.seed)
        with training.seeded_weights(seed):
            live = self.build()
        levels = pyramid(training.to_network(np.ascontiguousarray(train.image), self.device), self.sides)
        live.observe(levels, p.blur)
        self.start_average(live)
        optimizer = torch.optim.Adam(
            live.parameters(), lr=p.learning_rate, betas=(p.beta1, p.beta2), fused=True
        )
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(p.halve_at), gamma=0.5)
        parts = {"live": live, "optimizer": optimizer, "schedule": schedule, **self.averages()}
        saver = training.StateSaver(context)
        for step in range(saver.resume(parts), p.steps):
            scale, image = np.random.default_rng([seed, step, 2]).integers((len(levels), len(train)))
            random = training.step_generator(seed, step, self.device)
            level = tuple(part[image : image + 1] for part in levels[scale])
            loss = self.loss(live, level, int(scale), random)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if (step + 1) % p.average_every == 0:
                self.update_average(live)
            if self.has_failed(step + 1, loss, context):
                return
            (rate,) = schedule.get_last_lr()
            self.log(
                step + 1, {"loss": loss.detach()}, context, learning_rate=float(rate), scale=float(scale)
            )
            context.checkpoint(step + 1, p.steps)
            if context.should_stop:
                return
            saver.save_if_due(step + 1, parts)

    @classmethod
    def fit_seed(cls, seed: int) -> int:
        """Return the seed of a fit in this class's stream of random numbers."""
        return int(np.random.SeedSequence([seed, cls.stream]).generate_state(1)[0]) if cls.stream else seed

    def loss(self, network: MultiScaleDiffusion, level: Level, scale: int, random: torch.Generator) -> Tensor:
        """Return the mean absolute error of the predicted image, for noised variants of one image.

        The network predicts the sharp image of the scale (Zhang et al. 2023, section 3.1); the absolute error
        is the default of the code of Kulikov et al. 2023.
        """
        count, sharp = self.params.batch_size, level[0]
        time = torch.randint(self.params.noise_steps, (count,), generator=random, device=random.device)
        noise = torch.randn((count, *sharp.shape[1:]), generator=random, device=random.device)
        noised = network.noised(level, scale, time, noise)
        with self.autocast():
            clean = network.denoiser(noised, time, scale)
        return F.l1_loss(clean.float(), sharp.expand_as(noised))

    def _refuse(self, images: Any) -> None:
        where, p = f"generator '{self.name}'", self.params
        if len(self.sides) < 2:
            least = round(p.smallest * p.factor)
            raise GeneratorError(
                f"{where}: smallest",
                f"images of {self.image_size} px are too small for a pyramid that begins at {p.smallest} px",
                f"Use images of {least} px, or smallest at most {int(self.image_size / p.factor)}.",
            )
        if not np.ptp(np.asarray(images).reshape(len(images), -1), axis=1).all():
            problem = "got a constant training image, which has no content"
            raise GeneratorError(where, problem, "Check the data source.")
        if self.precision == "float16":
            problem = "is float16, in which small gradients vanish"
            raise GeneratorError(f"{where}: precision", problem, "Use bfloat16 or float32.")

    def draw_sized(
        self, count: int, height: int, width: int, random: torch.Generator, steps: int | None = None
    ) -> Tensor:
        """Draw (N, 1, H, W) images in [-1, 1] of any size.

        Args:
            steps: times of the coarsest scale; finer ones take as large strides. None for all times.
        Raises:
            GeneratorError: more steps than times of the diffusion.
        """
        self.refuse_steps(steps, self.params.noise_steps)
        with self.autocast():
            return self.network.draw(count, height, width, random, steps)

    def draw(self, label: Tensor, random: torch.Generator, steps: int | None) -> Tensor:
        """Draw images at the finest side, enlarged where the training images are larger."""
        side = self.sides[-1]
        images = self.draw_sized(len(label), side, side, random, steps)
        return resize(images, self.image_size, self.image_size)

    def build(self) -> MultiScaleDiffusion:
        """Build the denoiser, in the memory format in which its convolutions are fast."""
        p = self.params
        network = MultiScaleDiffusion(self.sides, p.width, p.noise_steps)
        return network.to(self.device).to(memory_format=torch.channels_last)


def described(title: str, description: str) -> Mapping[str, str]:
    """Return the card of a model of this family."""
    return {
        "title": title,
        "role": "generator",
        "description": description,
        "citation": "Kulikov et al. 2023, arXiv:2211.16582; protocol: Zhang et al. 2023",
        "license": "Apache-2.0",
    }
