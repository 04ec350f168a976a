"""What the trained generators share: batches, randomness by step, weights, states to resume from.

The randomness of a step depends on the seed and the step alone, so that a fit that is killed and resumed
ends in the same bytes as one that is not, without any generator's state to keep.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError
from benchmark.plugins.generator import FitContext

Module = TypeVar("Module", bound=nn.Module)

SAVE_EVERY_SECONDS = 20.0
SAVE_AT_MOST = 1 / 20  # of the time goes into saving states
SAMPLE_BATCH = 64  # fixed, so that the same seed gives the same bytes


def draw_batch(position: np.ndarray, size: int, step: int, seed: int, balance: float) -> np.ndarray:
    """Positions of the training images of one step, drawn with replacement.

    Args:
        position: (N,) class of every training image.
        balance: 0 draws every image equally often, 1 every class; between them, n_class ** -balance.
    Returns:
        (size,) int64.
    """
    weight = np.bincount(position)[position].astype(np.float64) ** -balance
    rng = np.random.default_rng([seed, step, 2])
    return rng.choice(len(position), size, p=weight / weight.sum())


def step_generator(seed: int, step: int, device: str) -> torch.Generator:
    """A generator on the device for the random acts of one step."""
    state = np.random.SeedSequence([seed, step, 3]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))


def memory_format(device: str) -> torch.memory_format:
    """Channels last on a GPU; on a CPU the group normalization is a third faster without."""
    return torch.channels_last if device.startswith("cuda") else torch.contiguous_format


def place(module: Module, device: str) -> Module:
    """Move a network to a device, in the memory format that is fast there."""
    return module.to(device).to(memory_format=memory_format(device))


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Initial weights follow the seed; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def to_network(images: np.ndarray, device: str) -> Tensor:
    """(N, S, S) uint8 to (N, 1, S, S) float32 in [-1, 1]."""
    return torch.from_numpy(images).to(device).float().div(127.5).sub(1).unsqueeze(1)


def to_pixels(images: Tensor) -> np.ndarray:
    """(N, 1, S, S) about [-1, 1] to (N, S, S) uint8, or float with NaN where the network gave NaN."""
    gray = images.float().squeeze(1).add(1).div(2)
    if not torch.isfinite(gray).all():
        return gray.cpu().numpy()
    return gray.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


@torch.no_grad()
def update_average(average: nn.Module, live: nn.Module, decay: float, updates: int) -> None:
    """Move the averaged weights towards the live ones, faster at first, so that the start is forgotten."""
    keep = min(decay, (1 + updates) / (10 + updates))
    for kept, new in zip(average.parameters(), live.parameters(), strict=True):
        kept.lerp_(new, 1 - keep)


def check_finite(loss: float, name: str, step: int) -> None:
    """Stop a fit that has left the numbers.

    Raises:
        GeneratorError: the loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise GeneratorError(
            f"generator '{name}'",
            f"the loss is {loss} at step {step}",
            "Lower learning_rate, or use precision float32.",
        )


def numpy_weights(module: nn.Module) -> dict[str, np.ndarray]:
    """The weights by name."""
    return {k: v.detach().cpu().contiguous().numpy() for k, v in module.state_dict().items()}


def set_weights(module: nn.Module, weights: Mapping[str, np.ndarray], name: str) -> None:
    """Put stored weights into a network.

    Raises:
        GeneratorError: names or shapes differ.
    """
    try:
        module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise GeneratorError(
            f"generator '{name}'", f"the stored weights do not fit: {first}", "Fit it again."
        ) from error


class Keeper:
    """Keeps the state of a fit from time to time, and spends at most a twentieth of the time on it."""

    def __init__(self, context: FitContext) -> None:
        self.context, self.saved_at, self.wait = context, time.monotonic(), SAVE_EVERY_SECONDS

    def keep(self, step: int, parts: Mapping[str, Any]) -> None:
        """Save the ``state_dict`` of every part after so many steps, if it is time."""
        start = time.monotonic()
        if start - self.saved_at < self.wait:
            return
        self.context.save_state({"step": step, **{k: part.state_dict() for k, part in parts.items()}})
        self.saved_at = time.monotonic()
        self.wait = max(SAVE_EVERY_SECONDS, (self.saved_at - start) / SAVE_AT_MOST)

    def resume(self, parts: Mapping[str, Any]) -> int:
        """Put the last saved state back, and say how many steps it had behind it."""
        state = self.context.load_state()
        if state is None:
            return 0
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])
