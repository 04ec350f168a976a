"""The training loop of the GANs: penalty, early stops, refusals, curves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.errors import GeneratorError
from benchmark.generators import _gan_failures as failing
from benchmark.generators import _gan_training as gans
from benchmark.generators import pggan, singan, stylegan
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs

CURVES = {
    "stage", "critic_loss", "distance", "penalty", "critic_gradient", "generator_loss", "generator_gradient",
    "ms_ssim", "ms_ssim_real",
}  # fmt: skip


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


class Recorder(FakeContext):
    """Retains the logged scalars."""

    def log(self, step: int, **scalars: float) -> None:
        """Retain the scalars of the last step."""
        super().log(step, **scalars)
        self.last = scalars


def tiny_gan(**changes: Any) -> stylegan.StyleGAN:
    """Return a StyleGAN that trains in seconds."""
    return stylegan.StyleGAN(stylegan.Params(**(stylegan.tiny() | changes)))


@pytest.mark.parametrize("length", [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic(length: float) -> None:
    """The critic w.x has gradient w everywhere: penalty (|w| - 1)^2, and its gradient 2 (|w| - 1) w / |w|."""
    w = torch.randn(1, 4, 4, generator=random())
    w = (w * length / w.norm()).requires_grad_()
    penalty = gans.gradient_penalty(lambda x: (x * w).sum((1, 2, 3)), torch.randn(5, 1, 4, 4))
    assert penalty.item() == pytest.approx((length - 1) ** 2, abs=1e-5)
    penalty.backward()
    assert torch.allclose(w.grad, 2 * (length - 1) * w.detach() / length, atol=1e-5)


def test_penalty_per_pixel_of_a_linear_critic() -> None:
    """Weights 2 and 0 on two pixels have penalties 1 and 1, and 3 and 1 have 4 and 0; the mean counts."""
    w = torch.tensor([[[2.0, 0.0], [3.0, 1.0]]])
    penalty = gans.gradient_penalty(lambda x: (x * w).sum((1, 2, 3)), torch.zeros(2, 1, 2, 2), per_pixel=True)
    assert penalty.item() == pytest.approx((1 + 1 + 4 + 0) / 4)


def test_curves_have_losses_gradients_and_similarities(tmp_path: Path) -> None:
    """Each logged step has both losses, both gradient norms, and the MS-SSIM of both sides."""
    context = Recorder(tmp_path)
    tiny_gan().fit(blobs({"a": 14, "b": 7}), context)
    assert context.last.keys() == CURVES
    assert context.last["generator_gradient"] > 0
    assert context.last["critic_gradient"] > 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image: image * 0, "constant training images"),
        (lambda image: image[:1], "(?s)got 1 training image, expected at least 2.*singan"),
        (lambda image: image[:, :, :12], "expected \\(N, S, S\\)"),
    ],
)
def test_unusable_images_are_refused(
    spoil: Callable[[np.ndarray], np.ndarray], message: str, tmp_path: Path
) -> None:
    """Constant images, a single one, and images that are not square are refused by name."""
    train = blobs({"a": 5})
    image = spoil(np.asarray(train.image))
    train = replace(train.select(np.arange(len(image))), image=image)
    with pytest.raises(GeneratorError, match=message):
        tiny_gan().fit(train, FakeContext(tmp_path))


def test_fewer_images_than_a_batch_are_drawn_again(tmp_path: Path) -> None:
    """Three images fill batches of eight."""
    context = FakeContext(tmp_path)
    tiny_gan(batch_size=(8, 8)).fit(blobs({"a": 3}), context)
    assert context.steps[-1] == context.total


def test_half_precision_is_refused(tmp_path: Path) -> None:
    """The penalty overflows in float16."""
    with pytest.raises(GeneratorError, match="precision: is float16"):
        tiny_gan().fit(blobs({"a": 5}), FakeContext(tmp_path, precision="float16"))


@pytest.mark.parametrize("kind", [stylegan.StyleGAN, pggan.PGGAN])
def test_a_size_that_doubling_cannot_reach_is_refused(kind: Any, tmp_path: Path) -> None:
    """26 px is refused before the training, with the nearest power of two."""
    module = stylegan if kind is stylegan.StyleGAN else pggan
    with pytest.raises(GeneratorError, match=r"(?s)26 px.*nearest is 32"):
        kind(module.Params(**module.tiny())).fit(blobs({"a": 5}, size=26), FakeContext(tmp_path))


def test_another_version_or_architecture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another code version, or with weights of another size, does not load."""
    gan = tiny_gan()
    gan.fit(blobs({"a": 5}), FakeContext(tmp_path))
    gan.save(tmp_path / "saved")
    meta = tmp_path / "saved" / "generator.json"
    meta.write_text(meta.read_text().replace('"channels": 8', '"channels": 9'))
    with pytest.raises(GeneratorError, match="weights do not fit"):
        stylegan.StyleGAN.load(tmp_path / "saved", SampleContext())
    monkeypatch.setattr(stylegan, "version", "99")
    with pytest.raises(GeneratorError, match="saved by its version 4, this is version 99"):
        stylegan.StyleGAN.load(tmp_path / "saved", SampleContext())


def test_a_fit_that_diverges_ends_and_says_so(tmp_path: Path) -> None:
    """A learning rate of 1e6 makes the critic's loss diverge or not a number within a few steps."""
    context = FakeContext(tmp_path)
    gan = tiny_gan(learning_rate=(1e6, 1e6), steps=40, augmentation=())
    gan.fit(blobs({"a": 14, "b": 7}), context)
    assert "diverged" in context.stopped or " is " in context.stopped
    assert context.steps == [] or context.steps[-1] < 40


def test_equal_images_are_a_collapse_at_the_third_check() -> None:
    """Images all alike end the fit at the third check in a row; varied ones do not."""
    real = torch.rand(4, 1, 16, 16, generator=random()) * 2 - 1
    alike = real[:1].expand(4, -1, -1, -1)

    def check(failures: failing.Failures, step: int, images: Tensor) -> str:
        return failures.check(step, {"critic_loss": 0.0}, real, images)

    failures = failing.Failures()
    assert [check(failures, step, alike) for step in (1, 2)] == ["", ""]
    assert "collapsed at step 3: MS-SSIM of its images 1.000" in check(failures, 3, alike)
    failures = failing.Failures()
    assert [check(failures, step, images) for step, images in enumerate((alike, alike, real, alike))] == [
        ""
    ] * 4


@pytest.mark.parametrize(
    ("scalars", "message"),
    [
        ({"critic_loss": float("nan")}, "critic_loss is nan at step 7"),
        ({"critic_loss": 1.0, "generator_gradient": float("inf")}, "generator_gradient is inf"),
        ({"critic_loss": -2e5}, "the critic diverged: its loss is -2e\\+05 at step 7"),
        ({"critic_loss": 80.0}, "^$"),
    ],
)
def test_divergence_names_the_loss(scalars: dict[str, float], message: str) -> None:
    """A loss that is not finite, or a critic's loss beyond 1e5, ends a fit."""
    assert re.search(message, failing.divergence(7, scalars))


def test_a_generator_of_one_image_names_its_source(tmp_path: Path) -> None:
    """Samples of SinGAN have the id of the source image."""
    train = blobs({"a": 1})
    gan = singan.SinGAN(singan.Params(**singan.tiny()))
    gan.fit(train, FakeContext(tmp_path, gan, classes=("a",), labels=(0, 0)))
    drawn = gan.sample(SampleRequest(np.zeros(3, np.int64), ("a",), 16), SampleContext())
    assert drawn.source_id.tolist() == [train.image_id[0]] * 3
