"""The multi-scale diffusion of SinDDM (Kulikov et al. 2023): noise and blur, undone coarse to fine."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.generators._multiscale_network import Denoiser
from benchmark.generators._network_training import to_pixels
from benchmark.generators._singan_pyramid import randn, resize

Level = tuple[Tensor, Tensor]  # (M, 1, s, s) training images at a scale, sharp and blurred


def scale_sides(side: int, smallest: int, largest: int, factor: float) -> list[int]:
    """Return the sides of the scales, coarsest first, in equal ratios near ``factor``; one side if too small.

    Source: Kulikov et al. 2023, ``create_img_scales`` of their code.
    """
    finest = min(side, largest)
    count = round(math.log(finest / smallest) / math.log(factor)) + 1
    if count < 2:
        return [finest]
    ratio = (finest / smallest) ** (1 / (count - 1))
    return [round(finest / ratio ** (count - 1 - i)) for i in range(count)]


def pyramid(images: Tensor, sides: list[int]) -> list[Level]:
    """Return (M, 1, S, S) images at every scale, and there the enlarged ones of the next coarser scale.

    The coarsest has no coarser one and is its own blurred image. Source: Zhang et al. 2023, section 3.1.
    """
    sharp = [resize(images, side, side).clamp(-1, 1) for side in sides]
    blurred = [resize(a, side, side).clamp(-1, 1) for a, side in zip(sharp, sides[1:], strict=False)]
    return list(zip(sharp, [sharp[0], *blurred], strict=True))


def blur_error(sharp: Tensor, blurred: Tensor) -> float:
    """Return the noise-to-signal ratio at which images (M, 1, s, s) are fully blurred, the mean over them.

    It is the norm of the difference divided by the number of values, of 8-bit images with three equal colors.
    Differences below zero wrap around, as in the published code; the starting times of its scales rest on it.
    Source: Kulikov et al. 2023, ``rescale_losses`` of their code.
    """
    difference = to_pixels(sharp) - to_pixels(blurred)  # unsigned: wraps around
    norm = np.sqrt(3 * np.square(difference.astype(np.float64)).sum((1, 2)))
    return float((norm / (3 * difference[0].size)).mean())


class MultiScaleDiffusion(nn.Module):
    """A denoiser for all scales, and the schedule of noise and blur.

    Attributes:
        signal: (T,) share of the signal in the variance at each time, the cosine schedule.
        gamma: (scales, T) share of the blurred image.
        first: (scales,) time from which the images of a scale are denoised.
    """

    signal: Tensor
    gamma: Tensor
    first: Tensor

    def __init__(self, sides: list[int], width: int, times: int) -> None:
        super().__init__()
        self.sides, self.denoiser = sides, Denoiser(width)
        from diffusers import DDPMScheduler

        scheduler: Any = DDPMScheduler(times, beta_schedule="squaredcos_cap_v2")
        self.register_buffer("signal", scheduler.alphas_cumprod, persistent=False)
        self.register_buffer("gamma", torch.zeros(len(sides), times))
        self.register_buffer("first", torch.full((len(sides),), times - 1))

    def observe(self, levels: list[Level], blur: float) -> None:
        """Set the blur and the first times from the training images.

        The blur is full when the noise-to-signal ratio reaches ``blur`` times the error of the blurred image.
        """
        ratio = ((1 - self.signal) / self.signal).sqrt()
        for scale, level in enumerate(levels):
            if scale:
                limit = blur * blur_error(*level)
                self.gamma[scale] = (ratio / max(limit, 1e-12)).clamp(max=1)
                self.first[scale] = min(int((ratio <= limit).sum()), len(ratio) - 1)

    def noised(self, level: Level, scale: int, time: Tensor, noise: Tensor) -> Tensor:
        """Return equation 1 of Zhang et al. 2023: (N, 1, s, s) blurred and noised images at (N,) times."""
        mixed = self.mixed(*level, self.gamma[scale, time].view(-1, 1, 1, 1))
        signal = self.signal[time].view(-1, 1, 1, 1)
        return signal.sqrt() * mixed + (1 - signal).sqrt() * noise

    @staticmethod
    def mixed(sharp: Tensor, blurred: Tensor, gamma: Tensor) -> Tensor:
        """Mix sharp and blurred images."""
        return sharp + gamma * (blurred - sharp)

    def times(self, scale: int, steps: int | None) -> list[int]:
        """Return the times of a scale's denoising, descending; all of them, or as many as ``steps`` of T."""
        first = int(self.first[scale])
        count = first + 1 if steps is None else math.ceil(steps * (first + 1) / len(self.signal))
        return [round(t) for t in np.linspace(first, 0, count)] if count > 1 else [first]

    def back(
        self, x: Tensor, clean: Tensor, blurred: Tensor, scale: int, time: int, to: int, noise: Tensor | None
    ) -> Tensor:
        """Go from the images of a time to those of an earlier one, given the predicted clean ones.

        Args:
            to: the earlier time; -1 for the clean images.
            noise: adds the noise of DDPM's posterior; None keeps that of ``x``, as DDIM.
        Source: Kulikov et al. 2023, ``q_posterior`` of their code.
        """
        if to < 0:
            return clean
        now, then = self.signal[time], self.signal[to]
        mixed = self.mixed(clean, blurred, self.gamma[scale, time])
        direction = (x - now.sqrt() * mixed) / (1 - now).sqrt()
        earlier = then.sqrt() * self.mixed(clean, blurred, self.gamma[scale, to])
        if noise is None:
            return earlier + (1 - then).sqrt() * direction
        variance = (1 - then) / (1 - now) * (1 - now / then)
        return earlier + (1 - then - variance).sqrt() * direction + variance.sqrt() * noise

    @torch.no_grad()
    def draw(
        self, count: int, height: int, width: int, random: torch.Generator, steps: int | None = None
    ) -> Tensor:
        """Draw (N, 1, H, W) images in [-1, 1] of any size, coarse to fine.

        The coarsest scale starts from noise and adds noise in every step. A finer one starts from the
        enlarged and noised images of the coarser one, and adds none.
        """
        blurred = torch.zeros(count, 1, *self.shape(0, height, width), device=random.device)
        for scale in range(len(self.sides)):
            times = self.times(scale, steps)
            if scale:
                blurred = resize(blurred, *self.shape(scale, height, width)).clamp(-1, 1)
            signal = self.signal[times[0]] if scale else self.signal.new_zeros(())
            x = signal.sqrt() * blurred + (1 - signal).sqrt() * randn(blurred.shape, random)
            for time, to in zip(times, [*times[1:], -1], strict=True):
                clean = self.denoiser(x, torch.full((count,), time, device=x.device), scale)
                noise = None if scale or to < 0 else randn(x.shape, random)
                x = self.back(x, clean.float().clamp(-1, 1), blurred, scale, time, to, noise)
            blurred = x
        return blurred

    def shape(self, scale: int, height: int, width: int) -> tuple[int, int]:
        """Return height and width at a scale, given them at the finest one."""
        ratio = self.sides[scale] / self.sides[-1]
        return max(1, round(height * ratio)), max(1, round(width * ratio))
