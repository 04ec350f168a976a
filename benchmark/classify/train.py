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
    import torch

    recipe, seed, device = setting.recipe, setting.seed, setting.device
    torch.manual_seed(seed)
    network = build(recipe, len(real.classes)).to(device, memory_format=torch.channels_last)
    steps = total_steps(setting.budget, len(extra))
    decay, plain = _decayed(network)
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.999),
        fused=True,
    )
    mean, std = normalization(real.image)
    batches = Batches(extra.label, setting.budget.batch_size, oversample=setting.oversample, seed=seed)
    marks = _evaluation_steps(steps, setting.budget.evaluations)
    resumed = load_state(setting.scratch / "training.pt", device)
    done, history, best, kept = 0, [], {}, {}
    if resumed:
        network.load_state_dict(resumed["network"])
        optimizer.load_state_dict(resumed["optimizer"])
        done, history, best, kept = resumed["step"], resumed["history"], resumed["best"], resumed["kept"]
    saved_at, running = time.monotonic(), []
    for step in range(done, steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        running.append(_update(network, optimizer, extra, batches[step], step, setting, mean, std))
        if step + 1 not in marks:
            continue
        loss = float(torch.stack(running).mean())
        if not math.isfinite(loss):
            raise ClassifierError(
                f"classifier '{recipe.name}', seed {seed}", f"the loss is {loss} at step {step + 1}",
                "Lower learning_rate, or use precision float32.",
            )
        now = {"step": step + 1, "train_loss": loss, **_validate(network, val, setting, mean, std)}
        history.append(now)
        if not best or (now["val_balanced_accuracy"], -now["val_loss"]) > (
            best["val_balanced_accuracy"], -best["val_loss"],
        ):
            best, kept = now, {k: v.detach().clone() for k, v in network.state_dict().items()}
        running = []
        setting.progress((step + 1) / steps)
        if time.monotonic() - saved_at > SAVE_EVERY_SECONDS:
            save_state(setting.scratch / "training.pt", {
                "network": network.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1,
                "history": history, "best": best, "kept": kept,
            })
            saved_at = time.monotonic()
    network.load_state_dict(kept)
    return Trained(network, history, best, steps)


def _decayed(network: nn.Module) -> tuple[list[Any], list[Any]]:
    """Weights that are decayed, and biases and normalization parameters that are not."""
    parameters = list(network.parameters())
    return [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]


def _evaluation_steps(steps: int, evaluations: int) -> set[int]:
    return {round(steps * (i + 1) / evaluations) for i in range(evaluations)} - {0}


def _update(network: nn.Module, optimizer: Any, images: ImageSet, rows: np.ndarray, step: int,
            setting: Setting, mean: float, std: float) -> Tensor:
    """One optimizer step; its randomness is named by seed and step alone."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.manual_seed((setting.seed + 1) * 1_000_003 + step)
    rng = torch.Generator().manual_seed((setting.seed + 1) * 1_000_003 + step)
    network.train()
    batch = _tensor(images.image[rows], setting.device)
    batch = (PIPELINES[setting.recipe.augmentation](batch, rng) - mean) / std
    label = torch.from_numpy(images.label[rows]).to(setting.device)
    with autocast(setting.device, setting.precision):
        output = network(batch.contiguous(memory_format=torch.channels_last))
    loss = cross_entropy(output.float(), label)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _tensor(image: np.ndarray, device: str) -> Tensor:
    import torch

    copy = np.array(image)  # torch wants to own what it reads; the file map is read-only
    return torch.from_numpy(copy).to(device).unsqueeze(1).float() / 255


def predict(network: nn.Module, images: ImageSet, setting: Setting, mean: float, std: float) -> np.ndarray:
    """Class probabilities of every image.

    Returns:
        (N, K) float64 in [0, 1], rows sum to 1.
    """
    import torch

    network.eval()
    parts = []
    with torch.inference_mode(), autocast(setting.device, setting.precision):
        for first in range(0, len(images), 256):
            batch = (_tensor(images.image[first : first + 256], setting.device) - mean) / std
            output = network(batch.contiguous(memory_format=torch.channels_last))
            parts.append(torch.softmax(output.double(), 1).cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, len(images.classes)))


def _validate(network: nn.Module, val: ImageSet, setting: Setting, mean: float, std: float) -> dict[str, float]:
    from sklearn.metrics import balanced_accuracy_score, log_loss

    scores = predict(network, val, setting, mean, std)
    if not np.isfinite(scores).all():
        raise ClassifierError(f"classifier '{setting.recipe.name}', seed {setting.seed}", "scores are not finite")
    return {
        "val_balanced_accuracy": float(balanced_accuracy_score(val.label, scores.argmax(1))),
        "val_loss": float(log_loss(val.label, scores, labels=range(len(val.classes)))),
    }
