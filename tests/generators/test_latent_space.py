"""Latent spaces of StyleGAN and PGGAN, and the reusable critic of PGGAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from benchmark.generators import pggan, stylegan
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.latent_space import CriticFeatures, LatentSpace
from support.fit_context import FakeContext
from support.samples import blobs

LABEL = torch.tensor([0, 1, 1])


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def fitted(module: Any, folder: Path, **changes: Any) -> Any:
    """Return a generator fitted in seconds."""
    generator = module.Generator(module.Params(**(module.tiny() | changes)))
    generator.fit(blobs({"a": 8, "b": 8}), FakeContext(folder))
    return generator


@pytest.mark.parametrize("module", [stylegan, pggan])
def test_images_are_differentiable_in_their_codes(module: Any, tmp_path: Path) -> None:
    """A code decides its image alone, in gray from about 0 to 1, and gets a gradient from it."""
    generator = fitted(module, tmp_path)
    assert isinstance(generator, LatentSpace)
    codes = generator.latents(3, random()).requires_grad_()
    images = generator.decode(codes, LABEL, random())
    assert images.shape == (3, 1, 16, 16)
    images[0].sum().backward()
    assert codes.grad[0].abs().sum() > 0
    assert codes.grad[1:].abs().max() < 1e-6


@pytest.mark.parametrize("module", [stylegan, pggan])
def test_a_loaded_generator_decodes_alike(module: Any, tmp_path: Path) -> None:
    """The images of a code are the same after saving and loading."""
    generator = fitted(module, tmp_path, average=0.0)
    generator.save(tmp_path / "saved")
    loaded = module.Generator.load(tmp_path / "saved", SampleContext())
    codes = generator.latents(3, random())
    images = [g.decode(codes, LABEL, random(1)) for g in (generator, loaded)]
    assert torch.equal(*images)


def test_truncated_codes_have_the_deviation_of_their_law(tmp_path: Path) -> None:
    """Codes of threshold 0.7 stay within it, and have the deviation of the truncated normal law, 0.391."""
    codes = fitted(pggan, tmp_path, latent=100).latents(400, random(), truncation=0.7)
    assert codes.abs().max() <= 0.7
    assert codes.std().item() == pytest.approx(stats.truncnorm(-0.7, 0.7).std(), rel=0.02)


def test_truncated_styles_are_nearer_to_the_mean_of_their_class(tmp_path: Path) -> None:
    """At truncation 0 all images of a class differ by their noise alone; at 1 by their codes."""
    generator = fitted(stylegan, tmp_path, truncation=0.0)
    label = torch.tensor([0, 0, 1])
    generator.network.eval()
    images = generator.decode(generator.latents(3, random()), label, random())
    for name, strength in generator.network.named_parameters():
        assert "noise" not in name or strength.abs().max() < 0.1  # hardly trained
    assert (images[0] - images[1]).abs().mean() < 0.3 * (images[0] - images[2]).abs().mean() + 1e-3
    styles = generator.network.mapping(generator.latents(1000, random()), torch.zeros(1000, dtype=torch.long))
    assert torch.allclose(generator.mean_style(label)[0], styles.mean(0), atol=0.15)


def test_the_critic_can_be_reused_after_loading(tmp_path: Path) -> None:
    """Features are those of the critic that was trained; a linear layer on them gives its score."""
    generator = fitted(pggan, tmp_path)
    assert isinstance(generator, CriticFeatures)
    assert not isinstance(fitted(stylegan, tmp_path), CriticFeatures)
    generator.save(tmp_path / "saved")
    loaded = pggan.PGGAN.load(tmp_path / "saved", SampleContext())
    images = torch.rand(4, 1, 16, 16, generator=random())
    features = loaded.critic_features(images)
    assert features.shape == (4, loaded.feature_size)
    assert torch.equal(features, generator.critic_features(images))
    score = generator.score(images * 2 - 1, torch.zeros(4, dtype=torch.long))
    assert torch.allclose(loaded.critic.score(features).squeeze(1), score, atol=1e-5)
    features.sum().backward()
    assert all(p.grad is not None or p.shape[0] for p in loaded.critic_parameters())
