"""The classifier of a fit: separate from the evaluators, frozen, differentiable, of any image size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.classifiers.evaluator import load_evaluator
from benchmark.engine.node import Node
from benchmark.images import arrow
from benchmark.images.image_set import Splits
from benchmark.stages.guide import SEED, GuideConfig, guide, load_guide
from benchmark.stages.job import Job
from benchmark.stages.training import training_config
from support.samples import blobs

COUNTS = {"a": 24, "b": 24, "c": 24}


@pytest.fixture(scope="module", params=["softmax", "multilabel"])
def trained(request, tmp_path_factory):
    """Return folder and job of a guide, single-label or multi-label."""
    folder = tmp_path_factory.mktemp("guide")
    parts = [blobs(COUNTS, seed=i, prefix=f"s{i}") for i in range(4)]
    multilabel = request.param == "multilabel"
    if multilabel:
        parts = [replace(p, label=np.eye(3, dtype=np.uint8)[p.label]) for p in parts]
    for name in ("data", "out", "work"):
        (folder / name).mkdir()
    arrow.write_splits(folder / "data", Splits(*parts))
    config = GuideConfig.model_validate({
        "classes": tuple(COUNTS), "labels": "multilabel" if multilabel else "single",
        "metric": "auroc" if multilabel else "balanced_accuracy",
        "classifier": {"name": "tiny", "timm": "resnet10t", "timm_kwargs": {"channels": [8, 8, 16, 16]},
                       "weights": {"kind": "none"}, "augmentation": "none", "learning_rate": 1e-2},
        "budget": {"unit": "steps", "length": 20, "batch_size": 16, "evaluations": 1},
        "device": "cpu", "precision": "float32",
    })  # fmt: skip
    node = Node("guide", config, {}, seed=SEED)
    job = Job(node, {"data": (folder / "data",)}, folder / "out", folder / "work")
    job.write(guide(job))
    reading = Job(node, {"classifier": (job.out,)}, Path(), Path())
    return job, load_guide(reading, config.classifier, "cpu"), parts[2], multilabel


def test_it_scores_images_as_an_evaluator_does(trained):
    """On the pixels of its size the probabilities are those of the saved network as the suite reads it."""
    job, module, images, multilabel = trained
    evaluator = load_evaluator(job.out, training_config(job), 3, multilabel=multilabel)
    logits = module(torch.from_numpy(images.image).float().div(255).unsqueeze(1))
    ours = torch.sigmoid(logits) if multilabel else torch.softmax(logits, 1)
    assert ours.detach().numpy() == pytest.approx(evaluator.scores(images), abs=1e-5)


def test_it_is_frozen_and_gradients_reach_the_images(trained):
    """No weight has a gradient, training mode changes nothing, and the gradient is that of differences."""
    _, module, images, _ = trained
    batch = torch.from_numpy(images.image[:4]).double().div(255).unsqueeze(1).requires_grad_()
    module = module.double()
    before = module(batch)
    module.train()
    assert not module.training
    assert torch.equal(module(batch), before)
    before[:, 1].sum().backward()
    assert batch.grad is not None
    assert (batch.grad.flatten(1).abs().sum(1) > 0).all()
    assert all(p.grad is None and not p.requires_grad for p in module.parameters())
    direction = torch.randn(batch.shape, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        up, down = (module(batch + s * 1e-6 * direction)[:, 1].sum() for s in (1, -1))
    assert ((up - down) / 2e-6).item() == pytest.approx((batch.grad * direction).sum().item(), rel=1e-3)
    module.float()


def test_images_of_any_side_are_read(trained):
    """A uniform image gets the same logits whatever its side."""
    module = trained[1]
    grays = torch.tensor([0.1, 0.4, 0.9]).view(3, 1, 1, 1)
    expected = module(grays.expand(3, 1, 16, 16))
    for side in (8, 20, 64):
        assert torch.allclose(module(grays.expand(3, 1, side, side)), expected, atol=1e-5)


def test_a_fit_without_requirement_has_none():
    """Without a classifier in the configuration, none is loaded."""
    assert load_guide(Job(Node("fit", None), {}, Path(), Path()), None, "cpu") is None
