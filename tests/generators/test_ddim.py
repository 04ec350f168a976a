"""The deterministic sampler against its equation, and reconstructions of training images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from benchmark.generators import ddim, ddim_reconstruct
from benchmark.metrics.psnr import psnr
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs


def signal(times: int) -> np.ndarray:
    """Return the share of the signal at each time of the linear schedule from 1e-4 to 0.02."""
    return np.cumprod(1 - np.linspace(1e-4, 0.02, times))


class Exact(nn.Module):
    """The best prediction of the noise of normal pixels with this mean and deviation."""

    def __init__(self, times: int, mean: float, deviation: float) -> None:
        super().__init__()
        self.signal, self.mean, self.deviation = signal(times), mean, deviation

    def forward(self, noised: torch.Tensor, time: torch.Tensor, class_labels: Any) -> Any:
        """Predict the noise."""
        a = float(self.signal[int(time)])
        variance = a * self.deviation**2 + 1 - a
        noise = (1 - a) ** 0.5 * (noised - a**0.5 * self.mean) / variance
        return type("Output", (), {"sample": noise})


def model(kind: Any = ddim, side: int = 4, **params: Any) -> Any:
    """Return a model of one class with the exact network of pixels of mean 0.2 and deviation 0.1."""
    generator = kind.Generator(kind.Params(**params))
    generator.classes, generator.image_size = ("a",), side
    generator.network = Exact(generator.params.noise_steps, 0.2, 0.1)
    return generator


def test_defaults_are_those_of_the_thesis() -> None:
    """Lan 2023, section 4.6: 4000 times, 4,000,000 steps of 16 images at 1e-4; six levels, linear."""
    p = ddim.Params()
    assert (p.noise_steps, p.steps, p.batch_size, p.learning_rate) == (4000, 4_000_000, 16, 1e-4)
    assert (p.channels, p.layers, p.noise_schedule) == ((128, 128, 256, 256, 512, 512), 2, "linear")


def test_sampler_follows_its_equation() -> None:
    """20 of 1000 times by equation 12 of Song et al. with sigma 0, in double precision, to 1e-5."""
    generator = model(noise_steps=1000, denoising_steps=20)
    drawn = generator.draw(torch.zeros(3, dtype=torch.long), torch.Generator().manual_seed(0), None)
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    a = signal(1000)
    for time in range(950, -1, -50):
        noise = generator.network(x, torch.tensor(time), None).sample
        clean = (x - (1 - a[time]) ** 0.5 * noise) / a[time] ** 0.5
        then = a[time - 50] if time else 1.0
        x = then**0.5 * clean + (1 - then) ** 0.5 * noise
    assert torch.allclose(drawn.double(), x, atol=1e-5)


def test_normal_pixels_keep_their_mean_and_deviation() -> None:
    """With the exact network 1000 times draw the law of the pixels, within five errors and 3 %."""
    generator, n = model(side=16, noise_steps=1000, denoising_steps=1000), 40
    drawn = generator.draw(torch.zeros(n, dtype=torch.long), torch.Generator().manual_seed(0), None)
    assert drawn.mean().item() == pytest.approx(0.2, abs=5 * 0.1 / (n * 256) ** 0.5)
    assert drawn.std().item() == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("steps", [9, 1001])
def test_fewer_than_10_or_more_than_1000_steps_are_refused(steps: int) -> None:
    """The limits are those of the sampler's table."""
    with pytest.raises(ValidationError, match="denoising_steps"):
        ddim.Params(denoising_steps=steps)


def reconstructed(folder: Path, **changes: Any) -> tuple[Any, Any]:
    """Return a reconstruction fitted in seconds, and its training images."""
    generator = ddim_reconstruct.Generator(
        ddim_reconstruct.Params(**(ddim_reconstruct.tiny() | {"unshuffle": 1} | changes))
    )
    train = blobs({"a": 5, "b": 4})
    generator.fit(train, FakeContext(folder, classes=("a", "b"), labels=(0, 1)))
    return generator, train


def test_reconstructions_name_their_sources(tmp_path: Path) -> None:
    """Samples of a class come from its stored images, at most as many as ``sources``, also after loading."""
    generator, train = reconstructed(tmp_path, sources=3)
    generator.save(tmp_path / "saved")
    loaded = ddim_reconstruct.Generator.load(tmp_path / "saved", SampleContext())
    request = SampleRequest(np.array([1] * 6), train.classes, 16)
    drawn, again = (g.sample(request, SampleContext(seed=1)) for g in (generator, loaded))
    assert np.array_equal(drawn.image, again.image)
    assert len(set(drawn.source_id)) == 3
    assert set(drawn.source_id) <= set(train.image_id[train.label == 1])


def test_less_noise_is_nearer_to_the_source(tmp_path: Path) -> None:
    """PSNR with the source falls with the time; noised to the first time alone it is a near-copy."""
    generator, train = reconstructed(tmp_path)
    request, ratios = SampleRequest(np.zeros(5, int), train.classes, 16), []
    for share in (0.05, 0.5, 1.0):
        generator.params = generator.params.model_copy(update={"noised_to": share})
        drawn = generator.sample(request, SampleContext(seed=1))
        rows = [train.image_id.tolist().index(name) for name in drawn.source_id]
        ratios.append(psnr(train.image[rows], drawn.image).mean())
    assert ratios[0] > ratios[1] > ratios[2]
    assert ratios[0] > 30
