"""Adam on views of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.classifiers.optimizer import AdamW


def network(memory_format):
    torch.manual_seed(0)
    # no bias before the normalization: its gradient is rounding alone, of which Adam makes whole steps
    first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    layers = nn.Sequential(first, nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1), nn.Flatten(), nn.Linear(80, 2))
    return layers.to(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_is_torchs_adamw(memory_format):
    """Ten updates end where torch's plain AdamW ends, with decay on weights alone, in either format."""
    ours, reference = network(memory_format), network(torch.contiguous_format)
    weights = [p for p in reference.parameters() if p.ndim > 1]
    others = [p for p in reference.parameters() if p.ndim <= 1]
    plain = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}], foreach=False
    )
    adam = AdamW(ours, 0.3)
    for step in range(10):
        images = torch.randn(6, 3, 4, 4)
        rate = 0.01 / (step + 1)
        plain.zero_grad()
        reference(images).square().sum().backward()
        for group in plain.param_groups:
            group["lr"] = rate
        plain.step()
        ours(images.contiguous(memory_format=memory_format)).square().sum().backward()
        adam.step(rate)
    for a, b in zip(ours.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_gradients_in_another_order_are_put_in_order():
    """A gradient that lies in memory as (D, C, H, W) updates a channels_last weight rightly."""
    a, b = (nn.Conv2d(2, 3, 3, bias=False).to(memory_format=torch.channels_last) for _ in range(2))
    b.load_state_dict(a.state_dict())
    gradient = torch.randn(3, 2, 3, 3)
    a.weight.grad = gradient.clone()
    b.weight.grad = gradient.contiguous(memory_format=torch.channels_last)
    for conv in (a, b):
        AdamW(conv, 0.0).step(0.1)
    assert torch.equal(a.weight, b.weight)


def test_frozen_weights_stay():
    """What needs no gradient is not touched, not even by decay."""
    layers = network(torch.channels_last)
    layers[0].requires_grad_(False)
    before = layers[0].weight.clone()
    adam = AdamW(layers, 0.5)
    layers(torch.randn(6, 3, 4, 4)).sum().backward()
    adam.step(0.1)
    assert torch.equal(layers[0].weight, before)
