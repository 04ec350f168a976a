"""Train one classifier and predict the test images: the judge of every generator."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.classify import quality
from benchmark.classify.augment import PIPELINES
from benchmark.classify.network import build
from benchmark.classify.sampling import Batches, stratum
from benchmark.errors import ClassifierError
from benchmark.pixels import blocks
from benchmark.recipe import Budget, Recipe
from benchmark.records import ImageSet
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
    """Everything of a training but its images.

    Attributes:
        metric: on ``val``, chooses the epoch; a name of ``quality.values``.
        predicted: how many classes are predicted, where the labels have more: the first ones. The others
            are learned beside them (``multi_class`` of a label policy), or None for all.
    """

    recipe: Recipe
    budget: Budget
    balance: Literal["none", "oversample", "class_weights"]
    seed: int
    device: str
    precision: str
    scratch: Path
    progress: Callable[[float], None] = lambda share: None
    metric: str = "balanced_accuracy"
    predicted: int | None = None


def setting_of(
    config: Mapping[str, Any], seed: int, scratch: Path, progress: Callable[[float], None]
) -> Setting:
    """The setting that a stage's configuration describes."""
    return Setting(
        recipe=Recipe(**config["recipe"]),
        budget=Budget(**config["budget"]),
        balance=config["balance"],
        seed=seed,
        device=config["device"],
        precision=config["precision"],
        scratch=scratch,
        progress=progress,
        metric=config["metric"],
        predicted=len(config["classes"]),
    )


def total_steps(budget: Budget, images: int) -> int:
    """Optimizer steps of a training: the budget's own, or its epochs over so many images."""
    if budget.unit == "steps":
        return budget.length
    return budget.length * math.ceil(images / budget.batch_size)


def normalization(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of training pixels, in [0, 1]; read block by block."""
    count, total, squares = 0, 0.0, 0.0
    for block in blocks(images):
        part = block.astype(np.float64)
        count, total, squares = count + part.size, total + part.sum(), squares + (part**2).sum()
    mean = total / count
    return mean / 255, max(float(np.sqrt(max(squares / count - mean**2, 0.0))) / 255, 1e-3)


def train(real: ImageSet, extra: ImageSet, val: ImageSet, setting: Setting) -> Trained:
    """Train by the recipe and keep the epoch with the best ``setting.metric`` on ``val``.

    Cross-entropy, of soft labels where a teacher has guessed some; where an image may have several classes,
    the weighted binary cross-entropy of Segal et al. 2021, equation 3. Adam with a cosine schedule stepped
    per update over the whole training (Schaudt et al. 2023, 3.3.2); a tie goes to the lower validation
    loss. Resumes from its scratch folder; the result does not depend on whether it was interrupted.

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
        self.network: nn.Module = build(recipe, len(real.classes), several=extra.several).to(setting.device)
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
        self.weights = positive_weights(extra.label, setting.device) if extra.several else None
        self.class_weights = None
        if setting.balance == "class_weights" and not extra.several:
            self.class_weights = class_weights(extra.label, len(real.classes), setting.device)
        self.batches = Batches(
            stratum(extra),
            setting.budget.batch_size,
            oversample=setting.balance == "oversample",
            seed=setting.seed,
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

        setting, rate = self.setting, self.setting.recipe.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        torch.manual_seed((setting.seed + 1) * 1_000_003 + step)
        rng = torch.Generator().manual_seed((setting.seed + 1) * 1_000_003 + step)
        rows, (mean, std) = self.batches[step], self.normal
        batch = _tensor(self.extra.image[rows], setting.device)
        batch = (PIPELINES[setting.recipe.augmentation](batch, rng) - mean) / std
        self.network.train()
        with autocast(setting.device, setting.precision):
            output = self.network(batch.contiguous(memory_format=torch.channels_last))
        loss = self.loss(output.float(), rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def loss(self, output: Tensor, rows: np.ndarray) -> Tensor:
        """The loss of one batch, given (B, K) logits and the positions of its images."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

        truth = self.extra.label if self.extra.soft is None else self.extra.soft
        label = torch.from_numpy(np.ascontiguousarray(truth[rows])).to(self.setting.device)
        if self.weights is None:
            return cross_entropy(output, label, self.class_weights)
        weight = torch.where(label == 1, self.weights[0], self.weights[1])
        return binary_cross_entropy_with_logits(output, label.float(), weight=weight)

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
        if not self.best or self._quality(now) > self._quality(self.best):
            self.best = now
            self.kept = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self._save(step)

    def _quality(self, entry: dict[str, float]) -> tuple[float, float]:
        return entry.get(f"val_{self.setting.metric}", 0.0), -entry["val_loss"]

    def _save(self, step: int) -> None:
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}
        state |= {"history": self.history, "best": self.best, "kept": self.kept}
        save_state(self.setting.scratch / "training.pt", state)
        self.saved_at = time.monotonic()


def positive_weights(label: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
    """(K,) weights of the positive and of the negative labels of every class.

    w_P = (N_p + N_n) / N_p and w_N = (N_p + N_n) / N_n (Segal et al. 2021, equation 3, after Guendel et
    al.); a class without positive (or negative) images has no such label to weigh, and 1 stands there.
    """
    import torch

    n, positive = len(label), label.sum(0).astype(np.float64)
    both = (n / np.maximum(positive, 1), n / np.maximum(n - positive, 1))
    w_p, w_n = (np.where((positive > 0) & (positive < n), w, 1.0).astype(np.float32) for w in both)
    return torch.from_numpy(w_p).to(device), torch.from_numpy(w_n).to(device)


def class_weights(label: np.ndarray, classes: int, device: str) -> Tensor:
    """(K,) weights of the classes in the loss: N / (K N_k), the mean over the images is 1; 1 where N_k is 0.

    Source: the prior correction of King and Zeng 2001, section 3, with every class as frequent as any other.
    """
    import torch

    count = np.bincount(label, minlength=classes)
    weight = np.where(count > 0, len(label) / (np.count_nonzero(count) * np.maximum(count, 1)), 1.0)
    return torch.from_numpy(weight.astype(np.float32)).to(device)


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
        (N, K) float64 in [0, 1]; rows sum to 1 where an image has one class.
    """
    import torch

    network.eval()
    parts, (mean, std) = [], normal
    with torch.inference_mode(), autocast(setting.device, setting.precision):
        for first in range(0, len(images), 256):
            batch = (_tensor(images.image[first : first + 256], setting.device) - mean) / std
            output = network(batch.contiguous(memory_format=torch.channels_last))
            parts.append(_probabilities(output.double(), images.several, setting.predicted).cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, setting.predicted or len(images.classes)))


def _probabilities(output: Tensor, several: bool, predicted: int | None) -> Tensor:
    """Sigmoids, or a softmax over the classes that are predicted."""
    import torch

    if several:
        return torch.sigmoid(output)
    return torch.softmax(output if predicted is None else output[:, :predicted], 1)


def _validate(
    network: nn.Module, val: ImageSet, setting: Setting, normal: tuple[float, float]
) -> dict[str, float]:
    scores = predict(network, val, setting, normal)
    if not np.isfinite(scores).all():
        raise ClassifierError(
            f"classifier '{setting.recipe.name}', seed {setting.seed}", "scores are not finite"
        )
    certain = np.flatnonzero(val.label < scores.shape[1]) if not val.several else np.arange(len(val))
    label, scores = val.label[certain], scores[certain]
    found = {f"val_{name}": value for name, value in quality.values(label, scores).items()}
    return {**found, "val_loss": quality.loss(label, scores)}
