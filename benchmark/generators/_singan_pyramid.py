"""The networks of SinGAN (Shaham et al. 2019, arXiv:1905.01164): patch networks in a pyramid."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pyramid_sides(side: int, smallest: int, largest: int, factor: float) -> list[int]:
    """Return the sides of the scales, coarsest first: from ``smallest`` to ``side`` in equal ratios.

    Source: Shaham et al. 2019, ``adjust_scales2image`` of their code.
    """
    finest = min(side, largest)
    if finest < smallest:
        return [finest]
    steps = 1 + _scales(smallest / side, factor) - _scales(finest / side, factor)
    ratio = (smallest / finest) ** (1 / steps)
    return [math.ceil(finest * ratio ** (steps - i) - 1e-6) for i in range(steps + 1)]


def _scales(ratio: float, factor: float) -> int:
    return math.ceil(math.log(ratio, factor) - 1e-9)


def patch_network(width: int, depth: int) -> nn.Sequential:
    """Return unpadded convolutions from one map to one, batch-normalized between; weights as published."""
    parts: list[nn.Module] = []
    for i in range(depth - 1):
        parts += [nn.Conv2d(width if i else 1, width, 3), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    network = nn.Sequential(*parts, nn.Conv2d(width, 1, 3))
    for part in network:
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, 0.02)
    return network


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (N, 1, H, W) images by antialiased cubic interpolation."""
    if images.shape[2:] == (height, width):
        return images
    return F.interpolate(
        images.float(), size=(height, width), mode="bicubic", align_corners=False, antialias=True
    )


class Pyramid(nn.Module):
    """The generators of all scales, with what their noise needs.

    Attributes:
        source: (1, 1, S, S) the learned image at the finest scale.
        anchor: (1, 1, s, s) the coarsest noise from which the source is reconstructed.
        strength: (scales,) standard deviation of the noise.
    """

    source: Tensor
    anchor: Tensor
    strength: Tensor

    def __init__(self, sides: list[int], widths: list[int], depth: int) -> None:
        super().__init__()
        self.sides, self.depth = sides, depth
        self.scales = nn.ModuleList(patch_network(width, depth) for width in widths)
        self.register_buffer("source", torch.zeros(1, 1, sides[-1], sides[-1]))
        self.register_buffer("anchor", torch.randn(1, 1, sides[0], sides[0]))
        self.register_buffer("strength", torch.ones(len(sides)))

    def refine(self, scale: int, previous: Tensor, noise: Tensor) -> Tensor:
        """Add a scale's detail to the (N, 1, H, W) enlarged image of the previous one."""
        noisy = F.pad(self.strength[scale] * noise + previous, (self.depth,) * 4)
        detail: Tensor = torch.tanh(self.scales[scale](noisy))
        return detail + previous

    def real(self, scale: int) -> Tensor:
        """Return the source at a scale."""
        return resize(self.source, self.sides[scale], self.sides[scale])

    @torch.no_grad()
    def before(self, scale: int, shape: tuple[int, int, int], random: torch.Generator, start: int) -> Tensor:
        """Draw the enlarged images that a scale refines.

        Args:
            shape: number of images, height and width at the finest scale.
            start: first scale with noise; it refines the source.
        """
        count = shape[0]
        x = self.source.new_zeros(count, 1, *self.shape(0, shape))
        if start:
            x = resize(self.source, *self.shape(start, shape)).expand(count, -1, -1, -1)
        for i in range(start, scale):
            x = self.refine(i, x, randn(x.shape, random))
            x = resize(x, *self.shape(i + 1, shape))
        return x

    @torch.no_grad()
    def reconstruction_before(self, scale: int) -> Tensor:
        """Return the enlarged reconstruction of the source that a scale refines, drawn from the anchor."""
        x = torch.zeros_like(self.anchor)
        for i in range(scale):
            x = self.refine(i, x, self.anchor if i == 0 else torch.zeros_like(x))
            x = resize(x, self.sides[i + 1], self.sides[i + 1])
        return x

    def shape(self, scale: int, shape: tuple[int, int, int]) -> tuple[int, int]:
        """Return height and width at a scale, given them at the finest one."""
        ratio = self.sides[scale] / self.sides[-1]
        return max(1, round(shape[1] * ratio)), max(1, round(shape[2] * ratio))


def randn(shape: torch.Size, random: torch.Generator) -> Tensor:
    """Draw normal noise on the generator's device."""
    return torch.randn(shape, generator=random, device=random.device)
