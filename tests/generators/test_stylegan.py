"""StyleGAN: its parts against known answers, and a trained model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.generators import _gan_layers as layers
from benchmark.generators import stylegan
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def test_defaults_are_those_of_the_paper() -> None:
    """The values are those of Schaudt et al. 2023, Table 3, column GAN."""
    p = stylegan.Params()
    assert (p.steps, p.beta1, p.beta2) == (37_500, 0.0, 0.99)
    assert sorted(p.batch_size) == [16, 32]
    assert sorted(p.learning_rate) == [5e-4, 1e-3]
    assert (p.average, p.truncation) == (0, 1)


def test_levels_double_the_image() -> None:
    """Level 0 has the constant's size, each further level doubles it, and the critic accepts every level."""
    generator = stylegan.StyleNetwork(4, [6, 5, 4], 8, 2, 3)
    critic = layers.Critic(4, [6, 5, 4], 3, blur=True)
    label = torch.tensor([0, 1, 2, 2])
    styles = generator.mapping(torch.randn(4, 8, generator=random()), label)[:, None].expand(-1, 3, -1)
    for level in range(3):
        image = generator(styles, level, 0.5 if level else 1.0, random())
        assert image.shape == (4, 1, *(4 * 2**level,) * 2)
        assert critic(image, label, level, 0.5 if level else 1.0).shape == (4,)


def test_blending_goes_from_the_previous_level_to_the_new_one() -> None:
    """Fade 0 gives the previous level enlarged, fade 1 the new level, and values between them the mixture."""
    generator = stylegan.StyleNetwork(4, [6, 5], 8, 2, 1)
    styles = torch.randn(2, 2, 8, generator=random())
    low = generator(styles, 0, 1.0, random())
    low = nn.functional.interpolate(low, scale_factor=2)
    old, half, new = (generator(styles, 1, fade, random()) for fade in (0.0, 0.5, 1.0))
    assert torch.allclose(old, low, atol=1e-5)
    assert torch.allclose(half, (old + new) / 2, atol=1e-5)
    assert not torch.allclose(old, new, atol=1e-2)


def test_critic_detects_the_class_and_low_variety() -> None:
    """The score depends on the label and on the similarity within a group."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        critic = layers.Critic(4, [6], 2, blur=True)
    images = torch.randn(4, 1, 4, 4, generator=random())
    one, two = (critic(images, torch.full((4,), k), 0, 1.0) for k in (0, 1))
    assert not torch.allclose(one, two, atol=1e-3)
    alone = critic(images[:1].expand(4, -1, -1, -1), torch.zeros(4, dtype=torch.long), 0, 1.0)
    assert not math.isclose(alone[0].item(), one[0].item(), abs_tol=1e-3)


def test_learns_the_classes(tmp_path: Path) -> None:
    """After 400 steps the bright square is at the class's position in four of five samples."""
    train = blobs({"a": 40, "b": 12})
    params = stylegan.Params(
        style=16, mapping_layers=2, channels=24, steps=400, batch_size=(8, 8),
        learning_rate=(2e-3, 2e-3), penalty=10.0, balance=1.0, average=0.97, mixing=0.0,
        augmentation=(),
    )  # fmt: skip
    gan = stylegan.StyleGAN(params)
    gan.fit(train, FakeContext(tmp_path, classes=("a", "b"), labels=(0, 1)))
    label = np.array([0, 1] * 20)
    drawn = gan.sample(SampleRequest(label, ("a", "b"), 16), SampleContext())
    squares = np.stack([drawn.image[:, :4, 4 * k : 4 * k + 4].mean((1, 2)) for k in (0, 1)], 1)
    assert (squares.argmax(1) == label).mean() >= 0.8
