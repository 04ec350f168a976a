"""Train one classifier and predict the test images: the judge of every generator."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.classify.augment import PIPELINES
from benchmark.classify.network import build
from benchmark.classify.sampling import Batches
from benchmark.errors import ClassifierError
from benchmark.records import ImageSet
from benchmark.task import Budget, Recipe
from benchmark.torchkit import autocast, load_state, save_state

if TYPE_CHECKING:
    from torch import Tensor, nn

SAVE_EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Trained:
    """The network at its best epoch, and the way there."""

    network: nn.Module
    history: list[dict[str, float]]
    best: dict[str, float]
    steps: int


@dataclass(frozen=True)
class Setting:
    """Everything of a training but its images."""

    recipe: Recipe
    budget: Budget
    oversample: bool
    seed: int
    device: str
    precision: str
    scratch: Path
    progress: Callable[[float], None] = lambda share: None


def total_steps(budget: Budget, images: int) -> int:
    """Optimizer steps of a training: the budget's own, or its epochs over so many images."""
    if budget.unit == "steps":
        return budget.length
    return budget.length * math.ceil(images / budget.batch_size)


def normalization(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of real training pixels, in [0, 1]."""
    return float(images.mean() / 255), float(max(images.std() / 255, 1e-3))


def train(real: ImageSet, extra: ImageSet, val: ImageSet, setting: Setting) -> Trained:
    """Train by the recipe and keep the epoch with the best balanced accuracy on ``val``.

    Adam with a cosine schedule stepped per update over the whole training (Schaudt et al. 2023, 3.3.2);
    a tie goes to the lower validation loss. Resumes from its scratch folder; the result does not depend on
    whether it was interrupted.

    Args:
        real: real training images; they alone give the normalization.
        extra: all training images, real and added.
        val: images that choose the epoch.
    Raises:
        ClassifierError: the loss is not finite, or the weights cannot be had.
    """
    training = _Training(real, extra, setting)
    running: list[Tensor] = []
    for step in range(training.resume(), training.steps):
        running.append(training.update(step))
        if step + 1 in training.marks:
            training.evaluate(step + 1, running, val)
            running = []
            setting.progress((step + 1) / training.steps)
    training.network.load_state_dict(training.kept)
    return Trained(training.network, training.history, training.best, training.steps)


class _Training:
    """The state of one training."""

    def __init__(self, real: ImageSet, extra: ImageSet, setting: Setting) -> None:
        import torch

        recipe, self.setting, self.extra = setting.recipe, setting, extra
        torch.manual_seed(setting.seed)
        self.network: nn.Module = build(recipe, len(real.classes)).to(setting.device)
        self.network.to(memory_format=torch.channels_last)
        self.steps = total_steps(setting.budget, len(extra))
        self.marks = _evaluation_steps(self.steps, setting.budget.evaluations)
        decay, plain = _decayed(self.network)
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.999),
            fused=True,
        )
        self.normal = normalization(real.image)
        self.batches = Batches(
            extra.label, setting.budget.batch_size, oversample=setting.oversample, seed=setting.seed
        )
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.kept: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()

    def resume(self) -> int:
        """Steps that an interrupted training had done."""
        state = load_state(self.setting.scratch / "training.pt", self.setting.device)
        if state is None:
            return 0
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best, self.kept = state["history"], state["best"], state["kept"]
        return int(state["step"])

    def update(self, step: int) -> Tensor:
        """One optimizer step; its randomness is named by seed and step alone. Returns the loss."""
        import torch
        from torch.nn.functional import cross_entropy

        setting, rate = self.setting, self.setting.recipe.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        torch.manual_seed((setting.seed + 1) * 1_000_003 + step)
        rng = torch.Generator().manual_seed((setting.seed + 1) * 1_000_003 + step)
        rows, (mean, std) = self.batches[step], self.normal
        batch = _tensor(self.extra.image[rows], setting.device)
        batch = (PIPELINES[setting.recipe.augmentation](batch, rng) - mean) / std
        label = torch.from_numpy(self.extra.label[rows]).to(setting.device)
        self.network.train()
        with autocast(setting.device, setting.precision):
            output = self.network(batch.contiguous(memory_format=torch.channels_last))
        loss = cross_entropy(output.float(), label)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def evaluate(self, step: int, losses: list[Tensor], val: ImageSet) -> None:
        """Read ``val``, keep the weights if they are the best so far, save a state now and then."""
        import torch

        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise ClassifierError(
                f"classifier '{self.setting.recipe.name}', seed {self.setting.seed}",
                f"the loss is {loss} at step {step}",
                "Lower learning_rate, or use precision float32.",
            )
        now = {"step": step, "train_loss": loss, **_validate(self.network, val, self.setting, self.normal)}
        self.history.append(now)
        if not self.best or _quality(now) > _quality(self.best):
            self.best = now
            self.kept = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self._save(step)

    def _save(self, step: int) -> None:
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}
        state |= {"history": self.history, "best": self.best, "kept": self.kept}
        save_state(self.setting.scratch / "training.pt", state)
        self.saved_at = time.monotonic()


def _quality(entry: dict[str, float]) -> tuple[float, float]:
    return entry["val_balanced_accuracy"], -entry["val_loss"]


def _decayed(network: nn.Module) -> tuple[list[Any], list[Any]]:
    """Weights that are decayed, and biases and normalization parameters that are not."""
    parameters = list(network.parameters())
    return [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]


def _evaluation_steps(steps: int, evaluations: int) -> set[int]:
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}


def _tensor(image: np.ndarray, device: str) -> Tensor:
    import torch

    copy = np.array(image)  # torch wants to own what it reads; the file map is read-only
    return torch.from_numpy(copy).to(device).unsqueeze(1).float() / 255


def predict(
    network: nn.Module, images: ImageSet, setting: Setting, normal: tuple[float, float]
) -> np.ndarray:
    """Class probabilities of every image.

    Returns:
        (N, K) float64 in [0, 1], rows sum to 1.
    """
    import torch

    network.eval()
    parts, (mean, std) = [], normal
    with torch.inference_mode(), autocast(setting.device, setting.precision):
        for first in range(0, len(images), 256):
            batch = (_tensor(images.image[first : first + 256], setting.device) - mean) / std
            output = network(batch.contiguous(memory_format=torch.channels_last))
            parts.append(torch.softmax(output.double(), 1).cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, len(images.classes)))


def _validate(
    network: nn.Module, val: ImageSet, setting: Setting, normal: tuple[float, float]
) -> dict[str, float]:
    from sklearn.metrics import balanced_accuracy_score, log_loss

    scores = predict(network, val, setting, normal)
    if not np.isfinite(scores).all():
        raise ClassifierError(
            f"classifier '{setting.recipe.name}', seed {setting.seed}", "scores are not finite"
        )
    return {
        "val_balanced_accuracy": float(balanced_accuracy_score(val.label, scores.argmax(1))),
        "val_loss": float(log_loss(val.label, scores, labels=range(len(val.classes)))),
    }
