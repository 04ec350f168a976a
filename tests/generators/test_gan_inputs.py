"""Unusable images, sizes, precisions and folders: every GAN refuses them by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from benchmark.errors import GeneratorError
from benchmark.generators import pggan, singan, stylegan
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from support.fit_context import FakeContext
from support.samples import blobs

GROWING = [stylegan, pggan]
EVERY = [*GROWING, singan]


def tiny_gan(module: Any, **changes: Any) -> Any:
    """Return a GAN that trains in seconds."""
    return module.Generator(module.Params(**(module.tiny() | changes)))


def images(module: Any, size: int = 16) -> ImageSet:
    """Return what a fit learns from: five images, or the one of SinGAN."""
    return blobs({"a": 1 if module is singan else 5}, size=size)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image: image * 0 + 90, r"constant training images.*Check the data source"),
        (lambda image: image[:, :, :12], r"shape \(\d, 16, 12\), expected \(N, S, S\).*Check the split"),
        (lambda image: image[:0], r"shape \(0, 16, 16\), expected \(N, S, S\) with N >= 1"),
    ],
    ids=["constant", "not square", "none"],
)
@pytest.mark.parametrize("module", EVERY)
def test_unusable_images_are_refused(
    module: Any, spoil: Callable[[np.ndarray], np.ndarray], message: str, tmp_path: Path
) -> None:
    """Constant images, images that are not square, and no images are refused with a remedy."""
    train = images(module)
    image = spoil(np.asarray(train.image))
    train = replace(train.select(np.arange(len(image))), image=image)
    with pytest.raises(GeneratorError, match=f"(?s)generator '{module.Generator.name}'.*{message}"):
        tiny_gan(module).fit(train, FakeContext(tmp_path))


@pytest.mark.parametrize("module", GROWING)
def test_a_single_image_is_refused(module: Any, tmp_path: Path) -> None:
    """One image has no distribution to learn: the message names the generator that learns from one."""
    message = r"(?s)got 1 training image, expected at least 2.*Use singan"
    with pytest.raises(GeneratorError, match=message):
        tiny_gan(module).fit(blobs({"a": 1}), FakeContext(tmp_path))


def test_singan_learns_from_a_single_image_alone(tmp_path: Path) -> None:
    """One image fits; three are refused with the unit of a fit."""
    context = FakeContext(tmp_path)
    tiny_gan(singan).fit(blobs({"a": 1}), context)
    assert context.steps[-1] == context.total
    with pytest.raises(GeneratorError, match=r"(?s)learns from one image, got 3.*per_image"):
        tiny_gan(singan).fit(blobs({"a": 3}), context)


@pytest.mark.parametrize(("module", "batch"), [(stylegan, (8, 8)), (pggan, 8)])
def test_fewer_images_than_a_batch_are_drawn_again(module: Any, batch: Any, tmp_path: Path) -> None:
    """Three images fill batches of eight."""
    context = FakeContext(tmp_path)
    tiny_gan(module, batch_size=batch).fit(blobs({"a": 3}), context)
    assert context.steps[-1] == context.total


@pytest.mark.parametrize("module", EVERY)
def test_half_precision_is_refused(module: Any, tmp_path: Path) -> None:
    """The penalty overflows in float16."""
    with pytest.raises(GeneratorError, match=r"(?s)precision: is float16.*Use bfloat16 or float32"):
        tiny_gan(module).fit(images(module), FakeContext(tmp_path, precision="float16"))


@pytest.mark.parametrize("module", GROWING)
def test_a_size_that_doubling_cannot_reach_is_refused(module: Any, tmp_path: Path) -> None:
    """26 px is refused before the training, with the nearest power of two."""
    with pytest.raises(GeneratorError, match=r"(?s)image_size: is 26 px.*nearest is 32"):
        tiny_gan(module).fit(images(module, 26), FakeContext(tmp_path))


def test_singan_learns_a_size_that_is_no_power_of_two(tmp_path: Path) -> None:
    """The finest of its scales has the image's size, whatever it is."""
    gan, context = tiny_gan(singan), FakeContext(tmp_path)
    gan.fit(images(singan, 26), context)
    assert gan.sides[-1] == 26
    assert context.steps[-1] == context.total


@pytest.fixture(params=EVERY, ids=lambda module: str(module.Generator.name))
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A module, and the folder of its fitted GAN."""
    gan, folder = tiny_gan(request.param), tmp_path / "saved"
    gan.fit(images(request.param), FakeContext(tmp_path))
    gan.save(folder)
    return request.param, folder


def test_another_checkpoint_is_refused(stored: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another generator, of other widths, or of another code version does not load."""
    module, folder = stored
    other = singan if module is stylegan else stylegan
    with pytest.raises(GeneratorError, match=rf"generator\.json: generator: is not '{other.Generator.name}'"):
        other.Generator.load(folder, SampleContext())
    meta = json.loads((folder / "generator.json").read_text())
    meta["params"]["channels"] += 1
    (folder / "generator.json").write_text(json.dumps(meta))
    with pytest.raises(GeneratorError, match=r"(?s)stored weights do not fit: size mismatch.*Fit it again"):
        module.Generator.load(folder, SampleContext())
    monkeypatch.setattr(module, "version", "99")
    message = f"was saved by its version {meta['version']}, this is version 99"
    with pytest.raises(GeneratorError, match=message):
        module.Generator.load(folder, SampleContext())


def test_a_checkpoint_without_its_critic_is_refused(tmp_path: Path) -> None:
    """PGGAN is loaded with the critic that was trained, or not at all."""
    gan = tiny_gan(pggan)
    gan.fit(images(pggan), FakeContext(tmp_path))
    gan.save(tmp_path / "saved")
    file = tmp_path / "saved" / "weights.safetensors"
    save_file({k: v for k, v in load_file(file).items() if not k.startswith(pggan.CRITIC)}, file)
    with pytest.raises(GeneratorError, match=r"(?s)stored weights do not fit: Missing key.*Fit it again"):
        pggan.PGGAN.load(tmp_path / "saved", SampleContext())
