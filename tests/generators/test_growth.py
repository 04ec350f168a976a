"""Progressive growing: sizes, lengths and blending."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from benchmark.errors import GeneratorError
from benchmark.generators import _growth as growing
from benchmark.generators import pggan, stylegan
from benchmark.generators._growth import Growth, Phase


def growth(size: int, **params: object) -> Growth:
    """Return the growth of StyleGAN to an image size."""
    generator = stylegan.StyleGAN(stylegan.Params(**params))
    generator.image_size = size
    return generator.growth


def test_growth_at_paper_size() -> None:
    """At 256 px, sizes 8 to 256 take a sixth of the steps each and blend in over their first half."""
    grown = [growth(256).at(step) for step in range(0, 37_500, 1250)]
    assert [level for level, _, _ in grown] == [k for k in range(1, 7) for _ in range(5)]
    blends = [round(blend, 2) for _, blend, _ in grown[5:10]]
    assert blends == pytest.approx([0, 0.4, 0.8, 1, 1], abs=0.01)
    assert all(blend == 1 for _, blend, _ in grown[:5])


def test_pggan_shows_the_published_number_of_images() -> None:
    """Segal et al. 2021, section 3.2: 9 sizes from 4 to 1024 px, 800,000 images to fade in, as many more."""
    generator = pggan.PGGAN(pggan.Params())
    generator.image_size = 1024
    grown = generator.growth
    assert grown.total * 16 == 800_000 * (9 + 8)
    assert [grown.size(level) for level in range(9)] == [4 << k for k in range(9)]
    assert grown.at(0) == Phase(0, 1.0, 0)
    assert grown.at(50_000 + 25_000 - 1) == Phase(1, 0.5, 24_999)
    assert grown.at(100_000).blend == 1


@pytest.mark.parametrize("size", [16, 32, 64, 96, 224])
def test_growth_ends_at_full_size(size: int) -> None:
    """Levels never fall, each begins with since = 0, and the last step is at full size without blending."""
    grown = growth(size, steps=97, final_share=0.4)
    phases = [grown.at(step) for step in range(97)]
    levels = [phase.level for phase in phases]
    assert grown.total == 97
    assert levels == sorted(levels)
    assert grown.size(levels[-1]) == size
    assert phases[-1].blend == 1
    for before, after in pairwise(phases):
        assert after.since == (before.since + 1 if after.level == before.level else 0)


@pytest.mark.parametrize(("size", "nearest"), [(100, 128), (26, 32), (3, 4), (250, 256), (72, 64)])
def test_a_size_that_doubling_cannot_reach_names_the_nearest(size: int, nearest: int) -> None:
    """Sizes that are not 4 to 7 times a power of two are refused."""
    with pytest.raises(GeneratorError, match=rf"(?s)is {size} px.*the nearest is {nearest}\."):
        growing.sides(size)


def test_real_images_are_blended_like_synthetic_ones() -> None:
    """At blend 0.25, a quarter is the averaged image at its size, the rest that of half its size."""
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    shrunk = growing.shrink(image, Growth(8, (1, 1), (0.0, 0.0)), Phase(1, 0.25, 0))
    block = (0 + 1 + 8 + 9) / 4
    assert shrunk[0, 0, 0, 0].item() == pytest.approx(0.25 * 0 + 0.75 * block)
    assert growing.shrink(image, Growth(8, (1, 1), (0.0, 0.0)), Phase(0, 1.0, 0)).shape == (1, 1, 4, 4)
