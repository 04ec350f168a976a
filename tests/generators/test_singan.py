"""SinGAN: its pyramid, its noise and its samples."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.generators import _singan_pyramid as networks
from benchmark.generators import singan
from support.fit_context import FakeContext
from support.samples import blobs


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def fitted(folder: Path, **changes: Any) -> singan.SinGAN:
    """Return a SinGAN fitted in seconds on one image of 16 px."""
    gan = singan.SinGAN(singan.Params(**(singan.tiny() | changes)))
    gan.fit(blobs({"a": 1}), FakeContext(folder, classes=("a",), labels=(0,)))
    return gan


def test_defaults_are_the_published_ones() -> None:
    """Zhang et al. 2023, section 4.2.2, and the defaults of the code of Shaham et al. 2019."""
    p = singan.Params()
    assert (p.epochs, p.reconstruction, p.penalty, p.noise) == (2000, 10.0, 0.1, 0.1)
    assert (p.smallest, p.largest, p.factor, p.channels, p.layers) == (25, 250, 0.75, 32, 5)
    assert (p.learning_rate, p.beta1, p.critic_updates, p.generator_updates) == (5e-4, 0.5, 3, 3)
    assert p.decay_at * p.epochs == 1600


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (16, [16]),
        (25, [25, 25]),
        (100, [25, 32, 40, 50, 63, 80, 100]),
        (400, [25, 33, 42, 54, 70, 90, 117, 150, 194, 250]),
    ],
)
def test_sides_of_the_pyramid(side: int, sides: list[int]) -> None:
    """From 25 px to at most 250 px in equal ratios, by hand from the formula of the published code."""
    assert networks.pyramid_sides(side, 25, 250, 0.75) == sides


def test_patch_networks_have_the_published_size() -> None:
    """Five layers of 32 maps see 11 x 11 pixels, with 28,769 weights and 4 x 64 of the normalization."""
    network = networks.patch_network(32, 5)
    convolutions = (9 * 1 + 1) * 32 + 3 * (9 * 32 + 1) * 32 + (9 * 32 + 1)
    assert sum(p.numel() for p in network.parameters()) == convolutions + 4 * 64
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)  # rounding would hide small weights
    x[..., 10, 10] = 1
    network.double().eval()
    seen = (network(x) - network(torch.zeros_like(x))).abs()[0, 0] > 0
    assert seen.shape == (11, 11)
    assert seen.all()


def test_noise_is_scaled_by_the_error_of_the_reconstruction(tmp_path: Path) -> None:
    """The strength is 1 at the coarsest scale, and a tenth of the root mean square error at a finer one."""
    gan = fitted(tmp_path)
    network, scale = gan.live, 1
    network.eval()
    error = (network.real(scale) - network.reconstruction_before(scale)).square().mean().sqrt()
    assert network.strength[0] == 1
    assert network.strength[scale].item() == pytest.approx(0.1 * error.item(), rel=1e-5)


def test_the_reconstruction_approaches_the_source(tmp_path: Path) -> None:
    """After 60 epochs a scale the anchor gives the source, with a fifth of the variance left as error."""
    gan = fitted(tmp_path, epochs=60, channels=16, learning_rate=2e-3, critic_updates=1)
    network, last = gan.live, len(gan.sides) - 1
    network.eval()
    with torch.no_grad():
        before = network.reconstruction_before(last)
        rebuilt = network.refine(last, before, torch.zeros_like(before))
    error = (rebuilt - network.source).square().mean()
    assert error < 0.2 * network.source.var()


def test_sampling_from_a_finer_scale_starts_from_the_source(tmp_path: Path) -> None:
    """Before the scale where the noise starts there is the source alone, at that scale's size."""
    gan = fitted(tmp_path)
    start = gan.network.before(1, (2, 16, 16), random(), start=1)
    assert torch.allclose(start, gan.network.real(1).expand(2, -1, -1, -1))
    drawn = [gan.draw_sized(8, 16, 16, random(), start) for start in (0, 2)]
    assert drawn[1].var(0).mean() < drawn[0].var(0).mean()


def test_images_of_any_size_are_drawn(tmp_path: Path) -> None:
    """Height and width are free, since the networks see patches."""
    assert fitted(tmp_path).draw_sized(3, 24, 40, random()).shape == (3, 1, 24, 40)


def test_images_larger_than_the_finest_scale_are_enlarged(tmp_path: Path) -> None:
    """With a finest scale of 12 px, samples of a 16 px image are enlarged to 16 px."""
    gan = fitted(tmp_path, largest=12)
    assert gan.sides == [12, 12]
    assert gan.draw(torch.zeros(2, dtype=torch.long), random(), None).shape == (2, 1, 16, 16)


def test_scales_are_frozen(tmp_path: Path) -> None:
    """Training a finer scale leaves the coarser ones as they are, averages of the normalization included."""
    states = []

    class Watching(FakeContext):
        """Retains the coarsest scale after every step."""

        def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
            """Retain the state."""
            states.append([v.clone() for v in gan.live.scales[0].state_dict().values()])

    gan = singan.SinGAN(singan.Params(**singan.tiny()))
    gan.fit(blobs({"a": 1}), Watching(tmp_path))
    epochs = gan.params.epochs
    same = [all(map(torch.equal, a, b)) for a, b in pairwise(states)]
    assert same == [False] * (epochs - 1) + [True] * (len(states) - epochs)
    assert np.isfinite(states[-1][0].numpy()).all()
