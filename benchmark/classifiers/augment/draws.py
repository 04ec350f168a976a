"""Random draws per image, and operations on the images that drew them.

Every draw is made on the CPU, so that a seed means the same on every device.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Pipeline = Callable[[Tensor, Generator], Tensor]
Operation = Callable[[Tensor, Tensor], Tensor]  # of (K, 1, H, W) images and their (K,) places in the batch


def uniform(n: int, low: float, high: float, rng: Generator) -> Tensor:
    """Draw (N,) floats from [low, high)."""
    return torch.rand(n, generator=rng) * (high - low) + low


def below(limit: Tensor, rng: Generator) -> Tensor:
    """Draw one whole number from 0 to ``limit`` - 1 for each of the (N,) limits."""
    return (uniform(len(limit), 0, 1, rng) * limit).long()


def coin(n: int, probability: float, rng: Generator) -> Tensor:
    """Draw (N,) booleans, true with this probability."""
    return uniform(n, 0, 1, rng) < probability


def per_image(value: Tensor | float, batch: Tensor) -> Tensor:
    """Shape one number, or (N,), as (1 or N, 1, 1, 1) on the batch's device."""
    return torch.as_tensor(value).to(batch.device, batch.dtype).reshape(-1, 1, 1, 1)


def changed(batch: Tensor, chosen: Tensor, operation: Operation) -> Tensor:
    """Apply an operation to the chosen images alone, and compute nothing for the others.

    Args:
        chosen: (N,) bool on the CPU.
    Returns:
        (N, 1, H, W); the batch itself if no image is chosen.
    """
    rows = chosen.nonzero().flatten()
    if not len(rows):
        return batch
    at = rows.to(batch.device)
    return batch.index_copy(0, at, operation(batch[at], rows))


def one_of(batch: Tensor, probability: float, rng: Generator, *operations: Operation) -> Tensor:
    """Apply one of the operations, all equally likely, to each image with this probability."""
    n = len(batch)
    touched, drawn = coin(n, probability, rng), (uniform(n, 0, len(operations), rng)).long()
    for number, operation in enumerate(operations):
        batch = changed(batch, touched & (drawn == number), operation)
    return batch
