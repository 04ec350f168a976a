"""Train one classifier and predict the test images: the judge of every generator."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.classifiers import quality
from benchmark.classifiers.augment import PIPELINES
from benchmark.classifiers.convolution import quicken
from benchmark.classifiers.loss import Loss
from benchmark.classifiers.network import build
from benchmark.classifiers.optimizer import Adam
from benchmark.classifiers.predict import normalization, probabilities, ready, tensor
from benchmark.classifiers.sampling import Batches, stratum
from benchmark.classifiers.schedule import evaluation_steps, is_over, learning_rate, plateaus, total_steps
from benchmark.errors import ClassifierError
from benchmark.images.image_set import ImageSet
from benchmark.tasks.classifier import Budget, ClassifierConfig
from benchmark.utils.training_state import autocast, load_state, save_state

if TYPE_CHECKING:
    from torch import Tensor, nn

SAVE_EVERY_SECONDS = 20.0
COMPILING_PAYS = 2000  # updates, on a GPU; on a CPU it takes a minute and wins nothing (docs/downstream.md)


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
        balance: draw rare classes again, weigh them more in the loss, or neither.
        metric: on ``val``, chooses the epoch; a name of ``quality.values``.
        predicted: how many classes are predicted, where the labels have more: the first ones. The others
            are learned beside them (``multi_class`` of a label policy), or None for all.
    """

    classifier: ClassifierConfig
    budget: Budget
    balance: Literal["none", "oversample", "class_weights"]
    seed: int
    device: str
    precision: str
    scratch: Path
    progress: Callable[[float], None] = lambda share: None
    metric: str = "balanced_accuracy"
    predicted: int | None = None

    @property
    def batch_size(self) -> int:
        """Images of an update."""
        return self.classifier.batch_size or self.budget.batch_size


def train(real: ImageSet, extra: ImageSet, val: ImageSet, setting: Setting) -> Trained:
    """Train by the recipe and keep the epoch with the best ``setting.metric`` on ``val``.

    A tie goes to the lower validation loss. Resumes from its scratch folder; the result does not depend on
    whether it was interrupted.

    Args:
        real: real training images; they alone give the normalization.
        extra: all training images, real and added.
        val: images that choose the epoch, and end the training where the budget has patience.
    Raises:
        ClassifierError: the loss is not finite, or the weights cannot be had.
    """
    training = Training(real, extra, setting)
    running: list[Tensor] = []
    done = training.resume()
    while done < training.steps and not training.over:
        running.append(training.update(done))
        done += 1
        if done in training.marks:
            training.evaluate(done, running, val)
            running = []
            setting.progress(done / training.steps)
    training.network.load_state_dict(training.kept)
    return Trained(training.network, training.history, training.best, done)


def predict(
    network: nn.Module, images: ImageSet, setting: Setting, normal: tuple[float, float]
) -> np.ndarray:
    """Class probabilities of every image, as the setting computes; see ``predict.probabilities``."""
    return probabilities(
        network,
        images,
        normal,
        device=setting.device,
        precision=setting.precision,
        predicted=setting.predicted,
    )


class Training:
    """The state of one training."""

    def __init__(self, real: ImageSet, extra: ImageSet, setting: Setting) -> None:
        import torch

        classifier, self.setting, self.extra = setting.classifier, setting, extra
        torch.manual_seed(setting.seed)
        self.network: nn.Module = build(classifier, len(real.classes), multilabel=extra.multilabel).to(
            setting.device
        )
        self.network.to(memory_format=torch.channels_last)
        self.steps = total_steps(setting.budget, setting.batch_size, len(extra))
        self.marks = evaluation_steps(self.steps, setting.budget.evaluations)
        self.computed = _quick(self.network, setting.device, self.steps)
        self.optimizer = Adam(self.network, classifier.weight_decay)
        self.normal = normalization(real.image)
        self.loss = Loss(extra, setting.device, weigh_classes=setting.balance == "class_weights")
        oversample = setting.balance == "oversample"
        self.batches = Batches(stratum(extra), setting.batch_size, oversample=oversample, seed=setting.seed)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        self.kept: dict[str, Tensor] = {}
        self.saved_at = time.monotonic()

    def resume(self) -> int:
        """Updates that an interrupted training had done."""
        state = load_state(self.setting.scratch / "training.pt", self.setting.device)
        if state is None:
            return 0
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best, self.kept = state["history"], state["best"], state["kept"]
        return int(state["step"])

    def update(self, step: int) -> Tensor:
        """One update; its randomness is named by seed and step alone. Returns the loss."""
        import torch

        torch.manual_seed((self.setting.seed + 1) * 1_000_003 + step)
        rows = self.batches[step]
        batch = self.augmented(self.load(rows), step)
        self.network.train()
        loss = self.forward(batch, rows)
        loss.backward()
        self.optimizer.step(learning_rate(self.setting.classifier, step, self.steps, self.drops))
        return loss.detach()

    def load(self, rows: np.ndarray) -> Tensor:
        """(B, 1, H, W) float in [0, 1]: the images at these positions."""
        return tensor(self.extra.image[rows], self.setting.device)

    def augmented(self, batch: Tensor, step: int) -> Tensor:
        """The batch by the recipe's augmentation, normalized."""
        import torch

        rng = torch.Generator().manual_seed((self.setting.seed + 1) * 1_000_003 + step)
        return ready(PIPELINES[self.setting.classifier.augmentation](batch, rng), self.normal)

    def forward(self, batch: Tensor, rows: np.ndarray) -> Tensor:
        """The loss of a batch."""
        with autocast(self.setting.device, self.setting.precision):
            output = self.computed(batch)
        return self.loss(output.float(), rows)

    @property
    def drops(self) -> int:
        """How often the learning rate was lowered, by a recipe that lowers it on plateaus."""
        if self.setting.classifier.schedule != "plateau":
            return 0
        return plateaus([self._quality(h) for h in self.history], self.setting.classifier.plateau_patience)

    @property
    def over(self) -> bool:
        """Whether ``val`` has not improved for as long as the budget waits."""
        return is_over([self._quality(h) for h in self.history], self.setting.budget)

    def evaluate(self, step: int, losses: list[Tensor], val: ImageSet) -> None:
        """Read ``val``, keep the weights if they are the best so far, save a state now and then."""
        import torch

        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise ClassifierError(
                f"classifier '{self.setting.classifier.name}', seed {self.setting.seed}",
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


def _quick(network: nn.Module, device: str, steps: int) -> Callable[[Tensor], Tensor]:
    """The network as it is computed in training: the same function, by the device's fastest means."""
    if device == "cpu":
        quicken(network)
        return network
    if steps < COMPILING_PAYS:
        return network
    import torch

    compiled: Callable[[Tensor], Tensor] = torch.compile(network)
    return compiled


def _validate(
    network: nn.Module, val: ImageSet, setting: Setting, normal: tuple[float, float]
) -> dict[str, float]:
    scores = predict(network, val, setting, normal)
    if not np.isfinite(scores).all():
        raise ClassifierError(
            f"classifier '{setting.classifier.name}', seed {setting.seed}", "scores are not finite"
        )
    certain = np.flatnonzero(val.label < scores.shape[1]) if not val.multilabel else np.arange(len(val))
    label, scores = val.label[certain], scores[certain]
    found = {f"val_{name}": value for name, value in quality.values(label, scores).items()}
    return {**found, "val_loss": quality.loss(label, scores)}
