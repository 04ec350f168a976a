"""Compute class probabilities of images with a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmark.classifiers.config import TrainingConfig
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import blocks
from benchmark.utils.training_state import autocast

if TYPE_CHECKING:
    from torch import Tensor, nn

LARGEST_BATCH, PIXELS_AT_ONCE = 256, 2**22  # bounds the memory at 320 px


def predict(
    network: nn.Module, images: ImageSet, config: TrainingConfig, normal: tuple[float, float]
) -> np.ndarray:
    """Return class probabilities of every image.

    Args:
        network: is switched to evaluation mode.
        config: of the network's training.
        normal: mean and standard deviation of its training pixels, in [0, 1].
    Returns:
        (N, K) float64 in [0, 1]; rows sum to 1 with single labels.
    """
    import torch

    def scores(batch: Tensor) -> Tensor:
        output = network(batch).double()
        return torch.sigmoid(output) if images.multilabel else torch.softmax(output[:, : config.predicted], 1)

    network.eval()
    parts = list(compute_in_batches(scores, images, config, normal))
    columns = min(config.predicted or len(images.classes), len(images.classes))
    return np.concatenate(parts) if parts else np.zeros((0, columns))


def compute_in_batches(
    compute: Callable[[Tensor], Tensor], images: ImageSet, config: TrainingConfig, normal: tuple[float, float]
) -> Iterator[np.ndarray]:
    """Yield ``compute`` of large normalized batches of the images, without gradients."""
    import torch

    size = min(LARGEST_BATCH, max(8, PIXELS_AT_ONCE // int(np.prod(images.image.shape[1:]))))
    for first in range(0, len(images), size):
        with torch.inference_mode(), autocast(config.device, config.precision):
            batch = normalize(to_tensor(images.image[first : first + size], config.device), normal)
            yield compute(batch).cpu().numpy()


def to_tensor(image: np.ndarray, device: str) -> Tensor:
    """Convert (N, H, W) uint8 to (N, 1, H, W) float in [0, 1] on the device."""
    import torch

    copy = np.array(image)  # torch needs writable memory; the file map is read-only
    return torch.from_numpy(copy).to(device, non_blocking=True).unsqueeze(1).float().div_(255)


def normalize(batch: Tensor, normal: tuple[float, float]) -> Tensor:
    """Normalize a batch by mean and standard deviation, channels last in memory."""
    import torch

    mean, std = normal
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def normalization(images: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of training pixels, in [0, 1]; reads block by block."""
    count, total, squares = 0, 0.0, 0.0
    for block in blocks(images):
        part = block.astype(np.float64)
        count, total, squares = count + part.size, total + part.sum(), squares + (part**2).sum()
    mean = total / count
    return mean / 255, max(float(np.sqrt(max(squares / count - mean**2, 0.0))) / 255, 1e-3)
