"""Lesion-preserving diffusion in a latent space: sizes, losses, resuming, inpainting, a given autoencoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.errors import GeneratorError
from benchmark.generators import _network_training as training
from benchmark.generators import lesion_diffusion as plugin
from benchmark.generators._lesion_latent import LatentParams, LatentSpace, _divergence
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext, KilledError
from support.samples import blobs

SIZE, CLASSES = 16, ("a", "b", "c")
LATENT = {"channels": (4, 4), "groups": 2, "latent_channels": 2, "steps": 3, "batch_size": 2, "decoded": 1}


def images() -> ImageSet:
    """Return blobs of three classes with a mask of a quarter of the image, but the first class."""
    every = blobs({"a": 4, "b": 4, "c": 4}, size=SIZE)
    mask = np.zeros(every.image.shape, np.uint8)
    mask[every.label > 0, 4:12, 4:12] = 255
    return replace(every, mask=mask)


def params(**changes: Any) -> plugin.Params:
    """Return parameters of seconds in a latent space of 8 x 8."""
    own = {"conditions": ("label", "mask"), "latent": LATENT, "unshuffle": 1, "steps": 3, "batch_size": 2}
    return plugin.Params(**{**plugin.tiny(), **own, **changes})


def fitted(context: FakeContext, **changes: Any) -> Any:
    """Return a fitted model."""
    generator = plugin.Generator(params(**changes))
    context.generator = generator
    generator.fit(images(), context)
    return generator


def request(**changes: Any) -> SampleRequest:
    """Return a request for two images of each class with masks."""
    label = np.array([0, 0, 1, 1, 2, 2])
    mask = np.zeros((6, SIZE, SIZE), np.uint8)
    mask[2:, :8, :8] = 255
    return SampleRequest(label, CLASSES, SIZE, **{"mask": mask, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, FakeContext, Path]:
    """A fitted model, the context of its fit, and its saved folder."""
    folder = tmp_path_factory.mktemp("latent")
    context = FakeContext(folder, labels=(0, 1), columns={"mask": request().mask[1:3]})
    generator = fitted(context)
    generator.save(folder)
    return generator, context, folder


def test_the_autoencoder_is_trained_first(model: Any) -> None:
    """Its steps come before those of the diffusion, previews after; latents have a variance of one."""
    generator, context, _ = model
    assert context.steps == [1, 2, 3, 4, 5, 6]
    assert context.total == 6
    assert context.previews == [5, 6]
    latents = generator.latent.encode(training.to_network(images().image, "cpu"))
    assert latents.shape == (12, 2, 8, 8)
    assert latents.std().item() == pytest.approx(1, abs=1e-3)
    assert generator.network.unet.config.sample_size == 8
    assert not any(weight.requires_grad for weight in generator.latent.parameters())


def test_images_come_back_at_full_size_and_after_saving(model: Any) -> None:
    """Samples have the size of the images, the same bytes after loading, in one file of safetensors."""
    generator, _, folder = model
    drawn = generator.sample(request(), SampleContext(seed=1)).image
    assert drawn.shape == (6, SIZE, SIZE)
    assert {p.name for p in folder.iterdir()} == {"weights.safetensors", "generator.json"}
    loaded = plugin.Generator.load(folder, SampleContext())
    assert np.array_equal(loaded.sample(request(), SampleContext(seed=1)).image, drawn)
    twins = loaded.twins(request(), SampleContext(seed=1))
    assert np.array_equal(twins[:2], drawn[:2])


def test_inpainting_is_composed_in_pixels(model: Any) -> None:
    """Outside the region, which need not follow the latents, every pixel of the image stays."""
    generator, _, _ = model
    own, region = images().image[:6], np.zeros((6, SIZE, SIZE), np.uint8)
    region[:, 3:8, 5:10] = 255
    drawn = generator.inpaint(own, region, generator.requested(request()), SampleContext(seed=3))
    assert np.array_equal(drawn[region == 0], own[region == 0])
    assert (drawn[region > 0] != own[region > 0]).any()


@pytest.mark.parametrize("kill_after", [2, 5])
def test_a_killed_fit_ends_in_the_same_bytes(
    kill_after: int, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the autoencoder or the diffusion is trained, a fit goes on to the same weights."""
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(training, "SAVE_AT_MOST", 1e9)
    context = FakeContext(tmp_path, kill_after=kill_after)
    with pytest.raises(KilledError):
        plugin.Generator(params()).fit(images(), context)
    again = plugin.Generator(params())
    again.fit(images(), replace(context, kill_after=0, steps=[]))
    again.save(tmp_path)
    for name in ("weights.safetensors", "generator.json"):
        assert (tmp_path / name).read_bytes() == (model[2] / name).read_bytes()


def test_the_loss_is_of_latents_inside_the_mask_at_their_size(model: Any) -> None:
    """The noise error is that of the latents below the mask; SSIM is of the decoded image, and trains."""
    generator = plugin.Generator(params(lesion_ssim=0))
    source = model[0]
    for name in ("latent", "encoder", "classes", "image_size", "device", "precision"):
        setattr(generator, name, getattr(source, name))
    clean, mask = training.to_network(images().image[:2], "cpu"), torch.zeros(2, 1, SIZE, SIZE)
    mask[:, :, 4:12, 4:12] = 1
    seen: dict[str, torch.Tensor] = {}

    class Zero(torch.nn.Module):
        def forward(self, noised: torch.Tensor, *given: Any) -> torch.Tensor:
            seen["noised"] = noised
            return torch.zeros_like(noised, requires_grad=True)

    noising = plugin.scheduler("DDPMScheduler", generator.schedule())
    losses = [
        generator._losses(
            Zero(), noising, clean, source.requested(request()), mask, torch.Generator().manual_seed(0), None
        )
        for generator in (generator, source)
    ]
    random = torch.Generator().manual_seed(0)
    torch.randint(1000, (2,), generator=random)
    noise = torch.randn((2, 2, 8, 8), generator=random)
    assert seen["noised"].shape == noise.shape
    assert losses[0]["lesion_noise"].item() == pytest.approx(
        noise[:, :, 2:6, 2:6].square().mean().item(), rel=1e-5
    )
    assert "lesion_ssim" not in losses[0]
    assert losses[1]["lesion_ssim"].item() > 0
    assert losses[1]["loss"].requires_grad


def test_a_given_autoencoder_is_used_and_not_saved_again(model: Any, tmp_path: Path) -> None:
    """The folder of another fit gives the autoencoder; one of other channels is refused."""
    _, _, base = model
    given = {**LATENT, "folder": base}
    assert [asset.name for asset in plugin.assets(params(latent=given))] == ["autoencoder"]
    assets = {"assets": {"autoencoder": base}, "asset_hashes": {"autoencoder": "0" * 64}}
    context = FakeContext(tmp_path, **assets)
    generator = plugin.Generator(params(latent=given))
    generator.fit(images(), context)
    assert context.steps == [1, 2, 3]
    assert not any(name.startswith("autoencoder.") for name in generator.arrays())
    generator.save(tmp_path)
    loaded = plugin.Generator.load(tmp_path, SampleContext(**assets))
    same, drawn = (g.sample(request(), SampleContext(seed=1)).image for g in (loaded, generator))
    assert np.array_equal(same, drawn)
    with pytest.raises(GeneratorError, match="has no such autoencoder"):
        LatentSpace.read(base, LatentParams(**{**LATENT, "channels": (8, 8)}))
    with pytest.raises(GeneratorError, match="has no such autoencoder"):
        LatentSpace.read(tmp_path / "none", LatentParams(**LATENT))


def test_the_divergence_is_that_of_torch() -> None:
    """The closed form agrees with torch's for normal laws."""
    mean, spread = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4) + 0.1
    law = torch.distributions.Normal(mean, spread)
    expected = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0))
    assert _divergence(mean, spread).item() == pytest.approx(expected.sum((1, 2, 3)).mean().item(), rel=1e-5)


@pytest.mark.parametrize(("side", "channels"), [(256, (64, 128, 256)), (512, (64, 128, 256, 256))])
def test_the_defaults_give_latents_of_64(side: int, channels: tuple[int, ...]) -> None:
    """At 256 and at 512 px the diffusion works at 64 x 64, whose six levels end at 2 x 2."""
    with torch.device("meta"):
        space = LatentSpace(LatentParams(channels=channels))
        latents = space.network.encode(torch.zeros(1, 1, side, side))[0]
        assert latents.shape == (1, 3, 64, 64)
        assert space.network.decode(latents).shape == (1, 1, side, side)


@pytest.mark.parametrize(
    ("latent", "changes", "words"),
    [
        ({"channels": (4,) * 6}, {}, "latent.channels: 6 levels do not divide 16 px"),
        ({}, {"channels": (8,) * 5}, "5 levels and unshuffle 1 do not divide 8 px of the latent space"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(
    latent: dict[str, Any], changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Levels of the autoencoder must divide the image, those of the U-Net the latents."""
    generator = plugin.Generator(params(latent={**LATENT, **latent}, **changes))
    with pytest.raises(GeneratorError, match=words):
        generator.fit(images(), FakeContext(tmp_path))


def test_channels_are_multiples_of_the_groups() -> None:
    """The error names both."""
    with pytest.raises(ValidationError, match=r"latent.channels: 10 is not a multiple of groups 4"):
        LatentParams(channels=(8, 10), groups=4)
