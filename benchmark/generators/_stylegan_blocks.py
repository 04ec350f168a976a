"""The parts of StyleGAN (Karras et al. 2019, arXiv:1812.04948): layers, generator, critic, augmentation."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # of every leaky ReLU; Karras et al. 2018, arXiv:1710.10196, appendix A


class Linear(nn.Module):
    """Fully connected, with an equalized learning rate: unit weights, scaled at run time."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, pace: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.pace = pace * inputs**-0.5, pace

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.pace)


class Conv(nn.Module):
    """Convolution that keeps the size, with an equalized learning rate.

    ``alike``: all outputs start equal. The pixels of a block do, or they would stay a checkerboard
    (Aitken et al. 2017, arXiv:1707.02937).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True, alike: bool = False
    ) -> None:
        super().__init__()
        weight = torch.randn(1 if alike else outputs, inputs, kernel, kernel)
        self.weight = nn.Parameter(weight.expand(outputs, -1, -1, -1).clone())
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale, self.padding = (inputs * kernel**2) ** -0.5, kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Mapping(nn.Module):
    """Latent code and class to style: an MLP that learns a hundred times slower (Karras et al. 2019)."""

    def __init__(self, width: int, layers: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width) if classes > 1 else None
        first = 2 * width if classes > 1 else width
        sizes = [first] + [width] * layers
        self.layers = nn.ModuleList(Linear(a, b, pace=0.01) for a, b in pairwise(sizes))

    def forward(self, code: Tensor, label: Tensor) -> Tensor:
        """(N, D) codes and (N,) classes to (N, D) styles."""
        x = _unit_length(code)
        if self.embedding is not None:
            x = torch.cat([x, _unit_length(self.embedding(label))], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * 2**0.5
        return x


def _unit_length(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """Convolution, noise, leaky ReLU, then AdaIN: the style sets each map's mean and deviation."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, outputs, bias=False)
        self.noise_strength = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        self.scale, self.shift = Linear(style, outputs, bias=1.0), Linear(style, outputs)

    def forward(self, x: Tensor, style: Tensor, random: torch.Generator) -> Tensor:
        x = self.conv(x)
        noise = torch.randn(len(x), 1, *x.shape[2:], generator=random, device=x.device)
        x = F.leaky_relu(x + self.noise_strength * noise + self.bias, SLOPE)
        variance, mean = torch.var_mean(x, (2, 3), keepdim=True, correction=0)
        gain = self.scale(style)[:, :, None, None] * (variance + 1e-5).rsqrt()
        return x * gain + (self.shift(style)[:, :, None, None] - mean * gain)


class Generator(nn.Module):
    """Mapping and synthesis; ``level`` 0 is the constant's size, each further one doubles it.

    With ``unshuffle`` U, a map's place stands for U x U pixels, and images are U times the level's size.
    """

    def __init__(
        self, side: int, channels: list[int], style: int, layers: int, classes: int, unshuffle: int
    ) -> None:
        super().__init__()
        self.mapping = Mapping(style, layers, classes)
        self.constant = nn.Parameter(torch.randn(1, channels[0], side, side))
        before = [channels[0], *channels[:-1]]
        self.first = nn.ModuleList(StyledConv(a, b, style) for a, b in zip(before, channels, strict=True))
        self.second = nn.ModuleList(StyledConv(c, c, style) for c in channels)
        self.to_gray = nn.ModuleList(Conv(c, unshuffle**2, 1, alike=True) for c in channels)
        self.unshuffle = unshuffle

    def forward(self, styles: Tensor, level: int, fade: float, random: torch.Generator) -> Tensor:
        """(N, levels, D) styles to (N, 1, S, S) images; ``fade`` < 1 blends in the level before."""
        x, image = self.constant.expand(len(styles), -1, -1, -1), None
        for i in range(level + 1):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            if i == level and fade < 1:
                # progressive growing: the picture of the level before, enlarged
                image = self.to_gray[i - 1](x)
            x = self.first[i](x, styles[:, i], random)
            x = self.second[i](x, styles[:, i], random)
        new = self.to_gray[level](x).float()
        image = new if image is None else torch.lerp(image.float(), new, fade)
        return F.pixel_shuffle(image, self.unshuffle)


class Critic(nn.Module):
    """The generator's gan_test image: a score per image, higher for real; classes by projection."""

    def __init__(self, side: int, channels: list[int], classes: int, unshuffle: int) -> None:
        super().__init__()
        self.from_gray = nn.ModuleList(Conv(unshuffle**2, c, 1) for c in channels)
        self.unshuffle = unshuffle
        self.first = nn.ModuleList(Conv(c, c) for c in channels[1:])
        self.second = nn.ModuleList(Conv(c, b) for b, c in pairwise(channels))
        self.last = Conv(channels[0] + 1, channels[0])
        self.dense = Linear(channels[0] * side**2, channels[0])
        self.score = Linear(channels[0], 1)
        # projection critic (Miyato and Koyama 2018, arXiv:1802.05637): does the picture suit its class?
        self.embedding = nn.Embedding(classes, channels[0]) if classes > 1 else None

    def forward(self, image: Tensor, label: Tensor, level: int, fade: float) -> Tensor:
        """(N, 1, S, S) images and (N,) classes to (N,) scores."""
        image = F.pixel_unshuffle(image, self.unshuffle)
        x = F.leaky_relu(self.from_gray[level](image), SLOPE)
        for i in range(level, 0, -1):
            x = F.leaky_relu(self.first[i - 1](x), SLOPE)
            x = F.leaky_relu(self.second[i - 1](x), SLOPE)
            x = F.avg_pool2d(x, 2)
            if i == level and fade < 1:
                small = F.leaky_relu(self.from_gray[i - 1](F.avg_pool2d(image, 2)), SLOPE)
                x = torch.lerp(small, x, fade)
        x = F.leaky_relu(self.last(torch.cat([x, _group_deviation(x)], 1)), SLOPE)
        x = F.leaky_relu(self.dense(x.flatten(1)), SLOPE).float()
        score = self.score(x).squeeze(1)
        if self.embedding is not None:
            score = score + (self.embedding(label) * x).sum(1) * x.shape[1] ** -0.5
        return score


def _group_deviation(x: Tensor, size: int = 4) -> Tensor:
    """(N, 1, S, S): how much the images of a group differ, so that a generator of one image is seen."""
    groups = max(1, len(x) // size)
    if len(x) % groups:
        groups = 1
    spread = x.float().reshape(groups, -1, *x.shape[1:])
    deviation = (spread.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    each = deviation.repeat_interleave(len(x) // groups)
    return each[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


def augment(x: Tensor, policy: tuple[str, ...], random: torch.Generator) -> Tensor:
    """DiffAugment (Zhao et al. 2020, arXiv:2006.10738) for gray (N, 1, S, S): color, translation, cutout."""

    def uniform(low: float, high: float) -> Tensor:
        drawn = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device)
        return low + (high - low) * drawn

    if "color" in policy:
        # brightness within half a unit, contrast within half
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean) * uniform(0.5, 1.5) + mean + uniform(-0.5, 0.5)
    side = x.shape[2]
    place = torch.arange(side, device=x.device)
    if "translation" in policy:
        # by up to an eighth of the side; what comes in is zero
        reach = side // 8
        by = torch.randint(-reach, reach + 1, (2, len(x), 1), generator=random, device=x.device)
        row, column = (place + by + reach).unbind()
        padded = F.pad(x, (reach,) * 4)
        index = row[:, :, None] * (side + 2 * reach) + column[:, None, :]
        x = padded.flatten(2).gather(2, index.flatten(1)[:, None]).view_as(x)
    if "cutout" in policy:
        # a zero square of half the side about any pixel
        center = torch.randint(0, side + 1, (2, len(x), 1), generator=random, device=x.device)
        row, column = ((place + 0.5 - center).abs() < side / 4).unbind()
        x = x * ~(row[:, None, :, None] & column[:, None, None, :])
    return x
