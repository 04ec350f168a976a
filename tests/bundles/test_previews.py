"""The preview images of a bundle."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmark.bundles.previews import even_shares, preview_images
from benchmark.plugins.generator import SampleRequest, alternate
from support.samples import synthetic


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(0, 100))
def test_shares_are_as_even_as_there_are_images(available, most):
    """The shares sum to the requested total or to all images; groups with images left differ by at most
    one."""
    taken = even_shares(available, most)
    assert sum(taken) == min(most, sum(available))
    for count, own in zip(available, taken, strict=True):
        assert own <= count
        assert own == count or own >= max(taken) - 1


def test_images_come_back_pixel_by_pixel():
    """PNG is lossless; each image has its class and fold."""
    rng = np.random.default_rng(0)
    folds = []
    for _ in range(2):
        request = SampleRequest(alternate({"a": 3, "b": 1}, ("a", "b")), ("a", "b"), 8)
        folds.append(synthetic(rng.integers(0, 256, (4, 8, 8)).astype(np.uint8), request))
    table = preview_images(folds, most=6)
    assert table["class"].tolist() == ["a", "a", "b", "a", "a", "b"]
    assert table["fold"].tolist() == [0, 0, 0, 1, 1, 1]
    second = np.asarray(Image.open(io.BytesIO(table["image"][1])))
    assert (second == folds[0].image[np.flatnonzero(folds[0].label == 0)[1]]).all()
