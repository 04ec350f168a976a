"""DDPM against hand arithmetic, and a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from pydantic import ValidationError
from torch import nn

from benchmark.errors import GeneratorError
from benchmark.generators import ddpm
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs

SMALL: dict[str, Any] = {
    "channels": (16, 32), "layers": 1, "attention": False, "groups": 8, "warmup": 10, "batch_size": 16,
    "learning_rate": 2e-3, "average": 0.97, "sampler": "ddim", "denoising_steps": 8,
    "noise_schedule": "squaredcos_cap_v2",
    "balance": 1.0, "unshuffle": 2, "beta1": 0.9,
}  # fmt: skip


def test_defaults_are_those_of_the_paper() -> None:
    """The values are those of Schaudt et al. 2023, Table 3, column Unconditional."""
    p = ddpm.Params()
    assert (p.steps, p.batch_size, p.learning_rate, p.warmup) == (13_750, 8, 1e-4, 500)
    assert (p.beta1, p.beta2, p.weight_decay, p.max_gradient_norm) == (0.95, 0.999, 1e-6, 1.0)
    assert (p.denoising_steps, p.average, p.unshuffle, p.sampler) == (250, 0.0, 1, "ddpm")


def test_learning_rate_warms_up_and_falls_as_a_cosine() -> None:
    """The factor is 0 at the start, 1/2 halfway through the warm-up, 1/2 halfway down, and 0 at the end."""
    p = ddpm.Params(steps=1100, warmup=100, learning_rate=1.0)
    _, schedule = ddpm.make_optimizer(nn.Linear(1, 1), p)
    rates = [p.learning_rate * schedule.lr_lambdas[0](step) for step in (0, 50, 100, 600, 1100)]
    assert rates == pytest.approx([0, 0.5, 1, 0.5, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [("epsilon", [1.0, 0.5]), ("sample", [4.0, 5.0]), ("v_prediction", [0.8, 5 / 11])],
)
def test_min_snr_weights(prediction: str, expected: list[float]) -> None:
    """Signal-to-noise 4 and 10 with gamma 5 give the weights of arXiv:2303.09556 for each prediction type."""
    noising = DDPMScheduler()
    noising.alphas_cumprod = torch.tensor([4 / 5, 10 / 11])
    model = ddpm.DDPM(ddpm.Params(prediction=prediction, snr_gamma=5.0))
    weight = model._loss_weight(noising, torch.tensor([0, 1]))
    assert weight.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_loss_of_a_perfect_network_is_zero(prediction: str) -> None:
    """For images of zeros the noised image determines the noise, so the lowest loss is 0."""
    noising = DDPMScheduler()

    class Knowing(nn.Module):
        def forward(self, noised: torch.Tensor, time: torch.Tensor, class_labels: Any) -> Any:
            signal = noising.alphas_cumprod[time].view(-1, 1, 1, 1)
            noise = noised / (1 - signal).sqrt()
            answer = {"epsilon": noise, "sample": 0 * noise}.get(prediction, signal.sqrt() * noise)
            return type("Output", (), {"sample": answer})

    model = ddpm.DDPM(ddpm.Params(prediction=prediction))
    model.classes = ("a",)
    random = torch.Generator().manual_seed(0)
    loss = model._loss(Knowing(), noising, torch.zeros(6, 1, 4, 4), torch.zeros(6, dtype=torch.long), random)
    assert loss.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmsolver++"])
def test_samplers_reach_the_predicted_image(sampler: str) -> None:
    """A network that always predicts one image leads every sampler to that image."""
    model = ddpm.DDPM(ddpm.Params(prediction="sample", sampler=sampler, denoising_steps=10))
    model.classes, model.image_size = ("a",), 8
    picture = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8)

    class Always(nn.Module):
        def forward(self, noised: torch.Tensor, time: torch.Tensor, class_labels: Any) -> Any:
            return type("Output", (), {"sample": picture.expand(len(noised), -1, -1, -1)})

    model.network = Always()
    drawn = model.sample(SampleRequest(np.zeros(3, int), ("a",), 8), SampleContext())
    expected = np.round((picture.view(8, 8).numpy() + 1) * 127.5)
    assert np.abs(drawn.image.astype(float) - expected).max() <= 1


def test_one_class_gives_an_unconditional_network(tmp_path: Path) -> None:
    """One class gives the paper's unconditional network; two classes give a label embedding."""
    train = blobs({"a": 4, "b": 4})
    one, two = (ddpm.DDPM(ddpm.Params(**{**SMALL, "steps": 1})) for _ in range(2))
    one.fit(train.of_class(1), FakeContext(tmp_path, classes=("a", "b"), labels=(1,)))
    two.fit(train, FakeContext(tmp_path, classes=("a", "b"), labels=(0, 1)))
    assert one.network.class_embedding is None
    assert two.network.class_embedding.num_embeddings == 2


def test_indivisible_size_is_refused(tmp_path: Path) -> None:
    """16 px cannot be halved five times: the error names the parameter and a valid size."""
    model = ddpm.DDPM(ddpm.Params(steps=1))
    with pytest.raises(GeneratorError, match="channels: 6 levels") as error:
        model.fit(blobs({"a": 4}), FakeContext(tmp_path, classes=("a",), labels=(0,)))
    assert "multiple of 32 px" in error.value.remedy


@pytest.mark.parametrize(
    "wrong", [{"guidance": 2.0}, {"groups": 48}, {"denoising_steps": 2000}, {"learning_rate": 0}]
)
def test_contradictory_parameters_are_refused(wrong: dict[str, Any]) -> None:
    """Guidance without dropout, odd groups, more denoising than noising steps and a zero rate are refused."""
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ddpm.Params(**wrong)


def test_learns_the_classes(tmp_path: Path) -> None:
    """After 150 steps the bright square is at the class's position in four of five samples."""
    train = blobs({"a": 40, "b": 12})
    model = ddpm.DDPM(ddpm.Params(**{**SMALL, "steps": 150, "prediction": "sample"}))
    model.fit(train, FakeContext(tmp_path, classes=("a", "b"), labels=(0, 1)))
    label = np.array([0, 1] * 20)
    drawn = model.sample(SampleRequest(label, ("a", "b"), 16), SampleContext())
    squares = np.stack([drawn.image[:, :4, 4 * k : 4 * k + 4].mean((1, 2)) for k in (0, 1)], 1)
    assert (squares.argmax(1) == label).mean() >= 0.8
