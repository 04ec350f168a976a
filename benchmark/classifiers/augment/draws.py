"""Random draws per image, and operations on the images that drew them.

Every draw is made on the CPU, so that a seed means the same on every device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


def uniform(n: int, low: float, high: float, rng: Generator) -> Tensor:
    """(N,) float draws from [low, high)."""
    import torch

    return torch.rand(n, generator=rng) * (high - low) + low


def below(limit: Tensor, rng: Generator) -> Tensor:
    """One whole number from 0 to ``limit`` - 1 for each of the (N,) limits."""
    return (uniform(len(limit), 0, 1, rng) * limit).long()


def coin(n: int, probability: float, rng: Generator) -> Tensor:
    """(N,) bool, true with a probability."""
    return uniform(n, 0, 1, rng) < probability


def per_image(value: Tensor | float, batch: Tensor) -> Tensor:
    """One number for all images, or (N,) for each, as (1 or N, 1, 1, 1) beside the batch."""
    import torch

    return torch.as_tensor(value).to(batch.device, batch.dtype).reshape(-1, 1, 1, 1)


def changed(batch: Tensor, chosen: Tensor, operation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The batch with an operation on the chosen images alone; nothing is computed for the others.

    Args:
        batch: (N, 1, H, W).
        chosen: (N,) bool on the CPU.
        operation: of (K, 1, H, W) images and their (K,) places in the batch.
    Returns:
        (N, 1, H, W); the batch itself where none is chosen.
    """
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return batch
    at = rows.to(batch.device)
    return batch.index_copy(0, at, operation(batch[at], rows))


def one_of(
    batch: Tensor, probability: float, rng: Generator, *operations: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """With a probability one of the operations, each as likely as the others; else no change."""
    n = len(batch)
    touched, drawn = coin(n, probability, rng), (uniform(n, 0, len(operations), rng)).long()
    for number, operation in enumerate(operations):
        batch = changed(batch, touched & (drawn == number), operation)
    return batch
