"""Measure SinDDM's training steps a second beside a plain implementation, and its sampling.

    python perf/sinddm.py [--size 128] [--batch 32] [--width 160] [--steps 1] [--rounds 3]

Both train on the same image, noise and scales, in turns, each from its own random weights. The plain one
follows the published code: three equal colors, float32, PyTorch's default memory format, its grouped
convolution, and an image repeated for each variant. Times are CPU seconds of one thread, the mean over the
scales.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmark.generators import sinddm
from benchmark.generators._multiscale_network import Depthwise
from benchmark.generators._multiscale_process import pyramid
from benchmark.generators._network_training import step_generator, to_network


class Plain(torch.nn.Module):
    """The published denoiser's convolutions: three colors in and out."""

    def __init__(self, own: Any) -> None:
        super().__init__()
        denoiser = own.denoiser
        first, last = denoiser.blocks[0], denoiser.last
        half = last.in_channels
        first.spatial = torch.nn.Conv2d(3, 3, 5, padding=2, groups=3)
        first.condition[2] = torch.nn.Linear(32, 3)
        first.convolutions[0], first.shortcut = (
            torch.nn.Conv2d(3, half, 3, padding=1),
            torch.nn.Conv2d(3, half, 1),
        )
        denoiser.last = torch.nn.Conv2d(half, 3, 1)
        for block in denoiser.blocks:
            if isinstance(block.spatial, Depthwise):
                block.spatial.forward = lambda x, b=block.spatial: F.conv2d(  # type: ignore[misc]
                    x, b.weight, padding=2, groups=b.groups
                )
        self.own = own

    def forward(self, x: torch.Tensor, times: torch.Tensor, scale: int) -> torch.Tensor:
        """Predict clean images."""
        return self.own.denoiser(x.contiguous(), times, scale)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in (("size", 128), ("batch", 32), ("width", 160), ("steps", 1), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = sinddm.Generator(sinddm.Params(batch_size=given.batch, width=given.width))
    model.image_size, model.classes, model.precision = given.size, ("a",), "bfloat16"
    noise = np.random.default_rng(0).integers(0, 256, (1, given.size, given.size)).astype(np.uint8)
    levels = pyramid(to_network(noise, "cpu"), model.sides)
    network, plain = model.build(), Plain(model.build().to(memory_format=torch.contiguous_format))
    for each in (network, plain.own):
        each.observe(levels, 1.0)
    optimizers = [torch.optim.Adam(each.parameters(), lr=1e-3) for each in (network, plain)]

    def own_loss(scale: int) -> torch.Tensor:
        return model.loss(network, levels[scale], scale, step_generator(0, scale, "cpu"))

    def plain_loss(scale: int) -> torch.Tensor:
        sharp, blurred = (part.expand(given.batch, 3, -1, -1).contiguous() for part in levels[scale])
        random = step_generator(0, scale, "cpu")
        times = torch.randint(100, (given.batch,), generator=random)
        noised = plain.own.noised((sharp, blurred), scale, times, torch.randn(sharp.shape, generator=random))
        return F.l1_loss(plain(noised, times, scale), sharp)

    def seconds(loss: Any, optimizer: torch.optim.Optimizer) -> float:
        began = time.process_time()
        for scale in range(len(levels)):
            for _ in range(given.steps):
                optimizer.zero_grad()
                loss(scale).backward()
                optimizer.step()
        return (time.process_time() - began) / given.steps / len(levels)

    rates = [
        (seconds(own_loss, optimizers[0]), seconds(plain_loss, optimizers[1]))
        for _ in range(given.rounds + 1)
    ][1:]
    own, slow = (statistics.median(side) for side in zip(*rates, strict=True))
    ratio = statistics.median(b / a for a, b in rates)
    losses = [statistics.mean(loss(s).item() for s in range(len(levels))) for loss in (own_loss, plain_loss)]
    print(f"scales {model.sides}, batch {given.batch}, width {given.width}, CPU seconds a step")
    print(f"own {own:.2f}, plain {slow:.2f}, ratio {ratio:.2f}; losses {losses[0]:.3f}, {losses[1]:.3f}")
    model.network, began = network, time.process_time()
    model.draw_sized(4, given.size, given.size, torch.Generator().manual_seed(0), 50)
    print(f"sampling with 50 of 100 times: {4 / (time.process_time() - began):.3f} images a CPU second")


if __name__ == "__main__":
    main()
