"""SinDDM and FewDDM: their fits, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.errors import GeneratorError
from benchmark.generators import fewddm, sinddm
from benchmark.generators._network_training import to_pixels
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs

FAST: dict[str, Any] = {
    "steps": 100, "batch_size": 8, "width": 16, "noise_steps": 10, "smallest": 8, "learning_rate": 5e-3,
    "halve_at": (70,), "average": 0.9, "average_every": 1,
}  # fmt: skip
CLASSES = ("a", "b", "c")


def fitted(
    kind: Any, folder: Path, images: int = 1, seed: int = 0, **changes: Any
) -> tuple[Any, FakeContext]:
    """Return a model fitted in seconds on images of 16 px, and its context."""
    generator = kind.Generator(kind.Params(**(kind.tiny() | changes)))
    context = FakeContext(folder, classes=("a",), labels=(0,), seed=seed)
    generator.fit(blobs({"a": images}), context)
    return generator, context


@pytest.mark.parametrize("kind", [sinddm, fewddm])
def test_defaults_are_the_published_ones(kind: Any) -> None:
    """Zhang et al. 2023, section 4.2.1, and the defaults of the code of Kulikov et al. 2023."""
    p = kind.Params()
    assert (p.steps, p.batch_size, p.learning_rate, p.beta1, p.beta2) == (120_000, 32, 1e-3, 0.9, 0.999)
    assert p.halve_at == tuple(1000 * k for k in (20, 40, 70, 80, 90, 110))
    assert (p.width, p.noise_steps, p.factor, p.average, p.average_every) == (160, 100, 1.411, 0.995, 10)


def test_learns_its_image(tmp_path: Path) -> None:
    """After 100 steps the mean sample correlates with the noisy image by 0.3."""
    model, _ = fitted(sinddm, tmp_path, **FAST)
    drawn = model.sample(SampleRequest(np.zeros(16, int), ("a",), 16), SampleContext())
    assert set(drawn.source_id) == {"p-00000"}
    source, mean = blobs({"a": 1}).image.ravel(), drawn.image.mean(0).ravel()
    assert np.corrcoef(source, mean)[0, 1] > 0.3


def test_a_batch_is_of_one_of_the_images(tmp_path: Path) -> None:
    """Each step takes one image and one scale; 60 steps take each of two images and scales about equally."""
    taken: list[tuple[float, int]] = []

    class Watching(fewddm.FewDDM):
        """Retains what each step learns from."""

        def loss(self, network: Any, level: Any, scale: int, random: torch.Generator) -> torch.Tensor:
            """Retain the image and the scale."""
            assert len(level[0]) == len(level[1]) == 1
            taken.append((round(level[0].mean().item(), 2), scale))
            return super().loss(network, level, scale, random)

    model = Watching(fewddm.Params(**(fewddm.tiny() | {"steps": 60, "largest": 12})))
    train = blobs({"a": 2})
    train.image[1] = 255 - train.image[1]
    model.fit(train, FakeContext(tmp_path, classes=("a",), labels=(0,)))
    bright, fine = (np.mean(values) for values in zip(*((m > 0, s) for m, s in taken), strict=True))
    assert 0.3 < bright < 0.7
    assert 0.3 < fine < 0.7


def test_a_single_image_of_a_class_is_noted(tmp_path: Path) -> None:
    """FewDDM of one image is SinDDM of another seed, bit by bit, and says so; of two it says nothing."""
    few, context = fitted(fewddm, tmp_path)
    same_seed, _ = fitted(sinddm, tmp_path)
    one, _ = fitted(sinddm, tmp_path, seed=fewddm.FewDDM.fit_seed(0))
    assert "one training image" in context.notes[0]
    assert all(map(torch.equal, few.network.state_dict().values(), one.network.state_dict().values()))
    weights = zip(few.network.parameters(), same_seed.network.parameters(), strict=True)
    assert not any(torch.equal(a, b) for a, b in weights if a.ndim > 1)
    assert not fitted(fewddm, tmp_path, 2)[1].notes


def test_the_rate_is_halved(tmp_path: Path) -> None:
    """Halvings at steps 2 and 4 leave a quarter of the rate in the curves."""
    rates: list[float] = []

    class Logging(FakeContext):
        """Retains the logged rates."""

        def log(self, step: int, **scalars: float) -> None:
            """Retain the rate."""
            rates.append(scalars["learning_rate"])

    model = sinddm.Generator(sinddm.Params(**(sinddm.tiny() | {"halve_at": (2, 4)})))
    model.fit(blobs({"a": 1}), Logging(tmp_path))
    assert rates == [5e-3, 2.5e-3, 2.5e-3, 1.25e-3, 1.25e-3, 1.25e-3]


def test_images_of_any_size_are_drawn(tmp_path: Path) -> None:
    """Height and width are free; images above the largest scale are enlarged."""
    model, _ = fitted(sinddm, tmp_path)
    assert model.draw_sized(2, 24, 40, torch.Generator()).shape == (2, 1, 24, 40)
    model, _ = fitted(sinddm, tmp_path, largest=12)
    assert model.sides == [8, 12]
    assert model.draw(torch.zeros(2, dtype=torch.long), torch.Generator(), None).shape == (2, 1, 16, 16)


def test_several_images_are_refused(tmp_path: Path) -> None:
    """SinDDM on three images names the unit of a fit."""
    with pytest.raises(GeneratorError, match=r"(?s)learns from one image, got 3.*per_image"):
        fitted(sinddm, tmp_path, 3)


def test_an_image_too_small_for_two_scales_is_refused(tmp_path: Path) -> None:
    """16 px with a pyramid from 14 px: the error names both, and the largest side to begin with."""
    with pytest.raises(GeneratorError, match=r"(?s)16 px are too small.*14 px.*at most 11"):
        fitted(sinddm, tmp_path, smallest=14)
    with pytest.raises(ValidationError, match="smallest: 55 px is not below largest"):
        sinddm.Params(largest=40)


def test_an_image_without_content_is_refused(tmp_path: Path) -> None:
    """A constant image is refused."""
    train = blobs({"a": 1})
    train.image[:] = 7
    with pytest.raises(GeneratorError, match="constant training image"):
        sinddm.Generator(sinddm.Params(**sinddm.tiny())).fit(train, FakeContext(tmp_path))


def test_float16_is_refused(tmp_path: Path) -> None:
    """The error names the precisions that work."""
    model = sinddm.Generator(sinddm.Params(**sinddm.tiny()))
    with pytest.raises(GeneratorError, match=r"(?s)float16.*bfloat16"):
        model.fit(blobs({"a": 1}), FakeContext(tmp_path, precision="float16"))


def test_more_sampling_than_training_times_is_refused(tmp_path: Path) -> None:
    """Six steps of a diffusion of five times are refused; five give what no number gives."""
    model, _ = fitted(sinddm, tmp_path)
    label = torch.zeros(2, dtype=torch.long)
    with pytest.raises(GeneratorError, match="is 6, but the diffusion has 5 times"):
        model.draw(label, torch.Generator(), 6)
    full, same = (model.draw(label, torch.Generator().manual_seed(0), steps) for steps in (None, 5))
    assert np.array_equal(to_pixels(full), to_pixels(same))


def test_a_loss_that_is_not_a_number_ends_the_fit(tmp_path: Path) -> None:
    """A step of infinite length gives NaN: the fit stops, and names the step."""
    _, context = fitted(sinddm, tmp_path, learning_rate=1e38)
    assert "loss is" in context.stopped
    assert context.steps[-1] < 6


def test_bfloat16_loss_is_near_that_of_float32(tmp_path: Path) -> None:
    """The same noise gives a loss within one percent."""
    model, _ = fitted(sinddm, tmp_path)
    level = tuple(torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    losses = []
    for precision in ("float32", "bfloat16"):
        model.precision = precision
        losses.append(model.loss(model.network, level, 1, torch.Generator().manual_seed(3)).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
