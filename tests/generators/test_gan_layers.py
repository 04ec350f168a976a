"""Layers of StyleGAN and PGGAN against hand arithmetic, plain operations and the published networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from benchmark.generators import _gan_layers as layers
from benchmark.generators.pggan import ProgressiveNetwork
from benchmark.generators.stylegan import StyleNetwork, adain

MAPS = [512, 512, 512, 512, 256, 128, 64, 32, 16]  # 4 to 1024 px


def random(seed: int = 0) -> torch.Generator:
    """Return a seeded torch generator."""
    return torch.Generator().manual_seed(seed)


def count(network: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in network.parameters())


def test_networks_have_the_published_number_of_parameters() -> None:
    """At 1024 px in color the counts are those of the published networks.

    StyleGAN's generator: 26,219,627 (printed in the README of NVlabs/stylegan; 26.2 M in Karras et al. 2019,
    section 2). Critic: 23,087,249 (printed for the critic of NVlabs' code). PGGAN's generator: 23,079,115
    (23.1 M in the same section), and 15 x 512 more, since pytorch_GAN_zoo, on which Segal et al. built, has a
    bias per map and position behind the code.
    """
    with torch.device("meta"):
        style = StyleNetwork(4, MAPS, 512, 8, classes=1, colors=3)
        progressive = ProgressiveNetwork(4, MAPS, 512, colors=3)
        critic = layers.Critic(4, MAPS, classes=1, blur=True, colors=3)
    assert count(style) == 26_219_627
    assert count(critic) == 23_087_249
    assert count(progressive) == 23_079_115 + 15 * 512


def test_one_color_removes_its_weights_alone() -> None:
    """Gray images save two of three weights of each color in every layer from and to images."""
    sizes = []
    for colors in (1, 3):
        with torch.device("meta"):
            critic = layers.Critic(4, MAPS, classes=1, blur=True, colors=colors)
        sizes.append(count(critic))
    assert sizes[1] - sizes[0] == 2 * sum(MAPS)


@pytest.mark.parametrize("blur", [False, True])
def test_enlarging_convolution_is_the_plain_one(blur: bool) -> None:
    """The strided convolution equals enlargement, 3 x 3 convolution and [1, 2, 1] filter, borders included.

    As in the published code, the kernel is that of the transposed convolution, mirrored.
    """
    layer = layers.Conv(3, 5, resample="up", blur=blur)
    nn.init.normal_(layer.bias, generator=random(1))
    x = torch.randn(2, 3, 6, 6, generator=random())
    plain = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight.flip(2, 3) * layer.scale, padding=1)
    if blur:
        plain = F.conv2d(plain, layer.blur_kernel, padding=1, groups=5)
    assert torch.allclose(layer(x), plain + layer.bias[:, None, None], atol=1e-5)


@pytest.mark.parametrize("blur", [False, True])
def test_shrinking_convolution_is_the_plain_one(blur: bool) -> None:
    """The strided convolution equals [1, 2, 1] filter, 3 x 3 convolution and averaging, borders included."""
    layer = layers.Conv(3, 5, resample="down", blur=blur)
    x = torch.randn(2, 3, 12, 12, generator=random())
    before = F.conv2d(x, layer.blur_kernel, padding=1, groups=3) if blur else x
    plain = F.avg_pool2d(F.conv2d(before, layer.weight * layer.scale, layer.bias, padding=1), 2)
    assert torch.allclose(layer(x), plain, atol=1e-5)


def test_filtered_enlargement_is_bilinear() -> None:
    """With a kernel of one weight the filtered enlargement is bilinear inside (Karras et al. 2019)."""
    layer = layers.Conv(1, 1, resample="up", blur=True)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 1, 1] = 1 / layer.scale
    x = torch.randn(1, 1, 8, 8, generator=random())
    bilinear = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(layer(x)[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1], atol=1e-6)


def test_minibatch_deviation_by_hand() -> None:
    """Groups of four: 1, 3, 5, 7 deviate by the root of 5; equal images by 0; the mean is over positions."""
    values = torch.tensor([1.0, 3, 5, 7, 2, 2, 2, 2]).reshape(8, 1, 1, 1)
    image = torch.cat([values, torch.zeros_like(values)], 3)  # the second position does not vary
    deviation = layers.minibatch_deviation(image)
    assert deviation.shape == (8, 1, 1, 2)
    assert torch.allclose(deviation[:4], torch.tensor(5**0.5 / 2), atol=1e-3)
    assert deviation[4:].max() < 1e-3


def test_a_batch_that_four_does_not_divide_is_one_group() -> None:
    """1, 2 and 3 deviate by the root of 2/3."""
    deviation = layers.minibatch_deviation(torch.tensor([1.0, 2, 3]).reshape(3, 1, 1, 1))
    assert torch.allclose(deviation, torch.tensor((2 / 3) ** 0.5), atol=1e-4)


def test_adain_by_hand() -> None:
    """Pixels 1 and 3 have mean 2 and deviation 1: scale 5 and shift 7 make them 2 and 12."""
    out = adain(torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[5.0]]), torch.tensor([[7.0]]))
    assert torch.allclose(out, torch.tensor([[[[2.0, 12.0]]]]), atol=1e-4)


def test_pixel_norm_by_hand() -> None:
    """Maps 3 and 4 of a position have a mean square of 12.5, and of 1 afterwards."""
    out = layers.unit_length(torch.tensor([[[[3.0]], [[4.0]]]]))
    assert torch.allclose(out.flatten(), torch.tensor([3.0, 4.0]) / 12.5**0.5)


def test_equalized_layers_preserve_the_variance() -> None:
    """Unit inputs give outputs of variance gain squared, and a slow layer starts as a fast one does."""
    for pace in (1.0, 0.01):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layer = layers.Linear(400, 300, gain=layers.GAIN, pace=pace)
        out = layer(torch.randn(200, 400, generator=random(1)))
        assert out.var().item() == pytest.approx(2.0, rel=0.05)


def test_scores_are_linear_in_the_features() -> None:
    """The score of a critic without classes is its last layer on its features."""
    critic = layers.Critic(4, [6, 5], classes=1, blur=False)
    images = torch.randn(4, 1, 8, 8, generator=random())
    scores = critic(images, torch.zeros(4, dtype=torch.long), 1, 0.5)
    assert torch.allclose(scores, critic.score(critic.features(images, 1, 0.5)).squeeze(1))
