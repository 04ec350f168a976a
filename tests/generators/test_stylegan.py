"""StyleGAN: its parts against known answers, and a trained model."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.errors import GeneratorError
from benchmark.generators import _stylegan_network as blocks
from benchmark.generators import stylegan
from benchmark.generators._diff_augment import diff_augment
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs


def model(size: int, **params: Any) -> stylegan.StyleGAN:
    """Return an unfitted StyleGAN with an image size."""
    generator = stylegan.StyleGAN(stylegan.Params(**params))
    generator.image_size = size
    return generator


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def test_defaults_are_those_of_the_paper() -> None:
    """The values are those of Schaudt et al. 2023, Table 3, column GAN."""
    p = stylegan.Params()
    assert (p.steps, p.beta1, p.beta2) == (37_500, 0.0, 0.99)
    assert sorted(p.batch_size) == [16, 32]
    assert sorted(p.learning_rate) == [5e-4, 1e-3]
    assert p.penalty_every == p.unshuffle == 1
    assert p.average == 0


def test_growth_at_paper_size() -> None:
    """At 256 px, sizes 8 to 256 take a sixth of the steps each and blend in over their first half."""
    grown = [model(256).growth.at(step) for step in range(0, 37_500, 1250)]
    assert [level for level, _, _ in grown] == [k for k in range(1, 7) for _ in range(5)]
    blends = [round(blend, 2) for _, blend, _ in grown[5:10]]
    assert blends == pytest.approx([0, 0.4, 0.8, 1, 1], abs=0.01)
    assert all(blend == 1 for _, blend, _ in grown[:5])


@pytest.mark.parametrize("size", [16, 32, 64, 96, 224])
def test_growth_ends_at_full_size(size: int) -> None:
    """Levels never fall, each begins with since = 0, and the last step is at full size without blending."""
    grown = [model(size, steps=97, final_share=0.4).growth.at(step) for step in range(97)]
    levels = [level for level, _, _ in grown]
    assert levels == sorted(levels)
    assert levels[-1] == model(size).growth.levels - 1
    assert grown[-1][1] == 1
    for before, after in pairwise(grown):
        assert after[2] == (before[2] + 1 if after[0] == before[0] else 0)


@pytest.mark.parametrize("size", [26, 100, 4, 38])
def test_sizes_that_doubling_cannot_reach_are_refused(size: int, tmp_path: Path) -> None:
    """At unshuffle 2, sizes 26, 100, 4 and 38 px are not 2 times 4 to 7 times a power of two."""
    gan = stylegan.StyleGAN(stylegan.Params(unshuffle=2, steps=1))
    with pytest.raises(GeneratorError, match=f"cannot grow to {size} px"):
        gan.fit(
            blobs({"a": 2}, size=size), FakeContext(tmp_path, image_size=size, classes=("a",), labels=(0,))
        )


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0])
def test_slope_penalty_of_a_linear_critic(slope: float) -> None:
    """The critic w * x has slope |w| everywhere, so the penalty is (|w| - 1)^2."""

    class Linear(nn.Module):
        def forward(self, image: torch.Tensor, label: torch.Tensor, level: int, fade: float) -> torch.Tensor:
            return slope * image.flatten(1).sum(1) / image[0].numel() ** 0.5

    real, fake = torch.randn(5, 1, 4, 4, generator=random()), torch.zeros(5, 1, 4, 4)
    critic: Any = Linear()
    penalty = model(32)._gradient_penalty(critic, real, fake, torch.zeros(5, dtype=torch.long), random())
    assert penalty.item() == pytest.approx((slope - 1) ** 2, abs=1e-5)


def test_adain_gives_every_map_the_style() -> None:
    """After AdaIN each map has the style's shift as mean and its scale as deviation."""
    layer = blocks.StyledConv(3, 4, 2)
    style = torch.tensor([[1.0, 0.5], [-2.0, 0.3]])
    out = layer(torch.randn(2, 3, 8, 8, generator=random()), style, random())
    assert torch.allclose(out.mean((2, 3)), layer.shift(style), atol=1e-4)
    assert torch.allclose(out.std((2, 3), correction=0), layer.scale(style).abs(), rtol=1e-2)


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_levels_double_the_image(unshuffle: int) -> None:
    """Level 0 has the constant's size, each further level doubles it, and the critic accepts every level."""
    generator = blocks.Generator(4, [6, 5, 4], 8, 2, 3, unshuffle)
    critic = blocks.Critic(4, [6, 5, 4], 3, unshuffle)
    label = torch.tensor([0, 1, 2, 2])
    styles = generator.mapping(torch.randn(4, 8, generator=random()), label)[:, None].expand(-1, 3, -1)
    for level in range(3):
        image = generator(styles, level, 0.5 if level else 1.0, random())
        assert image.shape == (4, 1, *(unshuffle * 4 * 2**level,) * 2)
        assert critic(image, label, level, 0.5 if level else 1.0).shape == (4,)


def test_blending_goes_from_the_previous_level_to_the_new_one() -> None:
    """Fade 0 gives the previous level enlarged, fade 1 the new level, and values between them the mixture."""
    generator = blocks.Generator(4, [6, 5], 8, 2, 1, 1)
    styles = torch.randn(2, 2, 8, generator=random())
    low = generator(styles, 0, 1.0, random())
    low = nn.functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
    old, half, new = (generator(styles, 1, fade, random()) for fade in (0.0, 0.5, 1.0))
    assert torch.allclose(old, low, atol=1e-5)
    assert torch.allclose(half, (old + new) / 2, atol=1e-5)
    assert not torch.allclose(old, new, atol=1e-2)


def test_critic_detects_the_class_and_low_variety() -> None:
    """The score depends on the label and on the similarity within a group."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = blocks.Critic(4, [6], 2, 1)
    images = torch.randn(4, 1, 4, 4, generator=random())
    one, two = (critic(images, torch.full((4,), k), 0, 1.0) for k in (0, 1))
    assert not torch.allclose(one, two, atol=1e-3)
    alone = critic(images[:1].expand(4, -1, -1, -1), torch.zeros(4, dtype=torch.long), 0, 1.0)
    assert not math.isclose(alone[0].item(), one[0].item(), abs_tol=1e-3)


def test_augment_color_applies_gain_and_offset() -> None:
    """Each image gets one gain in [0.5, 1.5] and one offset in [-0.5, 0.5]."""
    images = torch.randn(50, 1, 8, 8, generator=random())
    changed = diff_augment(images, ("color",), random(1))
    gain = changed.std((2, 3)) / images.std((2, 3))
    offset = changed.mean((2, 3)) - images.mean((2, 3))
    assert 0.5 <= gain.min() < 0.65 < 1.35 < gain.max() <= 1.5
    assert -0.5 <= offset.min() < -0.35 < 0.35 < offset.max() <= 0.5
    correlation = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images.numpy(), changed.numpy(), strict=True)
    ]
    assert min(correlation) > 0.999


def test_augment_translates_by_up_to_an_eighth() -> None:
    """A bright pixel moves by -2 to 2 of 16 in both directions, and all 25 moves occur."""
    images = torch.zeros(600, 1, 16, 16)
    images[:, :, 7, 9] = 1
    places = diff_augment(images, ("translation",), random()).nonzero()[:, 2:]
    assert len(places) == 600
    assert {tuple(p) for p in places.tolist()} == {(7 + i, 9 + j) for i in range(-2, 3) for j in range(-2, 3)}


def test_augment_cuts_out_a_square_of_half_the_side() -> None:
    """Zeros form a rectangle, 8 by 8 of 16 unless the border truncates it."""
    cut = diff_augment(torch.ones(300, 1, 16, 16), ("cutout",), random())[:, 0] == 0
    height, width = cut.any(2).sum(1), cut.any(1).sum(1)
    assert torch.equal(cut.sum((1, 2)), height * width)
    assert height.max() == width.max() == 8
    assert height.min() >= 4


def test_augmentation_is_differentiable() -> None:
    """Gradients pass through every augmentation."""
    images = torch.randn(4, 1, 8, 8, generator=random(), requires_grad=True)
    diff_augment(images, ("color", "translation", "cutout"), random()).square().sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_learns_the_classes(tmp_path: Path) -> None:
    """After 400 steps the bright square is at the class's position in four of five samples."""
    train = blobs({"a": 40, "b": 12})
    params = stylegan.Params(
        style=16, mapping_layers=2, channels=24, unshuffle=2, steps=400, batch_size=(8, 8),
        learning_rate=(5e-3, 5e-3), penalty=3.0, balance=1.0, average=0.97, mixing=0.0,
        augmentation=(),
    )  # fmt: skip
    gan = stylegan.StyleGAN(params)
    gan.fit(train, FakeContext(tmp_path, classes=("a", "b"), labels=(0, 1)))
    label = np.array([0, 1] * 20)
    drawn = gan.sample(SampleRequest(label, ("a", "b"), 16), SampleContext())
    squares = np.stack([drawn.image[:, :4, 4 * k : 4 * k + 4].mean((1, 2)) for k in (0, 1)], 1)
    assert (squares.argmax(1) == label).mean() >= 0.8
