"""Batches, random states, weights and resumable states of the generators that train networks.

The randomness of a step depends on the seed and the step alone. So a fit that is killed and resumed ends in
the same bytes as an uninterrupted one, without saving the state of any random generator.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext

Module = TypeVar("Module", bound=nn.Module)

SAVE_EVERY_SECONDS = 20.0
SAVE_AT_MOST = 1 / 20  # share of the time spent on saving states


def draw_batch(position: np.ndarray, size: int, step: int, seed: int, balance: float) -> np.ndarray:
    """Draw the positions of the training images of one step, with replacement.

    Args:
        position: (N,) class of every training image.
        balance: 0 draws every image equally often, 1 every class; between them, n_class ** -balance.
    Returns:
        (size,) int64.
    """
    weight = np.bincount(position)[position].astype(np.float64) ** -balance
    rng = np.random.default_rng([seed, step, 2])
    return rng.choice(len(position), size, p=weight / weight.sum())


class Batches:
    """The batches of a fit."""

    def __init__(self, train: ImageSet, position: np.ndarray, context: FitContext, balance: float) -> None:
        self.images, self.position = np.ascontiguousarray(train.image), position
        self.context, self.balance = context, balance

    def first(self) -> Tensor:
        """Return the first training image as (1, 1, S, S) in [-1, 1], on the device."""
        return to_network(self.images[:1].copy(), self.context.device)  # a memory map is read-only

    def __call__(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Return (size, 1, S, S) images in [-1, 1] and (size,) classes of a step, on the device."""
        rows = draw_batch(self.position, size, step, self.context.seed, self.balance)
        label = torch.from_numpy(self.position[rows]).to(self.context.device)
        return to_network(self.images[rows], self.context.device), label


def step_generator(seed: int, step: int, device: str) -> torch.Generator:
    """Return a generator on the device for the random draws of one step."""
    state = np.random.SeedSequence([seed, step, 3]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))


def memory_format(device: str) -> torch.memory_format:
    """Channels last on a GPU; on a CPU group normalization is a third faster without."""
    return torch.channels_last if device.startswith("cuda") else torch.contiguous_format


def place(module: Module, device: str) -> Module:
    """Move a network to a device, in the memory format that is fast there."""
    return module.to(device).to(memory_format=memory_format(device))


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Draw initial weights by the seed; torch's global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def to_network(images: np.ndarray, device: str) -> Tensor:
    """Convert (N, S, S) uint8 to (N, 1, S, S) float32 in [-1, 1]."""
    return torch.from_numpy(images).to(device).float().div(127.5).sub(1).unsqueeze(1)


def to_pixels(images: Tensor) -> np.ndarray:
    """Convert (N, 1, S, S) in about [-1, 1] to (N, S, S) uint8, or to float where the network gave NaN."""
    gray = images.float().squeeze(1).add(1).div(2)
    if not torch.isfinite(gray).all():
        return gray.cpu().numpy()
    return gray.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


class StateSaver:
    """Save the state of a fit at intervals, in at most a twentieth of the time."""

    def __init__(self, context: FitContext) -> None:
        self.context, self.saved_at, self.wait = context, time.monotonic(), SAVE_EVERY_SECONDS

    def save_if_due(self, step: int, parts: Mapping[str, Any]) -> None:
        """Save the ``state_dict`` of every part after this number of steps, if it is time."""
        start = time.monotonic()
        if start - self.saved_at < self.wait:
            return
        self.context.save_state({"step": step, **{k: part.state_dict() for k, part in parts.items()}})
        self.saved_at = time.monotonic()
        self.wait = max(SAVE_EVERY_SECONDS, (self.saved_at - start) / SAVE_AT_MOST)

    def resume(self, parts: Mapping[str, Any]) -> int:
        """Restore the last saved state; return the number of its steps, 0 without a state."""
        state = self.context.load_state()
        if state is None:
            return 0
        restore(parts, state)
        return int(state["step"])


def restore(parts: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Load the ``state_dict`` of every part."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
