"""A trained classifier as a frozen, differentiable function of images."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.classifiers import network as networks
from benchmark.classifiers.evaluator import META, WEIGHTS
from benchmark.classifiers.heads import Classifier
from benchmark.tasks.classifier import ClassifierConfig


class Guide(nn.Module):
    """Map (N, 1, S, S) images in [0, 1] of any side to (N, K) logits; gradients reach the images alone."""

    def __init__(self, network: Classifier, normal: tuple[float, float], image_size: int) -> None:
        super().__init__()
        self.network, self.normal, self.image_size = network.requires_grad_(False), normal, image_size
        self.eval()

    def train(self, mode: bool = True) -> "Guide":
        """Stay in evaluation mode, whatever the mode."""
        super().train(False)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        side = self.image_size
        if images.shape[-1] != side:
            images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        logits: Tensor = self.network((images - self.normal[0]) / self.normal[1])
        return logits


def load(
    folder: Path,
    classifier: ClassifierConfig,
    classes: int,
    image_size: int,
    device: str,
    *,
    multilabel: bool,
) -> Guide:
    """Read what ``evaluator.save_evaluator`` wrote.

    Args:
        classes: number of outputs.
        image_size: side of its training images in pixels.
    """
    mean, std = json.loads((folder / META).read_text(encoding="utf-8"))["normal"]
    network = networks.load(classifier, classes, folder / WEIGHTS, multilabel=multilabel)
    return Guide(network.to(torch.device(device)), (mean, std), image_size)
