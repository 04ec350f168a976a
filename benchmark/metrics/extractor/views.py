"""Changes of images that preserve their identity, batched; all in gray values 0 to 255."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def resize(images: Tensor, side: int) -> Tensor:
    """Resize (B, H, W) to (B, side, side), bilinear, antialiased."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images[:, None], (side, side), mode="bilinear", antialias=True)[:, 0]


def normalize(images: Tensor) -> Tensor:
    """Convert (B, H, W) in 0 to 255 to the network's (B, 1, H, W) in -2 to 2."""
    return images[:, None] / 63.75 - 2


def augment(images: Tensor, generator: Generator | None = None) -> Tensor:
    """Return a view for training: rotated up to 5 degrees, shifted and scaled up to 5 %, of another quality.

    Args:
        images: (B, S, S) float.
        generator: torch's global one by default.
    """
    n = len(images)
    x = move(images, math.radians(5), 0.05, 0.05, generator)
    x = 255 * (x / 255).clamp(0, 1) ** torch.exp(uniform(n, -0.25, 0.25, generator))
    x = (x - 128) * torch.exp(uniform(n, -0.25, 0.25, generator)) + 128 + uniform(n, -25, 25, generator)
    x = torch.where(chance(n, 0.3, generator), blur(x), x)
    x = torch.where(chance(n, 0.3, generator), resize(resize(x, x.shape[-1] // 2), x.shape[-1]), x)
    x = x + uniform(n, 0, 10, generator) * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 255)


def near_copy(images: Tensor, generator: Generator | None = None) -> Tensor:
    """Return near-copies, as of a copying generator: shifted up to 1/32, other brightness, light noise.

    Args:
        images: (B, S, S) float.
        generator: torch's global one by default.
    """
    n = len(images)
    x = move(images, 0.0, 0.0, 1 / 32, generator)
    x = (x - 128) * torch.exp(uniform(n, -0.1, 0.1, generator)) + 128 + uniform(n, -10, 10, generator)
    x = x + uniform(n, 0, 5, generator) * torch.randn(x.shape, generator=generator)
    return x.clamp(0, 255)


def move(images: Tensor, turn: float, zoom: float, shift: float, generator: Generator | None) -> Tensor:
    """Rotate by up to ``turn`` radians, scale by up to exp(zoom), shift by up to ``shift`` of the side."""
    n = len(images)
    angle, size = (uniform(n, -limit, limit, generator)[:, 0, 0] for limit in (turn, zoom))
    dx, dy = (uniform(n, -2 * shift, 2 * shift, generator)[:, 0, 0] for _ in range(2))
    cos, sin = torch.exp(size) * torch.cos(angle), torch.exp(size) * torch.sin(angle)
    theta = torch.stack([torch.stack([cos, -sin, dx], 1), torch.stack([sin, cos, dy], 1)], 1)
    grid = F.affine_grid(theta, [n, 1, *images.shape[1:]], align_corners=False)
    return F.grid_sample(images[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def blur(images: Tensor) -> Tensor:
    """Apply a 3 x 3 binomial filter."""
    kernel = torch.tensor([1.0, 2.0, 1.0]) / 4
    padded = F.pad(images[:, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, (kernel[:, None] * kernel[None])[None, None])[:, 0]


def uniform(n: int, low: float, high: float, generator: Generator | None) -> Tensor:
    """Draw (n, 1, 1) numbers between low and high."""
    return low + (high - low) * torch.rand(n, 1, 1, generator=generator)


def chance(n: int, share: float, generator: Generator | None) -> Tensor:
    """Draw (n, 1, 1) booleans, true with this probability."""
    return torch.rand(n, 1, 1, generator=generator) < share
