"""The denoiser of SinDDM (Kulikov et al. 2023): fully convolutional, conditioned on time and scale.

It sees 35 x 35 pixels, as Zhang et al. 2023, section 3.1, state. The published code ends in a convolution of
1 x 1, with which it would see 33 x 33; here the last one is 3 x 3.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EMBEDDING = 32  # values of the embedding of a time, of a scale, and of both together
LANES = 16  # channels that a CPU's kernel takes at once


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution with a fast gradient on a CPU.

    PyTorch computes the gradients of a depthwise convolution there by a slow kernel: 20 times the time of
    the forward pass. That of the input is a depthwise convolution again. That of the weights is the diagonal
    of the gradient of a convolution in groups of 16 channels, for which the kernel is fast.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        """Convolve (N, C, H, W) maps by (C, 1, k, k) weights."""
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor]:  # type: ignore[no-untyped-def]
        """Return the gradients of maps and weights."""
        x, weight = ctx.saved_tensors
        count, _, side, _ = weight.shape
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_maps = None
        if ctx.needs_input_grad[0]:
            of_maps = F.conv2d(gradient, weight.flip(2, 3), padding=side // 2, groups=count)
        group = math.gcd(count, LANES)
        of_groups = torch.ops.aten.convolution_backward(
            gradient, x, weight.new_zeros(count, group, side, side), None, [1, 1], [side // 2] * 2, [1, 1],
            False, [0, 0], count // group, [False, True, False],
        )[1]  # fmt: skip
        channel = torch.arange(count)
        return of_maps, of_groups[channel, channel % group].unsqueeze(1)


class Depthwise(nn.Conv2d):
    """A padded 5 x 5 convolution of each channel by itself."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 5, padding=2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C, H, W) maps."""
        if x.device.type != "cpu":
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = (part.to(torch.get_autocast_dtype("cpu")) for part in (x, weight))
        maps: Tensor = _Depthwise.apply(x, weight)
        return maps


class Block(nn.Module):
    """A depthwise convolution, the condition, and two convolutions around a GELU, beside a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.condition = nn.Sequential(
            nn.GELU(), nn.Linear(EMBEDDING, EMBEDDING), nn.Linear(EMBEDDING, inside)
        )
        self.spatial = Depthwise(inside)
        self.convolutions = nn.Sequential(
            nn.Conv2d(inside, outside, 3, padding=1), nn.GELU(), nn.Conv2d(outside, outside, 3, padding=1)
        )
        self.shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Return (N, outside, H, W) maps of (N, inside, H, W) ones and an (N, 32) embedding."""
        inside = self.spatial(x) + self.condition(embedding)[:, :, None, None]
        result: Tensor = self.convolutions(inside) + self.shortcut(x)
        return result


class Denoiser(nn.Module):
    """Four blocks of half, full, full and half width, and a last convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.embedding = nn.Sequential(
            nn.Linear(2 * EMBEDDING, 4 * EMBEDDING), nn.GELU(), nn.Linear(4 * EMBEDDING, EMBEDDING)
        )
        widths = (1, half, width, width, half)
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))
        self.last = nn.Conv2d(half, 1, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor, scale: int) -> Tensor:
        """Predict the clean (N, 1, H, W) images of noised ones.

        Args:
            time: (N,) of the noise.
            scale: of all images.
        """
        from diffusers.models.embeddings import get_timestep_embedding

        parts = [
            get_timestep_embedding(values, EMBEDDING, downscale_freq_shift=1)
            for values in (time, torch.full_like(time, scale))
        ]
        embedding = self.embedding(torch.cat(parts, 1))
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, embedding)
        clean: Tensor = self.last(x)
        return clean
