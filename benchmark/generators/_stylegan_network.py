"""The networks of StyleGAN (Karras et al. 2019, arXiv:1812.04948): layers, generator, critic."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2  # negative slope of every leaky ReLU; Karras et al. 2018, arXiv:1710.10196, appendix A


class Linear(nn.Module):
    """Fully connected layer with an equalized learning rate: unit weights, scaled at run time."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, pace: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / pace)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.pace = pace * inputs**-0.5, pace

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.pace)


class Conv(nn.Module):
    """Size-preserving convolution with an equalized learning rate.

    ``alike``: all outputs start equal, as the pixels of a block must, or a checkerboard would remain
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
    """MLP from latent code and class to style, which learns a hundred times slower (Karras et al. 2019)."""

    def __init__(self, width: int, layers: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width) if classes > 1 else None
        first = 2 * width if classes > 1 else width
        sizes = [first] + [width] * layers
        self.layers = nn.ModuleList(Linear(a, b, pace=0.01) for a, b in pairwise(sizes))

    def forward(self, code: Tensor, label: Tensor) -> Tensor:
        """Map (N, D) codes and (N,) classes to (N, D) styles."""
        x = _unit_length(code)
        if self.embedding is not None:
            x = torch.cat([x, _unit_length(self.embedding(label))], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE) * 2**0.5
        return x


def _unit_length(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """Convolution, noise, leaky ReLU, then AdaIN: the style sets mean and deviation of each map."""

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
    """Mapping and synthesis networks; level 0 has the size of the constant, each further level doubles it.

    With ``unshuffle`` U, each position of a map stands for U x U pixels: images are U times the level's size.
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
        """Synthesize (N, 1, S, S) from (N, levels, D) styles; ``fade`` < 1 blends in the previous level."""
        x, image = self.constant.expand(len(styles), -1, -1, -1), None
        for i in range(level + 1):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            if i == level and fade < 1:
                # progressive growing: the image of the previous level, enlarged
                image = self.to_gray[i - 1](x)
            x = self.first[i](x, styles[:, i], random)
            x = self.second[i](x, styles[:, i], random)
        new = self.to_gray[level](x).float()
        image = new if image is None else torch.lerp(image.float(), new, fade)
        return F.pixel_shuffle(image, self.unshuffle)


class Critic(nn.Module):
    """The mirrored generator: one score per image, higher for real; classes by projection."""

    def __init__(self, side: int, channels: list[int], classes: int, unshuffle: int) -> None:
        super().__init__()
        self.from_gray = nn.ModuleList(Conv(unshuffle**2, c, 1) for c in channels)
        self.unshuffle = unshuffle
        self.first = nn.ModuleList(Conv(c, c) for c in channels[1:])
        self.second = nn.ModuleList(Conv(c, b) for b, c in pairwise(channels))
        self.last = Conv(channels[0] + 1, channels[0])
        self.dense = Linear(channels[0] * side**2, channels[0])
        self.score = Linear(channels[0], 1)
        # projection critic (Miyato and Koyama 2018, arXiv:1802.05637): does the image match its class?
        self.embedding = nn.Embedding(classes, channels[0]) if classes > 1 else None

    def forward(self, image: Tensor, label: Tensor, level: int, fade: float) -> Tensor:
        """Score (N, 1, S, S) images of (N,) classes; return (N,)."""
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
    """Return (N, 1, S, S) deviations within groups, which reveal a generator that always draws one image."""
    groups = max(1, len(x) // size)
    if len(x) % groups:
        groups = 1
    spread = x.float().reshape(groups, -1, *x.shape[1:])
    deviation = (spread.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    each = deviation.repeat_interleave(len(x) // groups)
    return each[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)
