"""Training of the embedded extractor on small images."""

import json
import math

import numpy as np
import pytest
import torch

from benchmark.metrics.extractor import views
from benchmark.metrics.extractor.network import load_embedded
from benchmark.metrics.extractor.train import Example, ExtractorConfig, collect, embed, instance_loss, train
from benchmark.utils.hashing import sha256_file

SMALL = ExtractorConfig(pool=60, held_out=30, steps=4, batch=8)


def square(index: int) -> Example:
    """Return a bright square left or right, drawn at 32 or 64 pixels in turn."""
    rng = np.random.default_rng([index])
    side, left = 32 if index % 2 else 64, index % 3 == 0
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[side // 4 : side // 2, slice(0, side // 2) if left else slice(side // 2, side)] = 255
    image = np.where(mask > 0, 200, 60) + rng.normal(0, 20, mask.shape)
    return Example(image.clip(0, 255).astype(np.uint8), int(left), index % 2, index // 2 % 2, mask)


def test_training_writes_weights_that_load_with_their_card(tmp_path):
    """A few steps write safetensors and a card with the right hash and recipe."""
    steps = []
    card = train(square, tmp_path, config=SMALL, source="squares", progress=lambda k, n: steps.append((k, n)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    path = tmp_path / "phantom_cxr_v1.safetensors"
    assert json.loads(path.with_suffix(".json").read_text()) == card
    assert card["sha256"] == sha256_file(path)
    assert (card["config"]["steps"], card["source"]) == (4, "squares")
    net = load_embedded("phantom_cxr_v1", tmp_path).eval()
    embeddings = embed(net, collect(square, range(60)).image)
    assert embeddings.square().mean().item() == pytest.approx(1.0, rel=1e-3)


def test_same_seed_same_weights(tmp_path):
    """Two trainings with one seed give the same bytes; another seed gives other weights."""
    hashes = [
        train(square, tmp_path / str(k), config=config)["sha256"]
        for k, config in enumerate((SMALL, SMALL, ExtractorConfig(**{**SMALL.__dict__, "seed": 1})))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_instance_loss_matches_hand_arithmetic():
    """Two orthogonal pairs at temperature 1 give -log(e / (e + 1 + 1)) for every row."""
    features = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0]])
    assert instance_loss(features, 1.0).item() == pytest.approx(-math.log(math.e / (math.e + 2)))


def test_collect_resizes_to_one_size():
    """32 and 64 pixels both become 64; the mask becomes its coverage of 4 x 4 fields."""
    pool = collect(square, range(4))
    assert pool.image.shape == (4, 64, 64)
    left = pool.coverage[0].reshape(4, 4)
    np.testing.assert_allclose(left, [[0] * 4, [1, 1, 0, 0], [0] * 4, [0] * 4])


def test_views_change_an_image_slightly_and_reproducibly():
    """The same generator state gives the same view. Range and shape stay; the image changes."""
    images = collect(square, range(6)).image
    for change in (views.augment, views.near_copy):
        a, b = (change(images, torch.Generator().manual_seed(1)) for _ in range(2))
        assert torch.equal(a, b)
        assert a.shape == images.shape
        assert 0 <= a.min() <= a.max() <= 255
        assert 0 < (a - images).abs().mean() < 60


def test_zero_limits_change_nothing():
    """Limits of zero return the image."""
    images = collect(square, range(2)).image
    torch.testing.assert_close(views.move(images, 0.0, 0.0, 0.0, None), images, atol=1e-3, rtol=0)
