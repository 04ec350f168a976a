"""Layers that StyleGAN and PGGAN share: equalized learning rates, resampling convolutions, the critic.

Sources: Karras et al. 2018 (arXiv:1710.10196), appendix A; Karras et al. 2019 (arXiv:1812.04948), section 2.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # negative slope of every leaky ReLU; Karras et al. 2018, appendix A
GAIN = 2**0.5  # of He et al. 2015, for layers with a leaky ReLU behind them


class Linear(nn.Module):
    """Fully connected layer with an equalized learning rate: unit weights, scaled at run time."""

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, gain: float = 1.0, pace: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.pace = gain * pace * inputs**-0.5, pace

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.pace)


class Conv(nn.Module):
    """Convolution with an equalized learning rate, which may double or halve the size.

    ``up`` is nearest-neighbor enlargement before the convolution, ``down`` 2 x 2 averaging behind it, each
    fused with it into one strided 4 x 4 convolution (up: with the mirrored kernel): 4 products per pixel
    instead of 9.
    ``blur`` filters with [1, 2, 1] at the larger size, which makes the resampling bilinear.
    """

    blur_kernel: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        resample: Literal["", "up", "down"] = "",
        blur: bool = False,
        bias: bool = True,
        gain: float = GAIN,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = gain * (inputs * kernel**2) ** -0.5, kernel // 2
        self.resample, self.blur = resample, blur
        if blur:
            line = torch.tensor([0.25, 0.5, 0.25])
            maps = outputs if resample == "up" else inputs
            self.register_buffer("blur_kernel", line.outer(line).repeat(maps, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if not self.resample:
            return F.conv2d(x, weight, self.bias, padding=self.padding)
        # a 3 x 3 kernel on doubled or averaged pixels is a 4 x 4 kernel with stride 2
        padded = F.pad(weight, (1, 1, 1, 1))
        wide = padded[..., 1:, 1:] + padded[..., :-1, 1:] + padded[..., 1:, :-1] + padded[..., :-1, :-1]
        if self.resample == "down":
            x = self._filter(x) if self.blur else x
            return F.conv2d(x, wide / 4, self.bias, stride=2, padding=1)
        x = F.conv_transpose2d(x, wide.transpose(0, 1), stride=2, padding=1)
        x = self._filter(x) if self.blur else x
        return x if self.bias is None else x + self.bias[:, None, None]

    def _filter(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.blur_kernel.to(x.dtype), padding=1, groups=len(self.blur_kernel))


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def unit_length(x: Tensor) -> Tensor:
    """Scale the vector of maps at each position, or the code, to a mean square of one (pixel norm)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def minibatch_deviation(x: Tensor, size: int = 4) -> Tensor:
    """Return (N, 1, S, S) standard deviations within groups of images, averaged over maps and positions.

    They reveal a generator that always draws one image (Karras et al. 2018, section 3; groups as in its
    code). A batch that ``size`` does not divide is one group.
    """
    groups = len(x) // size if len(x) % size == 0 else 1
    spread = x.float().reshape(groups, -1, *x.shape[1:])
    deviation = (spread.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    each = deviation.repeat_interleave(len(x) // groups)
    return each[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


class Critic(nn.Module):
    """One score per image, higher for real; its levels grow with the generator's.

    ``colors`` is 1 but for comparison with the published networks.
    """

    def __init__(self, side: int, channels: list[int], classes: int, *, blur: bool, colors: int = 1) -> None:
        super().__init__()
        self.from_gray = nn.ModuleList(Conv(colors, c, 1) for c in channels)
        self.first = nn.ModuleList(Conv(c, c) for c in channels[1:])
        self.second = nn.ModuleList(
            Conv(c, b, resample="down", blur=blur) for b, c in pairwise(channels)
        )  # fmt: skip
        self.last = Conv(channels[0] + 1, channels[0])
        self.dense = Linear(channels[0] * side**2, channels[0], gain=GAIN)
        self.score = Linear(channels[0], 1)
        # projection critic (Miyato and Koyama 2018, arXiv:1802.05637): does the image match its class?
        self.embedding = nn.Embedding(classes, channels[0]) if classes > 1 else None

    def features(self, image: Tensor, level: int, blend: float, *, alone: bool = False) -> Tensor:
        """Return the (N, C) features of (N, 1, S, S) images that the score is a linear function of.

        Args:
            alone: compare no image with its group, so that its features are its own.
        """
        x = activate(self.from_gray[level](image))
        for i in range(level, 0, -1):
            x = activate(self.first[i - 1](x))
            x = activate(self.second[i - 1](x))
            if i == level and blend < 1:
                small = activate(self.from_gray[i - 1](F.avg_pool2d(image, 2)))
                x = torch.lerp(small, x, blend)
        deviation = torch.zeros_like(x[:, :1]) if alone else minibatch_deviation(x)
        x = activate(self.last(torch.cat([x, deviation], 1)))
        return activate(self.dense(x.flatten(1))).float()

    def forward(self, image: Tensor, label: Tensor, level: int, blend: float) -> Tensor:
        """Score (N, 1, S, S) images of (N,) classes; return (N,)."""
        x = self.features(image, level, blend)
        score = self.score(x).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * x).sum(1) * x.shape[1] ** -0.5
        return score


def blend_in(previous: Tensor | None, image: Tensor, weight: float) -> Tensor:
    """Blend an image with the enlarged image of the previous level, if there is one."""
    if previous is None:
        return image
    return torch.lerp(F.interpolate(previous, scale_factor=2), image, weight)
