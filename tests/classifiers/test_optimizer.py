"""The optimizer of a training."""

from __future__ import annotations

import torch

from benchmark.classifiers.config import TrainingConfig
from benchmark.classifiers.train import Training
from benchmark.tasks.classifier import Budget, ClassifierConfig
from support.samples import blobs

RECIPE = ClassifierConfig(
    name="tiny",
    timm="resnet10t",
    timm_kwargs={"channels": [8, 8, 16, 16]},
    weight_decay=0.3,
    augmentation="none",
)


def training(tmp_path) -> Training:
    images = blobs({"a": 8, "b": 8})
    config = TrainingConfig(RECIPE, Budget(length=9, batch_size=4), "none", 0, "cpu", "float32", tmp_path)
    return Training(images, images, config)


def test_is_adamw_with_decay_on_weights_only(tmp_path):
    """Ten updates with changing rates equal torch's AdamW without decay of biases and norms."""
    run = training(tmp_path)
    trained = list(run.network.parameters())
    reference = [p.detach().clone().contiguous().requires_grad_() for p in trained]
    plain = torch.optim.AdamW(
        [
            {"params": [p for p in reference if p.ndim > 1], "weight_decay": 0.3},
            {"params": [p for p in reference if p.ndim <= 1], "weight_decay": 0.0},
        ],
        foreach=False,
    )
    for step in range(10):
        for a, b in zip(trained, reference, strict=True):
            gradient = torch.randn(b.shape)
            for p in (a, b):  # autograd puts it in the memory order of a channels_last weight
                (p * gradient).sum().backward()
        rate = 0.01 / (step + 1)
        for group in plain.param_groups:
            group["lr"] = rate
        plain.step()
        plain.zero_grad()
        run.step(rate)
    assert all(p.grad is None for p in trained)
    for a, b in zip(trained, reference, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_frozen_weights_stay(tmp_path):
    """Parameters without a gradient do not change, not even by decay."""
    first = RECIPE.model_copy(update={"trained": 1})
    images = blobs({"a": 8, "b": 8})
    config = TrainingConfig(first, Budget(length=9, batch_size=4), "none", 0, "cpu", "float32", tmp_path)
    run = Training(images, images, config)
    before = {k: v.detach().clone() for k, v in run.network.named_parameters()}
    run.update(0)
    run.step(0.1)
    changed = {k for k, v in run.network.named_parameters() if not torch.equal(v, before[k])}
    assert changed == {"last.weight", "last.bias"}


def test_every_trained_parameter_is_in_one_group(tmp_path):
    """Each parameter is in exactly one group."""
    run = training(tmp_path)
    grouped = [p for group in run.optimizer.param_groups for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(run.network.parameters()))
