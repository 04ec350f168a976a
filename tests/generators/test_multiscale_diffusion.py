"""The networks and the process of SinDDM against closed forms, hand arithmetic and diffusers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch.nn import functional as F

from benchmark.generators import _multiscale_network as networks
from benchmark.generators import _multiscale_process as process
from benchmark.generators._network_training import to_network

COSINE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "sample"}


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def model(sides: tuple[int, ...] = (8, 12), times: int = 10) -> process.MultiScaleDiffusion:
    """Return a small model with seeded weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return process.MultiScaleDiffusion(list(sides), 8, times)


def exact(mean: torch.Tensor, deviation: torch.Tensor, signal: torch.Tensor) -> torch.nn.Module:
    """Return the best denoiser of independent normal pixels: their mean, given the noised ones."""

    class Exact(torch.nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, scale: int) -> torch.Tensor:
            a = signal[time].view(-1, 1, 1, 1)
            gain = a.sqrt() * deviation**2 / (a * deviation**2 + 1 - a)
            return mean + gain * (x - a.sqrt() * mean)

    return Exact()


def test_the_receptive_field_is_35_by_35() -> None:
    """The gradient of one pixel reaches 35 x 35 pixels of the input (Zhang et al. 2023, section 3.1)."""
    denoiser = networks.Denoiser(8)
    x = torch.randn(1, 1, 61, 61, generator=random(), requires_grad=True)
    denoiser(x, torch.tensor([3]), 1)[0, 0, 30, 30].backward()
    assert x.grad is not None
    rows, columns = (x.grad[0, 0].abs().sum(axis) > 0 for axis in (1, 0))
    assert rows.nonzero().flatten().tolist() == columns.nonzero().flatten().tolist() == list(range(13, 48))


def test_the_published_width_has_as_many_weights_as_by_hand() -> None:
    """At width 160: two 3 x 3 convolutions, a depthwise one, a shortcut and two linear maps in each block."""

    def block(a: int, b: int) -> int:
        shortcut = (a + 1) * b if a != b else 0
        return 25 * a + (9 * a + 1) * b + (9 * b + 1) * b + shortcut + 33 * 32 + 33 * a

    blocks = block(1, 80) + block(80, 160) + block(160, 160) + block(160, 80)
    embedding, last = 65 * 128 + 129 * 32, 9 * 80 + 1
    assert sum(p.numel() for p in networks.Denoiser(160).parameters()) == blocks + embedding + last


@pytest.mark.parametrize("channels", [1, 5, 16, 24, 48])
def test_gradients_of_a_depthwise_convolution_are_torchs(channels: int) -> None:
    """Gradients of maps and weights equal those of torch's grouped convolution."""
    layer = networks.Depthwise(channels)
    x = torch.randn(2, channels, 9, 7, generator=random(), requires_grad=True)
    target = torch.randn(2, channels, 9, 7, generator=random(1))
    own = torch.autograd.grad((layer(x) * target).sum(), (x, layer.weight))
    plain = F.conv2d(x, layer.weight, padding=2, groups=channels)
    for a, b in zip(own, torch.autograd.grad((plain * target).sum(), (x, layer.weight)), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "sides"), [(55, [55]), (64, [64]), (128, [55, 84, 128]), (224, [55, 78, 111, 157, 223])]
)
def test_sides_of_the_scales(side: int, sides: list[int]) -> None:
    """From 55 px to at most 223 px by about 1.411, by hand from the formula of the published code."""
    assert process.scale_sides(side, 55, 223, 1.411) == sides


def test_a_blurred_image_is_the_enlarged_coarser_one() -> None:
    """The coarsest scale is its own blurred image; a constant image is not changed by any resizing."""
    images = torch.randn(2, 1, 16, 16, generator=random()).clamp(-1, 1)
    (coarse, same), (fine, blurred) = process.pyramid(images, [8, 16])
    assert torch.equal(coarse, same)
    assert torch.equal(fine, images)
    assert torch.allclose(blurred, F.interpolate(coarse, 16, mode="bicubic", antialias=True).clamp(-1, 1))
    levels = process.pyramid(torch.full((1, 1, 16, 16), 0.25), [8, 16])
    assert all(torch.allclose(part, torch.tensor(0.25), atol=1e-6) for level in levels for part in level)


def test_error_of_the_blur_wraps_around_as_published() -> None:
    """Differences 3 and -1 (255 in 8 bits) of two gray values: sqrt(3 (3^2 + 255^2)) / (3 * 2)."""
    sharp, blurred = (to_network(np.array([[[a, b]]], np.uint8), "cpu") for a, b in ((13, 7), (10, 8)))
    assert process.blur_error(sharp, blurred) == pytest.approx(math.sqrt(3 * (9 + 255**2)) / 6)


def test_blur_and_first_time_follow_the_noise() -> None:
    """The blur grows with the noise-to-signal ratio, is full from the first time on, and never on scale 0."""
    diffusion = model(times=50)
    diffusion.observe(process.pyramid(torch.randn(1, 1, 12, 12, generator=random()), [8, 12]), 0.1)
    ratio, first = ((1 - diffusion.signal) / diffusion.signal).sqrt(), int(diffusion.first[1])
    assert 0 < first < 49
    assert (diffusion.gamma[1, first:] == 1).all()
    assert torch.allclose(diffusion.gamma[1, :first] / ratio[:first], diffusion.gamma[1, 0] / ratio[0])
    assert (diffusion.gamma[1, :first] < 1).all()
    assert diffusion.first[0] == 49
    assert not diffusion.gamma[0].any()


def test_forward_process_has_the_moments_of_equation_1() -> None:
    """Mean sqrt(a) (g blurred + (1 - g) sharp) and variance 1 - a, over 40,000 draws, within five errors."""
    diffusion, n, time = model(), 40_000, 4
    diffusion.gamma[1] = 0.3
    sharp, blurred = torch.full((1, 1, 1, 2), 0.8), torch.tensor([[[[0.5, -0.5]]]])
    noise = torch.randn(n, 1, 1, 2, generator=random())
    drawn = diffusion.noised((sharp, blurred), 1, torch.full((n,), time), noise).double()
    a = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert diffusion.signal[time].item() == pytest.approx(a, rel=1e-5)
    expected = math.sqrt(a) * torch.tensor([0.3 * 0.5 + 0.7 * 0.8, -0.3 * 0.5 + 0.7 * 0.8]).double()
    assert torch.allclose(drawn.mean(0).flatten(), expected, atol=5 * math.sqrt((1 - a) / n))
    assert torch.allclose(
        drawn.var(0).flatten(), torch.tensor(1 - a).double(), rtol=5 * math.sqrt(2 / n), atol=0
    )


@pytest.mark.parametrize("scale", [0, 1])
def test_a_step_without_blur_is_that_of_diffusers(scale: int) -> None:
    """Scale 0 steps as DDPM with the posterior's variance, a finer scale as DDIM with eta 0, to 1e-5."""
    times, diffusion = 20, model(times=20)
    scheduler = (DDIMScheduler if scale else DDPMScheduler)(times, **COSINE)
    scheduler.set_timesteps(times)
    x, clean = (torch.randn(2, 1, 5, 5, generator=random(seed)).clamp(-1, 1) for seed in (1, 2))
    for time in range(times - 1, 0, -1):
        noise = None if scale else torch.randn(x.shape, generator=random(time))
        extra = {} if scale else {"generator": random(time)}
        expected = scheduler.step(clean, time, x, **extra).prev_sample
        own = diffusion.back(x, clean, torch.zeros_like(x), scale, time, time - 1, noise)
        assert torch.allclose(own, expected, atol=1e-5)


def test_normal_pixels_keep_their_mean_and_covariance() -> None:
    """With the exact denoiser of normal pixels a scale draws their law, at most 5 % narrower."""
    diffusion, n = model((8, 8), times=1000), 1000
    mean, deviation = torch.tensor([[[[0.3, -0.2]]]]), torch.tensor([[[[0.05, 0.1]]]])
    diffusion.denoiser = exact(mean, deviation, diffusion.signal)
    diffusion.sides = [8]
    drawn = diffusion.draw(n, 8, 2, random()).double().reshape(-1, 2)
    assert torch.all((drawn.mean(0) - mean.flatten()).abs() < 4 * deviation.flatten() / math.sqrt(8 * n))
    assert torch.allclose(drawn.std(0), deviation.flatten().double(), rtol=0.05, atol=0)
    assert abs(np.corrcoef(drawn.T.numpy())[0, 1]) < 4 / math.sqrt(8 * n)


def test_a_perfect_denoiser_rebuilds_the_image_at_every_scale() -> None:
    """A network that knows the image of each scale draws the finest one, whatever the noise."""
    levels = process.pyramid(torch.randn(1, 1, 12, 12, generator=random()).clamp(-1, 1), [8, 12])
    diffusion = model()
    diffusion.observe(levels, 0.1)

    class Knowing(torch.nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, scale: int) -> torch.Tensor:
            return levels[scale][0].expand_as(x)

    diffusion.denoiser = Knowing()
    drawn = diffusion.draw(2, 12, 12, random())
    assert torch.allclose(drawn, levels[1][0].expand(2, -1, -1, -1), atol=1e-6)


def test_images_of_any_size_are_drawn_with_fewer_times() -> None:
    """Height and width are free; 4 of 10 times are 4 at the coarsest scale, 2 from time 4 on."""
    diffusion = model()
    diffusion.first[1] = 4
    assert diffusion.draw(3, 24, 40, random(), steps=4).shape == (3, 1, 24, 40)
    assert diffusion.times(0, 4) == [9, 6, 3, 0]
    assert diffusion.times(1, 4) == [4, 0]
    assert diffusion.times(1, None) == [4, 3, 2, 1, 0]
