"""Latent class optimization as a row: its scorers, its patients, and what the run must have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import GeneratorError, TaskError
from benchmark.generators import latent_class_optimization as lco
from benchmark.generators._latent_optimization import score
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.description import describe_module
from benchmark.plugins.generator import SampleRequest
from benchmark.plugins.registry import find
from support.fit_context import FakeContext, KilledError
from support.samples import blobs

CLASSES = ("a", "b")


class Brightness(nn.Module):
    """A classifier whose logits are the mean gray and its negative."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1) * 10


def context(folder: Path, **changes: Any) -> FakeContext:
    """Return a context with validation images of both classes."""
    return FakeContext(folder, classes=CLASSES, val=blobs({"a": 8, "b": 8}, seed=1, prefix="v"), **changes)


def fitted(folder: Path, classifier: Any = None, **changes: Any) -> Any:
    """Return a generator fitted in a second."""
    generator = lco.Generator(lco.Params(**(lco.tiny() | changes)))
    generator.fit(blobs({"a": 12, "b": 12}), context(folder, classifier=classifier))
    return generator


def request(count: int, label: int = 0) -> SampleRequest:
    return SampleRequest.of_class(label, 0, count, CLASSES, 16)


def describe(**params: Any) -> Any:
    """Return what planning reads of the plug-in."""
    plugin = find("generators", ["latent_class_optimization"])[0]
    return describe_module(plugin.load(), plugin, params)


def test_planning_knows_which_scorer_needs_a_classifier() -> None:
    """The critic needs none; a StyleGAN's critic is not retained, and a misspelled parameter is named."""
    assert describe().requires == frozenset()
    assert describe(model="stylegan", scorer="classifier").requires == {"classifier"}
    assert describe(model_params={"latent": 64}).params["model_params"]["images_per_stage"] == 800_000
    with pytest.raises(
        TaskError, match="scorer 'critic' is not retained by stylegan; use scorer 'classifier'"
    ):
        describe(model="stylegan")
    with pytest.raises(TaskError, match=r"model_params.*latnt: Extra inputs"):
        describe(model_params={"latnt": 64})


def test_a_scorer_that_the_run_does_not_have_is_refused(tmp_path: Path) -> None:
    """Fitting and loading without a classifier end in one line with the remedy."""
    with pytest.raises(GeneratorError, match="scorer: is 'classifier', which this run does not have"):
        fitted(tmp_path, scorer="classifier")
    fitted(tmp_path, Brightness(), scorer="classifier").save(tmp_path / "saved")
    with pytest.raises(GeneratorError, match="scorer: is 'classifier', which this run does not have"):
        lco.Generator.load(tmp_path / "saved", SampleContext())


@pytest.mark.parametrize("model", ["pggan", "stylegan"])
def test_optimized_images_score_higher_by_the_classifier(model: str, tmp_path: Path) -> None:
    """Images of the class of bright images are brighter than those of the dark class, also once loaded."""
    tiny = lco.latent.MODELS[model].tiny()
    options = {
        "model": model,
        "model_params": tiny,
        "scorer": "classifier",
        "most_steps": 20,
        "step_size": 1.0,
    }
    generator = fitted(tmp_path, Brightness(), severity=(0.5, 0.0), **options)
    generator.save(tmp_path / "saved")
    loaded = lco.Generator.load(tmp_path / "saved", SampleContext(classifier=Brightness()))
    bright, dark = (loaded.sample(request(12, k), SampleContext()).image for k in (0, 1))
    assert bright.mean() > dark.mean() + 0.02
    np.testing.assert_array_equal(bright, generator.sample(request(12), SampleContext()).image)


def test_the_retrained_critic_tells_the_classes_apart(tmp_path: Path) -> None:
    """Its AUROC on val is high after 150 steps, and the thresholds lie between the classes' logits."""
    wider = lco.tiny()["model_params"] | {"channels": 16}
    generator = fitted(tmp_path, retraining_steps=150, retraining_batch=8, model_params=wider)
    assert generator._val_auroc() > 0.9
    logits = score(generator.reused_critic, blobs({"a": 8, "b": 8}, seed=1, prefix="v").image, "cpu")
    for k, limit in enumerate(generator.thresholds()):
        own, other = np.median(logits[8 * k : 8 * k + 8, k]), np.median(logits[8 - 8 * k : 16 - 8 * k, k])
        assert other < limit < own


def test_optimization_that_never_converges_is_recorded(tmp_path: Path) -> None:
    """With a threshold out of reach all images are drawn, and the record says that no code converged."""
    generator = fitted(tmp_path, severity=(1e6, 0.0))
    samples = generator.sample(request(10), SampleContext())
    patients = len(set(samples.patient_id))
    assert samples.image.shape == (10, 16, 16)
    assert samples.card["shares"] == {lco.CONVERGED: [0, patients]}
    assert set(np.bincount(np.unique(samples.patient_id, return_inverse=True)[1])[:-1]) <= {3, 4, 5, 6}


def test_a_class_that_val_lacks_has_no_threshold(tmp_path: Path) -> None:
    """Its images are refused by name."""
    generator = lco.Generator(lco.Params(**lco.tiny()))
    own = FakeContext(tmp_path, classes=CLASSES, val=blobs({"a": 8, "b": 0}))
    generator.fit(blobs({"a": 8, "b": 8}), own)
    with pytest.raises(GeneratorError, match="class 'b': has no threshold, since val lacks images"):
        generator.sample(request(4, 1), SampleContext())


@pytest.mark.parametrize("further", [1, 3])
def test_a_fit_killed_while_the_critic_is_retrained_resumes(
    further: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 1 or 3 of its 4 steps the resumed fit ends in the weights of an uninterrupted one."""
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("benchmark.generators._network_training.SAVE_AT_MOST", 1e9)
    train, whole, own = blobs({"a": 12, "b": 12}), lco.Generator(lco.Params(**lco.tiny())), context(tmp_path)
    whole.fit(train, own)
    dying = context(tmp_path, kill_after=own.total - 4 + further)
    with pytest.raises(KilledError):
        lco.Generator(lco.Params(**lco.tiny())).fit(train, dying)
    resumed, dying.kill_after = lco.Generator(lco.Params(**lco.tiny())), 0
    resumed.fit(train, dying)
    expected = whole.arrays()
    assert all(np.array_equal(array, expected[name]) for name, array in resumed.arrays().items())
