"""A small residual network for thoracic images, and its embedded weights."""

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.errors import MetricError
from benchmark.metrics.extractor import views
from benchmark.utils.hashing import sha256_file

FOLDER = Path(__file__).parent
SIDE = 64  # pixels of the network's input
DIM = 128  # features
WIDTHS = (16, 32, 96, 128)


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; the first one may halve the image."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.short = nn.Conv2d(inside, outside, 1, bias=False) if inside != outside else nn.Identity()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        pooled = F.avg_pool2d(x, 2) if self.stride == 2 else x
        return F.relu(self.norm2(self.conv2(y)) + self.short(pooled))


class Extractor(nn.Module):
    """Map (B, 1, 64, 64) in about [-2, 2] to (B, 128) features."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = nn.Conv2d(1, a, 5, 2, 2, bias=False)
        self.norm = nn.BatchNorm2d(a)
        self.blocks = nn.Sequential(
            Block(a, a, 1), Block(a, b, 2), Block(b, c, 2), Block(c, d, 2), Block(d, d, 1)
        )
        # A layout-aware pool: means over the image and over its quarters, mixed to DIM features.
        self.mix = nn.Linear(5 * d, DIM)

    def before_second_halving(self, x: Tensor) -> Tensor:
        """Return (B, 16, 32, 32) features of single positions."""
        return self.blocks[0](F.relu(self.norm(self.stem(x))))

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        pooled = torch.cat([F.adaptive_avg_pool2d(x, n).flatten(1) for n in (1, 2)], 1)
        return self.mix(pooled)


def to_input(images: Tensor) -> Tensor:
    """Convert (B, H, W) uint8, or float in 0 to 255, to the network's (B, 1, 64, 64) input."""
    return views.normalize(views.resize(images.float(), SIDE))


def load_embedded(name: str, folder: Path = FOLDER) -> Extractor:
    """Load the network with the weights ``<folder>/<name>.safetensors``.

    Raises:
        MetricError: the file is missing, or does not match its card.
    """
    from safetensors.torch import load_file

    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise MetricError(str(path), "is missing", "Install the package again.")
    expected = json.loads(path.with_suffix(".json").read_text())["sha256"]
    if sha256_file(path) != expected:
        raise MetricError(str(path), "does not have the SHA-256 of its card", "Install the package again.")
    net = Extractor()
    net.load_state_dict(load_file(path))
    return net
