"""Training of a GAN's critic for another purpose: its last layer is replaced, and all layers learn.

Source: Segal et al. 2021, arXiv:2010.03975, sections 3.3 (a classifier) and 4.5 (an encoder). As their
classifier, with Adam's default settings and a learning rate that falls tenfold where the quality no longer
improves; the best state counts.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau

from benchmark.generators import _network_training as training
from benchmark.generators._gan_layers import Linear
from benchmark.generators._network_generator import LOGGED
from benchmark.plugins.contexts import FitContext

PATIENCE = 3  # epochs without improvement ("several epochs", section 3.3)
TURN = 10.0  # degrees of the largest rotation; section 3.3
JITTER = 0.1  # of brightness and contrast; section 3.3


def new_head(model: Any, outputs: int) -> Linear:
    """Return a last layer for a model's critic."""
    return Linear(model.feature_size, outputs).to(model.device)


class Retraining:
    """One training of a critic with a new last layer.

    Args:
        model: a GAN with ``plugins.latent_space.CriticFeatures``, whose critic is changed.
        head: the new last layer.
        loss: of a step, given its number and a random generator; the number counts those of the GAN too.
        epoch: training images; after as many, and in the end, the quality is measured.
        quality: higher is better; decides on the learning rate and on the state that counts.
        changed: called after every change of the weights.
        name: of the quality in the curves.
    """

    def __init__(
        self, model: Any, head: Linear, context: FitContext, params: Any, *,
        loss: Callable[[int, torch.Generator], Tensor], quality: Callable[[], float],
        changed: Callable[[], None], name: str, epoch: int,
    ) -> None:  # fmt: skip
        self.model, self.head, self.context, self.name = model, head, context, name
        self.loss, self.quality, self.changed = loss, quality, changed
        self.first, self.steps = model.steps, params.retraining_steps
        self.every = math.ceil(epoch / params.retraining_batch)
        weights = [*model.critic_parameters(), *head.parameters()]
        self.adam = torch.optim.Adam(weights, lr=params.retraining_rate)
        self.plateau = ReduceLROnPlateau(self.adam, "max", factor=0.1, patience=PATIENCE)
        self.best = Best(nn.ParameterList(weights))

    def run(self, state: Mapping[str, Any]) -> None:
        """Train, from a saved state if it is one of this training; the best state counts in the end.

        Raises:
            GeneratorError: a loss is not finite.
        """
        parts = {"head": self.head, "adam": self.adam, "plateau": self.plateau, "best": self.best}
        if "head" in state:
            training.restore(parts, state)
        saver, total = training.StateSaver(self.context), self.first + self.steps
        for step in range(max(self.first, int(state.get("step", 0))), total):
            loss = self._update(step)
            done = step + 1 - self.first
            due = done % self.every == 0 or done == self.steps
            scalars = {self.name: self._evaluate()} if due else {}
            if done % max(1, self.steps // LOGGED) == 0 or due:
                self.context.log(step + 1, retraining_loss=float(loss), **scalars)
            if done == self.steps:
                self.best.use()
                self.changed()
            self.context.checkpoint(step + 1, total, first=self.first)
            if self.context.should_stop:
                return
            saver.save_if_due(step + 1, {"model": _Model(self.model), **parts})

    def _update(self, step: int) -> Tensor:
        random = training.step_generator(self.context.seed, step, self.context.device)
        with torch.enable_grad():
            loss = self.loss(step, random)
            self.adam.zero_grad()
            loss.backward()
        self.adam.step()
        self.changed()
        return loss.detach()

    def _evaluate(self) -> float:
        with torch.no_grad():
            quality = self.quality()
        self.best.compare(quality)
        self.plateau.step(quality)
        return quality


class Best:
    """The weights of the best quality so far."""

    def __init__(self, weights: nn.ParameterList) -> None:
        self.weights, self.quality, self.stored = weights, -float("inf"), dict[str, Tensor]()

    def compare(self, quality: float) -> None:
        """Retain the weights if they are the best."""
        if quality > self.quality:
            state = self.weights.state_dict()
            self.quality, self.stored = quality, {name: value.clone() for name, value in state.items()}

    def use(self) -> None:
        """Return to the best weights."""
        self.weights.load_state_dict(self.stored)

    def state_dict(self) -> dict[str, Any]:
        """Return quality and weights."""
        return {"quality": self.quality, "stored": self.stored}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.quality, self.stored = float(state["quality"]), dict(state["stored"])


class _Model:
    """The GAN as a part of a saved state."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def state_dict(self) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(array) for name, array in self.model.arrays().items()}
        return {"arrays": arrays, "settings": self.model.settings()}


def augmented(images: Tensor, random: torch.Generator) -> Tensor:
    """Augment (N, 1, S, S) images in [0, 1] as in section 3.3: rotation, flip across, brightness, contrast.

    A rotation takes the nearest pixel and leaves a black border, as torchvision's does.
    """

    def uniform(low: float, high: float) -> Tensor:
        draws = torch.rand(len(images), generator=random, device=images.device)
        return draws * (high - low) + low

    angle, flip = torch.deg2rad(uniform(-TURN, TURN)), (uniform(0, 1) < 0.5).float() * -2 + 1
    across = torch.stack([angle.cos() * flip, -angle.sin(), torch.zeros_like(angle)], 1)
    down = torch.stack([angle.sin() * flip, angle.cos(), torch.zeros_like(angle)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="nearest", align_corners=False)
    gain, factor = (uniform(1 - JITTER, 1 + JITTER)[:, None, None, None] for _ in range(2))
    bright = (moved * gain).clamp(0, 1)
    mean = bright.mean((1, 2, 3), keepdim=True)
    return ((bright - mean) * factor + mean).clamp(0, 1)
