"""Class probabilities of images, by a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import blocks
from benchmark.utils.training_state import autocast

if TYPE_CHECKING:
    from torch import Tensor, nn

LARGEST_BATCH, PIXELS_AT_ONCE = 256, 2**22  # a network in evaluation keeps little, but at 320 px it is enough


def probabilities(
    network: nn.Module,
    images: ImageSet,
    normal: tuple[float, float],
    *,
    device: str,
    precision: str,
    predicted: int | None = None,
) -> np.ndarray:
    """Class probabilities of every image, in large batches.

    Args:
        network: is set to evaluation.
        normal: mean and standard deviation of the pixels that it was trained on, in [0, 1].
        predicted: how many classes are predicted, the first ones; None for all.
    Returns:
        (N, K) float64 in [0, 1]; rows sum to 1 where an image has one class.
    """
    network.eval()

    def scores(batch: Tensor) -> Tensor:
        return _normalized(network(batch).double(), images.multilabel, predicted)

    parts = list(in_batches(scores, images, normal, device=device, precision=precision))
    columns = min(predicted or len(images.classes), len(images.classes))
    return np.concatenate(parts) if parts else np.zeros((0, columns))


def in_batches(
    compute: Callable[[Tensor], Tensor],
    images: ImageSet,
    normal: tuple[float, float],
    *,
    device: str,
    precision: str,
) -> Iterator[np.ndarray]:
    """What is computed of the images, large batch by large batch, without gradients.

    Args:
        compute: of a batch as networks take it.
        normal: mean and standard deviation of the pixels that the network was trained on, in [0, 1].
    """
    import torch

    size = min(LARGEST_BATCH, max(8, PIXELS_AT_ONCE // int(np.prod(images.image.shape[1:]))))
    for first in range(0, len(images), size):
        with torch.inference_mode(), autocast(device, precision):
            batch = ready(tensor(images.image[first : first + size], device), normal)
            yield compute(batch).cpu().numpy()


def _normalized(output: Tensor, multilabel: bool, predicted: int | None) -> Tensor:
    """Sigmoids, or a softmax over the classes that are predicted."""
    import torch

    if multilabel:
        return torch.sigmoid(output)
    return torch.softmax(output if predicted is None else output[:, :predicted], 1)


def tensor(image: np.ndarray, device: str) -> Tensor:
    """(N, H, W) uint8 to (N, 1, H, W) float in [0, 1] on the device."""
    import torch

    copy = np.array(image)  # torch wants to own what it reads; the file map is read-only
    return torch.from_numpy(copy).to(device, non_blocking=True).unsqueeze(1).float().div_(255)


def ready(batch: Tensor, normal: tuple[float, float]) -> Tensor:
    """A batch as networks take it: normalized, the channels last in memory."""
    import torch

    mean, std = normal
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def normalization(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of training pixels, in [0, 1]; read block by block."""
    count, total, squares = 0, 0.0, 0.0
    for block in blocks(images):
        part = block.astype(np.float64)
        count, total, squares = count + part.size, total + part.sum(), squares + (part**2).sum()
    mean = total / count
    return mean / 255, max(float(np.sqrt(max(squares / count - mean**2, 0.0))) / 255, 1e-3)
