"""Classifier-free guidance, and the folder that plain diffusers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler
from torch import nn

from benchmark.errors import GeneratorError
from benchmark.generators import ddpm
from support.fit_context import FakeContext
from support.samples import blobs

LABEL = torch.tensor([0, 1, 1])


class ByClass(nn.Module):
    """A network that knows an image of each class and of none, in any prediction type."""

    def __init__(self, prediction: str, noising: Any) -> None:
        super().__init__()
        self.prediction, self.noising = prediction, noising
        self.image = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(3))

    def forward(self, noised: torch.Tensor, time: torch.Tensor, class_labels: Any) -> Any:
        """Predict from the image of the class; class 2 is none."""
        a, image = self.noising.alphas_cumprod[time], self.image[class_labels]
        noise = (noised - a.sqrt() * image) / (1 - a).sqrt()
        answer = {"sample": image, "epsilon": noise}.get(
            self.prediction, a.sqrt() * noise - (1 - a).sqrt() * image
        )
        return type("Output", (), {"sample": answer})


def guided(scale: float, prediction: str = "epsilon", **changes: Any) -> ddpm.DDPM:
    """Return a model of two classes with the network that knows them."""
    params = {"guidance": scale, "condition_dropout": 0.1, "prediction": prediction, "denoising_steps": 5}
    model = ddpm.DDPM(ddpm.Params(**(params | changes)))
    model.classes, model.image_size = ("a", "b"), 4
    model.network = ByClass(prediction, DDPMScheduler())
    return model


def test_guidance_of_one_is_the_conditional_model() -> None:
    """Guidance 1 draws what a model without guidance draws, bit by bit; 0 draws as without a class."""
    drawn = [
        model.draw(LABEL, torch.Generator().manual_seed(0), None)
        for model in (guided(1.0), guided(1.0, condition_dropout=0.0))
    ]
    assert torch.equal(*drawn)
    x, time = torch.randn(3, 1, 4, 4), torch.tensor(500)
    free = guided(0.0)
    assert torch.allclose(free._guided(x, time, LABEL), free._predict(free.network, x, time, LABEL * 0 + 2))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_guidance_is_that_of_ho_and_salimans(prediction: str) -> None:
    """(1 + w) noise of the class - w noise of none, with w = 2, whatever the network predicts."""
    model = guided(3.0, prediction)
    x, time = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1)), torch.tensor(300)
    a = DDPMScheduler().alphas_cumprod[300]
    image = 3 * model.network.image[LABEL] - 2 * model.network.image[2]
    noise = (x - a.sqrt() * image) / (1 - a).sqrt()
    expected = {"sample": image, "epsilon": noise}.get(prediction, a.sqrt() * noise - (1 - a).sqrt() * image)
    assert torch.allclose(model._guided(x, time, LABEL), expected, atol=1e-4)


def test_classes_are_dropped_as_often_as_told() -> None:
    """A quarter of 4000 labels become the class of none, within four errors."""
    model, seen = guided(1.0, condition_dropout=0.25), []

    class Watching(nn.Module):
        def forward(self, noised: torch.Tensor, time: torch.Tensor, class_labels: Any) -> Any:
            seen.append(class_labels)
            return type("Output", (), {"sample": noised})

    label = torch.zeros(4000, dtype=torch.long)
    model._loss(Watching(), DDPMScheduler(), torch.zeros(4000, 1, 1, 1), label, torch.Generator())
    assert set(seen[0].tolist()) == {0, 2}
    assert (seen[0] == 2).double().mean().item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 4000) ** 0.5)


def test_guidance_with_one_class_is_refused(tmp_path: Path) -> None:
    """A fit of one class has no condition to steer towards: the error names the parameter."""
    model = ddpm.DDPM(ddpm.Params(**(ddpm.tiny() | {"guidance": 2.0, "condition_dropout": 0.1})))
    with pytest.raises(GeneratorError, match=r"(?s)guidance.*one class.*jointly"):
        model.fit(blobs({"a": 4}), FakeContext(tmp_path, classes=("a",), labels=(0,)))


def test_more_sampling_than_training_times_is_refused() -> None:
    """1001 steps of a diffusion of 1000 times are refused by number."""
    with pytest.raises(GeneratorError, match="is 1001, but the diffusion has 1000 times"):
        guided(1.0).draw(LABEL, torch.Generator(), 1001)


def test_a_loss_that_is_not_a_number_ends_the_fit(tmp_path: Path) -> None:
    """A step of infinite length gives NaN: the fit stops, and names the step."""
    context = FakeContext(tmp_path)
    params = ddpm.tiny() | {"learning_rate": 1e38, "warmup": 0}
    ddpm.DDPM(ddpm.Params(**params)).fit(blobs({"a": 4, "b": 4, "c": 4}), context)
    assert "loss is" in context.stopped
    assert context.steps[-1] < 6


def test_plain_diffusers_loads_the_saved_folder(tmp_path: Path) -> None:
    """The pipeline has the weights and the schedule, and its network predicts the same."""
    params = ddpm.tiny() | {"unshuffle": 1, "sampler": "ddpm", "prediction": "v_prediction"}
    model = ddpm.DDPM(ddpm.Params(**params))
    model.fit(blobs({"a": 6}), FakeContext(tmp_path, classes=("a",), labels=(0,)))
    model.save(tmp_path / "saved")
    pipeline = DDPMPipeline.from_pretrained(tmp_path / "saved")
    x, time = torch.randn(2, 1, 16, 16), torch.tensor([3, 700])
    with torch.no_grad():
        own, loaded = (network(x, time).sample for network in (model.network, pipeline.unet))
    assert torch.equal(own, loaded)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    drawn = pipeline(2, num_inference_steps=3, output_type="np").images
    assert np.asarray(drawn).shape == (2, 16, 16, 1)
