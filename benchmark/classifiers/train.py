"""Train one classifier and predict images with it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.metrics import log_loss, metric_values
from benchmark.classifiers.network import build
from benchmark.classifiers.predict import normalization, normalize, predict, to_tensor
from benchmark.classifiers.sampling import Batches, stratum
from benchmark.classifiers.schedule import (
    evaluation_steps,
    learning_rate,
    plateaus,
    should_stop,
    total_steps,
)
from benchmark.errors import ClassifierError
from benchmark.images.image_set import ImageSet
from benchmark.utils.signals import end_if_asked
from benchmark.utils.training_state import autocast, load_state, save_state

if TYPE_CHECKING:
    from torch import Tensor, nn

SAVE_EVERY_SECONDS = 20.0
COMPILING_PAYS = 2000  # updates, on a GPU; on a CPU it takes a minute and gains nothing


@dataclass(frozen=True)
class TrainedNetwork:
    """The network at its best epoch, and the history of its training."""

    network: nn.Module
    history: list[dict[str, float]]
    best: dict[str, float]
    steps: int


def train(real: ImageSet, extra: ImageSet, val: ImageSet, config: TrainingConfig) -> TrainedNetwork:
    """Train, and retain the epoch with the best ``config.metric`` on ``val``; a tie goes to the lower loss.

    Resumes from its scratch folder; an interruption does not change the result.

    Args:
        real: real training images; they alone determine the normalization.
        extra: all training images, real and added.
        val: chooses the epoch, and ends the training if the budget has patience.
    Raises:
        ClassifierError: the loss is not finite, or the weights are not available.
    """
    training = Training(real, extra, config)
    done, losses = training.resume()
    while done < training.steps and not training.over:
        losses.append(training.update(done))
        done += 1
        if done in training.evaluations:
            training.evaluate(done, losses, val)
            losses = []
            config.progress(done / training.steps)
        end_if_asked(partial(training.save, done, losses))
    training.network.load_state_dict(training.best_weights)
    return TrainedNetwork(training.network, training.history, training.best, done)


class Training:
    """The state of one training."""

    def __init__(self, real: ImageSet, extra: ImageSet, config: TrainingConfig) -> None:
        import torch
        from timm.optim import param_groups_weight_decay

        from benchmark.classifiers.loss import Loss

        classifier, self.config, self.extra = config.classifier, config, extra
        torch.manual_seed(config.seed)
        self.network: nn.Module = build(classifier, len(real.classes), multilabel=extra.multilabel).to(
            config.device
        )
        self.network.to(memory_format=torch.channels_last)
        self.steps = total_steps(config.budget, config.batch_size, len(extra))
        self.evaluations = evaluation_steps(self.steps, config.budget.evaluations)
        self.compute = _accelerated(self.network, config.device, self.steps)
        groups = param_groups_weight_decay(self.network, classifier.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, fused=True)
        self.normal = normalization(real.image)
        self.loss = Loss(extra, config.device, weigh_classes=config.balance == "class_weights")
        oversample = config.balance == "oversample"
        self.batches = Batches(stratum(extra), config.batch_size, oversample=oversample, seed=config.seed)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()

    def resume(self) -> tuple[int, list[Tensor]]:
        """Restore an interrupted training; return its updates, and their losses since the last evaluation."""
        state = load_state(self.config.scratch / "training.pt", self.config.device)
        if state is None:
            return 0, []
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best, self.best_weights = state["history"], state["best"], state["best_weights"]
        return int(state["step"]), state.get("losses", [])

    def update(self, step: int) -> Tensor:
        """Make one update, whose randomness depends on seed and step alone; return the loss."""
        import torch

        torch.manual_seed(self._seed(step))
        rows = self.batches[step]
        batch = self.augmented(self.load(rows), step)
        self.network.train()
        loss = self.forward(batch, rows)
        loss.backward()
        self.step(learning_rate(self.config.classifier, step, self.steps, self.drops))
        return loss.detach()

    def step(self, rate: float) -> None:
        """Update the weights by their gradients, and clear the gradients."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _seed(self, step: int) -> int:
        return (self.config.seed + 1) * 1_000_003 + step

    def load(self, rows: np.ndarray) -> Tensor:
        """Return the images at these positions as (B, 1, H, W) floats in [0, 1]."""
        return to_tensor(self.extra.image[rows], self.config.device)

    def augmented(self, batch: Tensor, step: int) -> Tensor:
        """Augment and normalize a batch."""
        import torch

        from benchmark.classifiers.augment import PIPELINES

        rng = torch.Generator().manual_seed(self._seed(step))
        return normalize(PIPELINES[self.config.classifier.augmentation](batch, rng), self.normal)

    def forward(self, batch: Tensor, rows: np.ndarray) -> Tensor:
        """Return the loss of a batch."""
        with autocast(self.config.device, self.config.precision):
            output = self.compute(batch)
        return self.loss(output.float(), rows)

    @property
    def drops(self) -> int:
        """Number of times that a plateau has lowered the learning rate."""
        if self.config.classifier.schedule != "plateau":
            return 0
        return plateaus([self._quality(h) for h in self.history], self.config.classifier.plateau_patience)

    @property
    def over(self) -> bool:
        """True if ``val`` has not improved for the budget's patience."""
        return should_stop([self._quality(h) for h in self.history], self.config.budget)

    def evaluate(self, step: int, losses: list[Tensor], val: ImageSet) -> None:
        """Score ``val``, retain the weights if they are the best so far, save a state at intervals."""
        import torch

        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise ClassifierError(
                self.config.where,
                f"the loss is {loss} at step {step}",
                "Lower learning_rate, or use precision float32.",
            )
        entry = {"step": step, "train_loss": loss, **self._validate(val)}
        self.history.append(entry)
        if not self.best or self._quality(entry) > self._quality(self.best):
            self.best = entry
            self.best_weights = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if time.monotonic() - self.saved_at > SAVE_EVERY_SECONDS:
            self.save(step, [])

    def _validate(self, val: ImageSet) -> dict[str, float]:
        scores = predict(self.network, val, self.config, self.normal)
        if not np.isfinite(scores).all():
            raise ClassifierError(self.config.where, "scores are not finite")
        certain = np.arange(len(val)) if val.multilabel else np.flatnonzero(val.label < scores.shape[1])
        label, scores = val.label[certain], scores[certain]
        values = {f"val_{name}": value for name, value in metric_values(label, scores).items()}
        return {**values, "val_loss": log_loss(label, scores)}

    def _quality(self, entry: dict[str, float]) -> tuple[float, float]:
        return entry.get(f"val_{self.config.metric}", 0.0), -entry["val_loss"]

    def save(self, step: int, losses: list[Tensor]) -> None:
        """Write the state after a number of updates, with the losses since the last evaluation."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": step}
        state |= {
            "history": self.history,
            "best": self.best,
            "best_weights": self.best_weights,
            "losses": losses,
        }
        save_state(self.config.scratch / "training.pt", state)
        self.saved_at = time.monotonic()


def _accelerated(network: nn.Module, device: str, steps: int) -> Callable[[Tensor], Tensor]:
    """Return the network as training computes it: the same function by the device's fastest means."""
    import torch

    from benchmark.classifiers.convolution import use_matrix_products

    if device == "cpu":
        use_matrix_products(network)
        return network
    if steps < COMPILING_PAYS:
        return network
    compiled: Callable[[Tensor], Tensor] = torch.compile(network)
    return compiled
