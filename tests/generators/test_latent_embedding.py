"""Embedded images: the encoder, and the labels, sources and patients of the real images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import TaskError
from benchmark.generators import latent_embedding
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.tasks.parsing import parse
from support.fit_context import FakeContext
from support.samples import blobs

CLASSES = ("a", "b")
TRAIN = replace(
    blobs({"a": 6, "b": 6}, per_patient=2),
    reported_labels=np.array([[1, k % 2] for k in range(6)] + [[0, 1]] * 6, np.int8),
)


def fitted(folder: Path, train: ImageSet = TRAIN, **changes: object) -> latent_embedding.LatentEmbedding:
    """Return a generator fitted in a second."""
    generator = latent_embedding.Generator(latent_embedding.Params(**(latent_embedding.tiny() | changes)))
    generator.fit(train, FakeContext(folder, classes=CLASSES))
    return generator


def test_a_sample_has_labels_source_and_patient_of_its_real_image(tmp_path: Path) -> None:
    """Every real image of the class is drawn once, and the image is that of its code."""
    generator = fitted(tmp_path)
    samples = generator.sample(SampleRequest.of_class(0, 0, 6, CLASSES, 16), SampleContext())
    places = [TRAIN.image_id.tolist().index(name) for name in samples.source_id]
    assert sorted(places) == list(range(6))
    np.testing.assert_array_equal(samples.labels, TRAIN.reported_labels[places])
    assert samples.patient_id.tolist() == TRAIN.patient_id[places].tolist()
    with torch.no_grad():
        pixels = torch.from_numpy(TRAIN.image[places]).float().div(255).unsqueeze(1)
        images = generator.decode(generator.reused_critic(pixels), torch.zeros(6), torch.Generator())
    np.testing.assert_allclose(samples.image, images[:, 0].clamp(0, 1), atol=1e-5)


def test_the_encoder_finds_the_direction_of_codes(tmp_path: Path) -> None:
    """Its error on codes that it has not seen falls below their variance, 1."""
    generator = fitted(tmp_path, blobs({"a": 200, "b": 200}), retraining_steps=200, retraining_batch=16)
    codes = generator.model.latents(64, torch.Generator().manual_seed(9))
    with torch.no_grad():
        found = generator.reused_critic(generator.decode(codes, torch.zeros(64), torch.Generator()))
    assert (found - codes).square().mean() < 0.9
    assert torch.nn.functional.cosine_similarity(found, codes).mean() > 0.35


def test_a_gan_without_its_critic_is_refused() -> None:
    """A StyleGAN does not retain the critic that becomes the encoder."""
    with pytest.raises(TaskError, match="params: model: Input should be 'pggan', got 'stylegan'"):
        parse(latent_embedding.Params, {"model": "stylegan"}, "params")
