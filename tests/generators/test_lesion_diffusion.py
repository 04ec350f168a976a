"""Lesion-preserving diffusion: its conditions, loss, lesion-free twins, inpainting, and bad requests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from benchmark.errors import GeneratorError
from benchmark.generators import lesion_diffusion as plugin
from benchmark.generators._lesion_conditions import DROPPED, Encoder
from benchmark.generators._lesion_loss import PerceptualError, inside, structural_error
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from support.fit_context import FakeContext
from support.samples import blobs

SIZE, CLASSES, COUNT = 16, ("a", "b", "c"), 6
HYBRIDS = [
    ("label",), ("mask",), ("text",), ("label", "mask"), ("label", "text"), ("mask", "text"),
    ("label", "mask", "text"),
]  # fmt: skip
TEXTS = np.array(["No acute finding.", "Small left effusion.", "Large right effusion."])


def images() -> ImageSet:
    """Return blobs of three classes with a mask of a quarter of the image, but the first class."""
    every = blobs({"a": 8, "b": 6, "c": 6}, size=SIZE)
    mask = np.zeros(every.image.shape, np.uint8)
    mask[every.label > 0, 4:12, 4:12] = 255
    return replace(every, mask=mask, prompt=TEXTS[every.label])


def request(kinds: tuple[str, ...], **changes: Any) -> SampleRequest:
    """Return a request for two images of every class with the columns of these conditions."""
    label = np.array([0, 0, 1, 1, 2, 2])
    mask = np.zeros((COUNT, SIZE, SIZE), np.uint8)
    mask[2:, :8, :8] = 255
    columns: dict[str, Any] = {"mask": mask} if "mask" in kinds else {}
    columns |= {"prompt": TEXTS[label]} if "text" in kinds else {}
    return SampleRequest(label, CLASSES, SIZE, **{**columns, **changes})


def fitted(kinds: tuple[str, ...], folder: Path, **changes: Any) -> Any:
    """Return a model of seconds with these conditions."""
    params = plugin.Params(**{**plugin.tiny(), "conditions": kinds, **changes})
    generator = plugin.Generator(params)
    generator.fit(images(), FakeContext(folder))
    return generator


@pytest.mark.parametrize("kinds", HYBRIDS, ids="+".join)
def test_every_row_of_table_1_reads_its_conditions(kinds: tuple[str, ...], tmp_path: Path) -> None:
    """Each hybrid declares its columns, draws them, and draws the same bytes after saving."""
    generator = fitted(kinds, tmp_path)
    columns = {"label": "label", "mask": "mask", "text": "prompt"}
    assert plugin.conditions_of(generator.params) == {"label", *(columns[kind] for kind in kinds)}
    drawn = generator.sample(request(kinds), SampleContext(seed=1)).image
    assert drawn.shape == (COUNT, SIZE, SIZE)
    generator.save(tmp_path)
    loaded = plugin.Generator.load(tmp_path, SampleContext())
    assert np.array_equal(loaded.sample(request(kinds), SampleContext(seed=1)).image, drawn)


@pytest.mark.parametrize("kind", ["label", "mask", "text"])
def test_each_condition_reaches_the_prediction(kind: str, tmp_path: Path) -> None:
    """With the same noise another finding, mask or sentence gives other images."""
    generator = fitted((kind,), tmp_path, steps=20, learning_rate=0.01)
    wanted = request((kind,))
    drawn = generator.sample(wanted, SampleContext(seed=1)).image
    order = np.array([2, 3, 4, 5, 0, 1])
    other = generator.sample(wanted.select(order), SampleContext(seed=1)).image
    assert not np.array_equal(drawn, other)


def test_masks_have_the_channel_of_their_finding() -> None:
    """A mask lies in the channel of each of its findings; with one channel several findings join."""
    findings = np.array([[True, False], [True, True]])
    planes = np.zeros((2, 2, 4, 4), np.uint8)
    planes[:, 0, 0], planes[1, 1, 3] = 255, 255
    by_class, joined = (Encoder(("mask",), ("a", "b"), each, None, 8)(findings, planes, None).mask
                        for each in (True, False))  # fmt: skip
    assert by_class.sum((2, 3)).tolist() == [[4, 0], [4, 4]]
    assert joined.sum((2, 3)).tolist() == [[4], [8]]
    union = Encoder(("mask",), ("a", "b"), True, None, 8)(findings, planes.max(1), None).mask
    assert union.sum((2, 3)).tolist() == [[4, 0], [8, 8]]


def test_dropped_conditions_are_none_of_the_given_ones(tmp_path: Path) -> None:
    """A dropped finding is all zeros, a dropped mask differs from an empty one, a dropped text is empty."""
    generator = fitted(("label", "mask", "text"), tmp_path)
    given = generator.requested(request(("label", "mask", "text")))
    drop = torch.tensor([True] + [False] * 5)
    free = given.without(drop, generator.empty_text)
    assert free.findings[0].sum() == 0
    assert free.findings[1].sum() == 1
    assert free.mask[0].unique().tolist() == [DROPPED]
    assert torch.equal(free.mask[1:], given.mask[1:])
    assert torch.equal(free.tokens[0], generator.empty_text[0])


def test_guidance_of_one_is_the_conditional_model(tmp_path: Path) -> None:
    """Guidance adds a multiple of conditional minus free: 1 gives the conditional prediction, 0 the free."""
    generator = fitted(("label",), tmp_path, condition_dropout=0.5)
    given = generator.requested(request(("label",)))
    x, time = torch.randn(COUNT, 1, SIZE, SIZE), torch.tensor(500)
    with torch.no_grad():
        conditional = generator.predict(generator.network, x, time, given)
        free = generator.predict(
            generator.network,
            x,
            time,
            given.without(torch.ones(COUNT, dtype=torch.bool), generator.empty_text),
        )
        for scale in (1.0, 0.0, 3.0):
            generator.params = generator.params.model_copy(update={"guidance": scale})
            expected = free + scale * (conditional - free)
            assert torch.allclose(generator._guided(x, time, given), expected, atol=1e-5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_implied_clean_image_is_exact(prediction: str, tmp_path: Path) -> None:
    """An exact prediction of noise, velocity or image implies the clean image."""
    generator = plugin.Generator(plugin.Params(**{**plugin.tiny(), "prediction": prediction}))
    clean, noise = torch.rand(5, 1, 4, 4) * 2 - 1, torch.randn(5, 1, 4, 4)
    share = torch.linspace(0.05, 0.95, 5)
    signal, rest = (part.sqrt()[:, None, None, None] for part in (share, 1 - share))
    noised = signal * clean + rest * noise
    exact = {"epsilon": noise, "v_prediction": signal * noise - rest * clean, "sample": clean}[prediction]
    assert torch.allclose(generator.clean_image(exact, noised, share), clean, atol=1e-5)


def test_terms_of_the_loss_count_the_mask_alone() -> None:
    """The three terms by hand: a unit error inside counts 1, outside 0; equal images have no error."""
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:8, 4:8] = 1
    clean = torch.rand(2, 1, 16, 16) * 2 - 1
    assert inside(mask + 3 * (1 - mask), mask).tolist() == [1.0, 1.0]
    assert inside(clean.square(), torch.zeros_like(mask)).tolist() == [0.0, 0.0]
    assert structural_error(clean, clean, mask).abs().max() < 1e-5
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU())
    perceptual = PerceptualError(network.requires_grad_(False))
    outside = torch.where(mask > 0, clean, -clean)
    assert perceptual(outside, clean, mask).abs().max() < 1e-10
    assert (perceptual(-clean, clean, mask) > 0).all()


def test_structural_error_is_that_of_scikit_image_definition() -> None:
    """The error at a pixel is 1 - SSIM of its 7 x 7 window, equation 13 of Wang et al., by hand."""
    a, b = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    mask = torch.zeros(1, 1, 16, 16)
    mask[0, 0, 8, 8] = 1
    x, y = (image[0, 0, 5:12, 5:12].double() for image in (a, b))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    ssim = (2 * x.mean() * y.mean() + c1) * (2 * covariance + c2)
    ssim /= (x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var(correction=0) + y.var(correction=0) + c2)
    assert structural_error(a, b, mask).item() == pytest.approx(1 - ssim.item(), abs=1e-4)


def test_inpainting_changes_the_region_alone(tmp_path: Path) -> None:
    """Outside the region every pixel stays; a lesion-free condition there makes a counterfactual pair."""
    generator = fitted(("label", "mask"), tmp_path)
    given = generator.requested(request(("label", "mask")))
    own, region = images().image[:COUNT], np.zeros((COUNT, SIZE, SIZE), np.uint8)
    region[:, 2:9, 3:11] = 255
    inserted = generator.inpaint(own, region, given, SampleContext(seed=3))
    removed = generator.inpaint(own, region, generator.lesion_free(given), SampleContext(seed=3))
    for drawn in (inserted, removed):
        assert np.array_equal(drawn[region == 0], own[region == 0])
        assert (drawn[region > 0] != own[region > 0]).any()
    assert (inserted != removed).any()
    with pytest.raises(GeneratorError, match="expected \\(6, 16, 16\\)"):
        generator.inpaint(own, region[:, :8], given, SampleContext())


def test_a_twin_has_the_noise_without_the_lesion(tmp_path: Path) -> None:
    """The twin of a normal request is the image itself; that of a lesion differs."""
    generator = fitted(("label", "mask"), tmp_path, steps=20, learning_rate=0.01)
    wanted, context = request(("label", "mask")), SampleContext(seed=2)
    drawn, twins = generator.sample(wanted, context).image, generator.twins(wanted, context)
    assert np.array_equal(drawn[:2], twins[:2])
    assert (drawn[2:] != twins[2:]).any()


def test_words_never_seen_are_counted(tmp_path: Path) -> None:
    """A prompt in other words is drawn, and its share is noted."""
    generator = fitted(("text",), tmp_path)
    prompts = np.array([*TEXTS, *TEXTS[:2], "Tension hydropneumothorax."])
    card = generator.sample(request(("text",), prompt=prompts), SampleContext()).card
    assert list(card["shares"].values()) == [[1, COUNT]]


@pytest.mark.parametrize(
    ("kinds", "change", "words"),
    [
        (("mask",), {"mask": np.zeros((COUNT, 8, 8), np.uint8)}, "has shape \\(6, 8, 8\\)"),
        (("mask",), {"mask": np.zeros((COUNT, SIZE, SIZE), np.uint8)}, "of image 2 is empty"),
        (("mask",), {"mask": np.full((COUNT, SIZE, SIZE), 255, np.uint8)}, "of image 0 covers more"),
        (("mask",), {"mask": None}, "needs mask"),
        (("label",), {"mask": np.zeros((COUNT, SIZE, SIZE), np.uint8)}, "was not trained with mask"),
        (("label",), {"prompt": TEXTS[[0, 0, 1, 1, 2, 2]]}, "was not trained with text"),
        (("label",), {"classes": ("a", "b", "mass")}, "cannot draw class 'mass'"),
    ],
)
def test_a_bad_request_is_refused(
    kinds: tuple[str, ...], change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A bad mask, a condition without training, a missing one and an unknown finding name the fault."""
    with pytest.raises(GeneratorError, match=words):
        fitted(kinds, tmp_path).sample(replace(request(kinds), **change), SampleContext())


def test_more_steps_than_times_are_refused(tmp_path: Path) -> None:
    """A sampler cannot have more steps than the diffusion has times, nor more than 50 by its parameter."""
    generator = fitted(("label",), tmp_path, noise_steps=20)
    with pytest.raises(GeneratorError, match="sampler_steps"):
        generator.sample(request(("label",)), SampleContext(sampler_steps=21))
    with pytest.raises(ValidationError):
        plugin.Params(denoising_steps=51)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mask": None}, "mask needs masks"),
        ({"mask": np.zeros((20, SIZE, SIZE), np.uint8)}, "every mask is empty"),
        ({"mask": np.full((20, SIZE, SIZE), 255, np.uint8)}, "covers 100%"),
        ({"prompt": None}, "text needs prompts"),
    ],
)
def test_training_images_without_a_condition_are_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Masks or prompts that the training images lack name the condition."""
    generator = plugin.Generator(plugin.Params(**{**plugin.tiny(), "conditions": ("mask", "text")}))
    with pytest.raises(GeneratorError, match=words):
        generator.fit(replace(images(), **change), FakeContext(tmp_path))


def test_without_masks_a_note_says_so(tmp_path: Path) -> None:
    """A label-conditioned model trains without masks, and notes that the lesion loss was left out."""
    context = FakeContext(tmp_path)
    plugin.Generator(plugin.Params(**plugin.tiny())).fit(replace(images(), mask=None), context)
    assert "without the lesion-preservation loss" in context.notes[0]


def test_the_perceptual_term_needs_a_classifier(tmp_path: Path) -> None:
    """With its weight the model requires the run's classifier, and refuses a run without one."""
    params = plugin.Params(**{**plugin.tiny(), "lesion_perceptual": 0.1})
    assert plugin.requires(params) == {"classifier"}
    with pytest.raises(GeneratorError, match="needs a classifier"):
        plugin.Generator(params).fit(images(), FakeContext(tmp_path))
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(3))
    network(torch.zeros(1, 1, SIZE, SIZE))
    plugin.Generator(params).fit(images(), FakeContext(tmp_path, classifier=network.requires_grad_(False)))


def test_a_pretrained_text_encoder_stays_frozen(tmp_path: Path) -> None:
    """A local folder of a CLIPTextModel gives the text encoder, whose weights are not saved again."""
    from transformers import CLIPTextConfig, CLIPTextModel

    from benchmark.generators._clip_tokenizer import clip_tokenizer

    base = tmp_path / "base"
    CLIPTextModel(CLIPTextConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                 num_attention_heads=2)).save_pretrained(base)  # fmt: skip
    clip_tokenizer().save_pretrained(base)
    params = plugin.Params(**{**plugin.tiny(), "conditions": ("text",), "text_encoder": base})
    assert [asset.folder for asset in plugin.assets(params)] == [base]
    generator = plugin.Generator(params)
    generator.fit(images(), FakeContext(tmp_path, assets={"text_encoder": base}))
    assert not any(name.startswith("text.") for name in generator.arrays())
    assert generator.sample(request(("text",)), SampleContext()).image.std() > 0
