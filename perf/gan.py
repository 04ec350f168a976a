"""Measure the training of the GANs: images a second beside a plain implementation, and peak memory.

    python perf/gan.py speed [--generators stylegan,pggan,singan] [--sizes 32,64] [--rounds 3]
    python perf/gan.py memory [--generators stylegan,pggan] [--sizes 64,256,1024] [--batch 4]

``speed`` trains the same network on the same images in turns, on one core: as the suite does, and plainly.
The plain implementation enlarges and averages apart from its convolutions, computes in float32 with
PyTorch's default memory format, synthesizes anew for the generator's update, and reads its losses in every
step. ``memory`` trains each size for one step in a process of its own, at full size without blending and
with the published number of maps, and prints the largest resident memory of the process less that before.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmark.generators import _gan_layers, _gan_training
from benchmark.generators._network_training import step_generator, to_network

GROWING = {"channels": 64, "channels_by_side": 2048}
PARAMS: dict[str, dict[str, Any]] = {
    "stylegan": {
        **GROWING,
        "style": 64,
        "start_size": 1024,
        "mixing": 0,
        "augmentation": (),
        "batch_size": (16, 16),
    },
    "pggan": {**GROWING, "latent": 64, "batch_size": 16, "images_per_stage": 10**6, "images_per_fade": 16},
    "singan": {"smallest": 25},
}


def plain_forward(self: _gan_layers.Conv, x: torch.Tensor) -> torch.Tensor:
    """Compute a convolution layer by its definition."""
    weight = self.weight * self.scale
    if self.resample == "up":
        x = F.conv2d(F.interpolate(x, scale_factor=2), weight.flip(2, 3), padding=1)
        x = self._filter(x) if self.blur else x
        return x if self.bias is None else x + self.bias[:, None, None]
    if self.resample == "down":
        x = self._filter(x) if self.blur else x
        return F.avg_pool2d(F.conv2d(x, weight, self.bias, padding=1), 2)
    return F.conv2d(x, weight, self.bias, padding=self.padding)


@contextmanager
def plain_layers() -> Iterator[None]:
    """Use plain layers in PyTorch's default memory format."""
    fused, place = _gan_layers.Conv.forward, _gan_training.GanGenerator.place
    _gan_layers.Conv.forward = plain_forward  # type: ignore[method-assign]
    _gan_training.GanGenerator.place = lambda self, network, normalizes=False: network.to(self.device)  # type: ignore
    try:
        yield
    finally:
        _gan_layers.Conv.forward, _gan_training.GanGenerator.place = fused, place  # type: ignore


def prepared(name: str, size: int, precision: str, **params: Any) -> tuple[Any, dict[str, Any], int]:
    """Return an untrained GAN at full size, its optimizers, and its batch."""
    module = import_module(f"benchmark.generators.{name}")
    gan = module.Generator(module.Params(**{**PARAMS[name], **params}))
    gan.image_size, gan.classes, gan.device, gan.precision = size, ("a",), "cpu", precision
    gan.live, gan.critic = gan.build(), gan.build_critic()
    gan.start_average(gan.live)
    setting = gan.move_to(gan.steps - 1)
    return gan, gan._optimizers(setting), setting.batch_size


def suite_step(gan: Any, parts: dict[str, Any], real: torch.Tensor, step: int) -> None:
    """Take a step as the suite does."""
    label = torch.zeros(len(real), dtype=torch.long)
    gan._update(parts, gan.prepare(real), label, step_generator(0, step, "cpu"), norms=False)


def plain_step(gan: Any, parts: dict[str, Any], real: torch.Tensor, step: int) -> None:
    """Take a step as a textbook does: new synthetic images for each update, losses read in every step."""
    label, random = torch.zeros(len(real), dtype=torch.long), step_generator(0, step, "cpu")
    real = gan.prepare(real)
    for _ in range(gan.critic_updates):
        with torch.no_grad():
            fake = gan.synthesize(gan.live, label, random)
        loss, curves = gan._critic_loss(real, fake, label, random)
        _gan_training.descend(parts["critic_adam"], loss, norm=False)
        [float(value) for value in curves.values()]
    for _ in range(gan.generator_updates):
        loss = -gan.score(gan.synthesize(gan.live, label, random), label).mean()
        further = gan.further_loss(real)
        loss = loss if further is None else loss + further
        _gan_training.descend(parts["adam"], loss, norm=False)
        loss.item()


def rate(step: Any, gan: Any, parts: dict[str, Any], real: torch.Tensor, seconds: float) -> float:
    """Return real images a second of CPU time."""
    step(gan, parts, real, 0)
    began, done = time.process_time(), 0
    while time.process_time() - began < seconds:
        done += 1
        step(gan, parts, real, done)
    return done * len(real) / (time.process_time() - began)


def speed(names: list[str], sizes: list[int], rounds: int, seconds: float) -> None:
    """Print the rates of both implementations, and the median of their ratios."""
    for name in names:
        for size in sizes:
            ours, ours_parts, batch = prepared(name, size, "bfloat16")
            with plain_layers():
                plain, plain_parts, _ = prepared(name, size, "float32")
            noise = np.random.default_rng(0).integers(0, 256, (batch, size, size)).astype(np.uint8)
            real, rates = to_network(noise, "cpu"), []
            for _ in range(rounds):
                fast = rate(suite_step, ours, ours_parts, real, seconds)
                with plain_layers():
                    slow = rate(plain_step, plain, plain_parts, real, seconds)
                rates.append((fast, slow))
            ratio = statistics.median(a / b for a, b in rates)
            fast, slow = (statistics.median(side) for side in zip(*rates, strict=True))
            print(f"{name} {size} px: {fast:.1f}, plain {slow:.1f} images/s, ratio {ratio:.2f}", flush=True)


def one_step(name: str, size: int, batch: int) -> None:
    """Print the memory of one step of the published width, in bytes beyond that of the process before."""
    params = {"channels": 512, "channels_by_side": 16_384}
    params |= {"batch_size": (batch, batch), "style": 512} if name == "stylegan" else {"batch_size": batch}
    gan, parts, _ = prepared(name, size, "bfloat16", **params)
    real = torch.rand(batch, 1, size, size) * 2 - 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    suite_step(gan, parts, real, 0)
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def memory(name: str, sizes: list[int], batch: int) -> None:
    """Print the peak memory of a step at each size."""
    for size in sizes:
        command = [sys.executable, str(Path(__file__)), "one-step", name, str(size), str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{name} {size} px, batch {batch}: {int(done.stdout.split()[-1]) / 2**30:.2f} GiB", flush=True)


def main() -> None:
    """Measure what is named."""
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["one-step"]:
        one_step(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("--generators", default="stylegan,pggan,singan")
    parser.add_argument("--sizes", default="32,64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    names, sizes = given.generators.split(","), [int(size) for size in given.sizes.split(",")]
    if given.what == "speed":
        speed(names, sizes, given.rounds, given.seconds)
    else:
        for name in names:
            memory(name, sizes, given.batch)


if __name__ == "__main__":
    main()
