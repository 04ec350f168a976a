"""The images of a reader study: as many as the papers say, balanced, and none twice."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmark.errors import SubmissionError
from benchmark.reporting.readers.protocols import PROTOCOLS
from benchmark.reporting.readers.study import make_study, needed

CLASSES = ("healthy", "fungal", "covid19", "bacterial", "viral")


def pool(name: str, count: int) -> dict[str, list[bytes]]:
    return {c: [f"{name} {c} {k}".encode() for k in range(count)] for c in CLASSES}


def study(protocol: str, models: int = 5, per_class: int | None = None, seed: int = 0):
    count, of_real = needed(PROTOCOLS[protocol], len(CLASSES), per_class)
    synthetic = {f"m{k}": pool(f"m{k}", count) for k in range(models)}
    return make_study(PROTOCOLS[protocol], synthetic, pool("real", of_real), per_class, seed)


def test_scores_are_those_of_schaudt():
    """25 images of five classes and five models: 625 (section 4.2), none of them real."""
    images = study("scores").images
    assert len(images) == 625
    assert set(Counter((i.model, i.of_class) for i in images).values()) == {25}
    assert "real" not in {i.model for i in images}


def test_fakes_are_32_of_each_model():
    """Zhang et al. 2023, Table 4: 32 of each of three models, with 32 real ones; classes differ by one."""
    images = study("fake", models=3).images
    assert Counter(i.model for i in images) == {"m0": 32, "m1": 32, "m2": 32, "real": 32}
    by_class = Counter((i.model, i.of_class) for i in images)
    assert set(by_class.values()) == {6, 7}


def test_grids_and_pairs_are_those_of_segal():
    """Six grids of six, about half of them real; 20 pairs of a real and a synthetic image of one class."""
    grids = study("grids", models=2)
    assert [len(screen) for screen in grids.screens] == [6] * 6
    shares = [sum(i.model == "real" for i in study("grids", models=2, seed=s).images) / 36 for s in range(60)]
    assert sum(shares) / 60 == pytest.approx(0.5, abs=0.04)  # standard error 0.011
    pairs = study("pairs", models=2)
    assert len(pairs.screens) == 20
    for a, b in pairs.screens:
        first, second = pairs.images[a], pairs.images[b]
        assert {first.model == "real", second.model == "real"} == {True, False}
        assert first.of_class == second.of_class
    assert 4 <= sum(pairs.images[a].model == "real" for a, _ in pairs.screens) <= 16
    assert Counter(i.model for i in pairs.images) == {"real": 20, "m0": 10, "m1": 10}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_image_comes_twice_and_the_order_tells_nothing(protocol):
    """Names count the images in a drawn order; the same seed gives the same study, another one another."""
    own = study(protocol, models=3)
    assert len({i.png for i in own.images}) == len(own.images)
    assert [i.name for i in own.images] == [f"image-{k:04d}" for k in range(1, len(own.images) + 1)]
    models = [i.model for i in own.images]
    assert models != sorted(models)
    again, other = study(protocol, models=3), study(protocol, models=3, seed=1)
    assert [i.png for i in again.images] == [i.png for i in own.images]
    assert (again.screens, [i.png for i in other.images]) != (other.screens, [i.png for i in own.images])


def test_too_few_images_are_named():
    """The error says which model and class."""
    with pytest.raises(SubmissionError, match="m0: has 3 images of class 'healthy', needs 25"):
        make_study(PROTOCOLS["scores"], {"m0": pool("m0", 3)}, {}, None, 0)
