"""Convolutions as matrix products."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from benchmark.classifiers import convolution
from benchmark.classifiers.convolution import matmul_convolution, use_matrix_products


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_product_equals_conv2d(side, stride, size):
    """Forward pass and both gradients equal conv2d's up to rounding, for odd and even sizes."""
    torch.manual_seed(0)
    given = torch.randn(3, 4, size, size + 1).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(6, 4, side, side), torch.randn(6)
    results = []
    for convolve in (
        lambda x, w, b: nn.functional.conv2d(x, w, b, stride, side // 2),
        lambda x, w, b: matmul_convolution(x, w, b, stride),
    ):
        x, w, b = (t.clone().requires_grad_() for t in (given, weight, bias))
        out = convolve(x, w, b)
        (out * torch.arange(out.numel()).view(out.shape).sin()).sum().backward()
        results.append((out, x.grad, w.grad, b.grad))
    for actual, reference in zip(*results, strict=True):
        assert torch.allclose(actual, reference, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet10t", "densenet121", "efficientnet_b0", "convnext_atto"])
def test_a_converted_network_computes_the_same(name, monkeypatch):
    """Output, gradients and weight names of a whole network do not change, up to rounding."""
    monkeypatch.setattr(convolution, "WEIGHTS_PER_PIXEL", {1: 0, 9: 0})
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=3, in_chans=1, drop_rate=0.0).eval().double()
    images = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    before = network(images)
    before.square().sum().backward()
    gradients = [p.grad.clone() for p in network.parameters()]
    names = list(network.state_dict())
    network.zero_grad()
    use_matrix_products(network)
    after = network(images)
    after.square().sum().backward()
    assert any(type(m) is not nn.Conv2d and isinstance(m, nn.Conv2d) for m in network.modules())
    assert list(network.state_dict()) == names
    assert torch.allclose(before, after)
    assert all(torch.allclose(p.grad, g) for p, g in zip(network.parameters(), gradients, strict=True))


def test_convolutions_of_another_kind_stay():
    """Grouped, dilated, unpadded and 5x5 convolutions stay with the library."""
    kinds = [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 5, padding=2),
        nn.Conv2d(4, 4, 3, padding=1, stride=(1, 2)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    ]
    network = nn.Sequential(*kinds)
    use_matrix_products(network)
    assert all(type(m) is nn.Conv2d for m in network)


def test_many_pixels_go_to_the_library(monkeypatch):
    """The library computes 3x3 convolutions of many pixels with 256 channels; the product, those of few."""
    called = []
    monkeypatch.setattr(convolution, "matmul_convolution", lambda image, *_: called.append(image.shape[0]))
    network = nn.Conv2d(256, 256, 3, padding=1)
    narrow = nn.Conv2d(256, 256, 1)
    for conv in (network, narrow):
        use_matrix_products(nn.Sequential(conv))
    network(torch.zeros(128, 256, 4, 4))
    network(torch.zeros(4, 256, 4, 4))
    narrow(torch.zeros(32, 256, 4, 4))
    assert called == [4, 32]
