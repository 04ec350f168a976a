"""The training loop of the GANs: penalty, early stops, curves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.generators import _gan_failures as failing
from benchmark.generators import _gan_training as gans
from benchmark.generators import _singan_pyramid, pggan, singan, stylegan
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs

EVERY = [stylegan, pggan, singan]
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


def tiny_gan(module: Any, **changes: Any) -> Any:
    """Return a GAN that trains in seconds."""
    return module.Generator(module.Params(**(module.tiny() | changes)))


def images(module: Any) -> ImageSet:
    """Return what a fit learns from: images of two classes, or one image."""
    return blobs({"a": 1} if module is singan else {"a": 14, "b": 7})


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


@pytest.mark.parametrize("module", EVERY)
def test_curves_have_losses_gradients_and_similarities(module: Any, tmp_path: Path) -> None:
    """Each logged step has both losses, both gradient norms, and the MS-SSIM of both sides."""
    context = Recorder(tmp_path)
    tiny_gan(module).fit(images(module), context)
    assert context.last.keys() == CURVES | ({"reconstruction"} if module is singan else set())
    assert context.last["generator_gradient"] > 0
    assert context.last["critic_gradient"] > 0


@pytest.mark.parametrize(("module", "rate"), [(stylegan, (1e6, 1e6)), (pggan, 1e6), (singan, 1e30)])
def test_a_fit_that_diverges_ends_and_says_so(module: Any, rate: Any, tmp_path: Path) -> None:
    """An absurd learning rate makes a loss diverge or not a number; the fit ends and names the loss."""
    context = FakeContext(tmp_path)
    longer = {} if module is singan else {"augmentation": ()}
    tiny_gan(module, learning_rate=rate, **longer).fit(images(module), context)
    assert re.search(r"diverged: its loss is|^\w+ is -?(nan|inf)", context.stopped)
    assert not context.steps or context.steps[-1] < context.total


@pytest.mark.parametrize("module", [stylegan, pggan])
def test_a_collapsed_fit_ends_and_says_so(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generator that draws one image for all codes is stopped at the third check of the full size."""
    varied = module.Generator.synthesize

    def alike(self: Any, network: Any, label: Tensor, random: torch.Generator) -> Tensor:
        return varied(self, network, label, random)[:1].expand(len(label), -1, -1, -1)

    monkeypatch.setattr(module.Generator, "synthesize", alike)
    context, longer = FakeContext(tmp_path), {"images_per_stage": 40} if module is pggan else {"steps": 20}
    tiny_gan(module, **longer).fit(images(module), context)
    assert re.search("collapsed at step .*: MS-SSIM of its images 1.000, of real ones 0", context.stopped)
    assert context.steps[-1] < context.total


def test_a_collapsed_scale_ends_the_fit_of_one_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SinGAN without noise draws one image: the first scale ends the fit, at its last epoch."""
    for part in (singan, _singan_pyramid):
        monkeypatch.setattr(part, "randn", lambda shape, random: torch.zeros(shape))
    context = FakeContext(tmp_path)
    tiny_gan(singan).fit(images(singan), context)
    assert context.stopped.startswith("collapsed at step 3: MS-SSIM of its images 1.000")
    assert context.steps == [1, 2]


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
