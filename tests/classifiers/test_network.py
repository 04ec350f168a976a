"""Architectures of the papers: heads, frozen layers and initial weights."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from benchmark.classifiers import network, weights
from benchmark.classifiers.network import build
from benchmark.errors import ClassifierError, UnknownNameError
from benchmark.tasks.classifier import ClassifierConfig, Weights
from benchmark.utils.hashing import sha256_file
from support.samples import ROOT

PAGE = (ROOT / "docs" / "classifiers.md").read_text()
RECIPES = {r["name"]: r for r in yaml.safe_load((ROOT / "examples" / "classifiers.yaml").read_text())}
TINY = ClassifierConfig(name="tiny", timm="resnet10t", timm_kwargs={"channels": [8, 8, 16, 16]}, dropout=0.1)
SIGMOID = TINY.model_copy(update={"head": "sigmoid"})


def classifier_of(name: str) -> ClassifierConfig:
    """Return a recipe of examples/classifiers.yaml, without frozen layers, which need weights."""
    return ClassifierConfig(**{**RECIPES[name], "weights": {"kind": "none"}, "trained": "all"})


def densenet(growth: int, blocks: tuple[int, ...], first: int) -> int:
    """Return the parameter count of DenseNet-BC (Huang et al.

    2017, section 3), one channel, no last layer.
    """
    channels, count = first, 49 * first + 2 * first
    for b, layers in enumerate(blocks):
        for _ in range(layers):
            count += 2 * channels + channels * 4 * growth + 2 * 4 * growth + 9 * 4 * growth * growth
            channels += growth
        if b < len(blocks) - 1:
            count += 2 * channels + channels * (channels // 2)
            channels //= 2
    return count + 2 * channels


def changed(published: int, first: int, features: int, outputs: int) -> int:
    """Convert a published count (3 channels, 1000 classes) to one channel and other outputs."""
    return published - 2 * first - (1000 - outputs) * (features + 1)


# name: classes, published or computed number of parameters, sufficient image side
KNOWN = {
    "resnet50": (5, changed(25_557_032, 64 * 49, 2048, 5), 32),
    "efficientnet_b0": (5, changed(5_288_548, 32 * 9, 1280, 5), 32),
    "efficientnet_b1": (5, changed(7_794_184, 32 * 9, 1280, 5), 32),
    "convnext_t": (5, changed(28_589_128, 96 * 16, 768, 5), 32),
    "convnext_s": (5, changed(50_223_688, 96 * 16, 768, 5), 32),
    "densenet121": (2, changed(7_978_856, 64 * 49, 1024, 2), 32),
    "densenet161_k32": (2, densenet(32, (6, 12, 36, 24), 64) + 1473 * 2, 32),
    "inception_resnet_v2": (2, changed(55_843_464, 32 * 9, 1536, 2), 80),
    "chexnet": (2, changed(7_978_856, 64 * 49, 1024, 1), 32),
    "densenet121_multilabel": (15, changed(7_978_856, 64 * 49, 1024, 15), 32),
    "pocovid_net": (3, 14_714_688 - 2 * 64 * 9 + 513 * 64 + 128 + 65 * 3, 32),
    "resnet10_narrow": (5, 1_263_885, 32),
}


def test_every_recipe_of_the_page_is_checked():
    """This file counts every recipe of the page, and the page's table has the counts."""
    assert set(RECIPES) == set(KNOWN)
    for name, (_, count, _) in KNOWN.items():
        assert f"| `{name}` | {count:,}" in PAGE


def test_densenet_formula_gives_the_published_count():
    """DenseNet121 has 7,978,856 parameters for three channels and 1000 classes."""
    assert densenet(32, (6, 12, 24, 16), 64) + 2 * 64 * 49 + 1025 * 1000 == 7_978_856


@pytest.mark.parametrize("name", KNOWN)
def test_recipes_of_the_papers(name):
    """A recipe has the known parameter count and finite (B, K) logits, and two steps change every tensor.

    One step is not enough: timm initializes residual branches to zero, which hides their inner layers.
    """
    classes, count, side = KNOWN[name]
    torch.manual_seed(0)
    built = build(classifier_of(name), classes, multilabel=classes == 15).train()
    assert network.parameter_counts(built) == {"total": count, "trained": count}
    before = {k: p.detach().clone() for k, p in built.named_parameters()}
    optimizer = torch.optim.Adam(built.parameters(), lr=1e-3)
    for _ in range(2):
        output = built(torch.rand(4, 1, side, side))
        assert output.shape == (4, classes)
        assert torch.isfinite(output).all()
        optimizer.zero_grad()
        cross_entropy(output, torch.tensor([0, 1, 1, 0])).backward()
        optimizer.step()
    still = [k for k, p in built.named_parameters() if torch.equal(p, before[k])]
    assert still == []


def test_one_logit_is_two_columns():
    """One logit z becomes [0, z]: softmax and cross-entropy equal the binary ones, gradients included."""
    torch.manual_seed(1)
    built = build(SIGMOID, 2).eval()
    images, label = torch.rand(6, 1, 32, 32), torch.tensor([0, 1, 1, 0, 1, 0])
    z = built.last(built.body(images)).squeeze(1)
    output = torch.stack([torch.zeros(6), z], 1)
    assert torch.equal(built(images), output)
    assert torch.allclose(torch.softmax(output, 1)[:, 1], torch.sigmoid(z))
    weight = torch.tensor([0.5, 3.0])
    for given in (None, weight):
        two = cross_entropy(output, label, given, reduction="sum")
        one = binary_cross_entropy_with_logits(
            z, label.float(), None if given is None else given[label], reduction="sum"
        )
        assert torch.allclose(two, one)
        assert torch.allclose(*(torch.autograd.grad(g, z, retain_graph=True)[0] for g in (two, one)))


def test_sigmoid_head_gives_one_logit_per_finding():
    """14 findings give 14 independent logits; a single-label task of three classes is refused."""
    assert build(SIGMOID, 14, multilabel=True)(torch.rand(2, 1, 32, 32)).shape == (2, 14)
    assert build(SIGMOID, 2, multilabel=True)(torch.rand(2, 1, 32, 32)).abs().min() > 0
    with pytest.raises(ClassifierError, match="3 classes to choose from"):
        build(SIGMOID, 3)


@pytest.mark.parametrize("name", ["resnet10_narrow", "convnext_t", "pocovid_net"])
def test_penultimate_features_and_last_layer_give_the_logits(name):
    """In evaluation the last layer of the features gives the logits; POCOVID-Net has 64 features."""
    built = build(classifier_of(name), 3).eval()
    images = torch.rand(2, 1, 32, 32)
    features, last = built.body(images), built.last
    assert (
        features.shape == (2, last.in_features) == (2, {"pocovid_net": 64, "convnext_t": 768}.get(name, 256))
    )
    assert torch.allclose(features @ last.weight.T + last.bias, built(images), atol=1e-6)


def test_dropout_is_only_before_the_last_layer():
    """In training mode the features are deterministic; only the head applies dropout."""
    built = build(TINY.model_copy(update={"dropout": 0.5}), 3).train()
    images = torch.rand(8, 1, 32, 32)
    assert torch.equal(built.body(images), built.body(images))
    assert not torch.equal(built(images), built(images))


def timm_weights(folder: Path, name: str = "resnet10t", **options) -> tuple[Path, torch.nn.Module]:
    """Write a three-channel timm network with random weights and statistics; return its file and itself."""
    torch.manual_seed(3)
    donor = timm.create_model(name, pretrained=False, **options).eval()
    for key, value in donor.state_dict().items():
        if "running" in key:
            value.copy_(torch.rand_like(value) * 0.2 + (0.1 if key.endswith("var") else -0.1))
    path = folder / f"{name}.safetensors"
    save_file(donor.state_dict(), path)
    return path, donor


def from_file(classifier: ClassifierConfig, path: Path, **changes) -> ClassifierConfig:
    return classifier.model_copy(update={"weights": Weights(kind="file", path=path), **changes})


NARROW = {
    "resnet10t": {"channels": [8, 8, 16, 16]},
    "resnet50": {"layers": [1, 1, 1, 1]},
    "densenet121": {"growth_rate": 8, "block_config": [2, 2, 2, 2]},
    "convnext_tiny": {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]},
    "efficientnet_b0": {},
    "inception_resnet_v2": {},
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n.startswith("inception") else n for n in NARROW]
)
def test_three_channel_weights_are_summed_for_gray_images(tmp_path, name):
    """The features of a gray image equal those of its three-channel copy."""
    options = NARROW[name]
    path, donor = timm_weights(tmp_path, name, **options)
    gray = torch.rand(2, 1, 96, 96)
    with torch.inference_mode():
        expected = donor.forward_head(donor.forward_features(gray.expand(-1, 3, -1, -1)), pre_logits=True)
        built = build(from_file(TINY, path, timm=name, timm_kwargs=options), 3).eval()
        assert expected.std() > 0.01
        actual = built.body(gray)
        assert torch.allclose(actual, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.fixture(scope="module")
def pocovid(tmp_path_factory):
    """POCOVID-Net on a random three-channel VGG16 whose hidden layers are narrow, for speed."""
    path, donor = timm_weights(tmp_path_factory.mktemp("vgg"), "vgg16", mlp_ratio=1 / 4096)
    classifier = ClassifierConfig(**{**RECIPES["pocovid_net"], "weights": {"kind": "file", "path": path}})
    return build(classifier, 3), donor


def test_pocovid_net_trains_its_last_three_layers(pocovid):
    """One convolution and the head are trained: 2.4 M parameters against 12.4 M (Zhang et al.

    2023, 4.2.3).
    """
    built, donor = pocovid
    counts = network.parameter_counts(built)
    assert counts["trained"] == 512 * 512 * 9 + 512 + 512 * 64 + 64 + 2 * 64 + 64 * 3 + 3 == 2_392_963
    assert counts["total"] - counts["trained"] == 12_353_728
    trained = {k.rpartition(".")[0] for k, p in built.named_parameters() if p.requires_grad}
    assert trained == {"body.convolutions.features.28", "body.dense", "body.norm", "last"}
    last = built.body.convolutions.features[28].weight
    assert torch.equal(last, donor.features[28].weight)


def test_pocovid_net_pools_and_normalizes_before_the_relu(pocovid):
    """In evaluation the features are max(0, batch norm of the dense layer of the mean over the last map)."""
    built, donor = pocovid
    gray = torch.rand(2, 1, 64, 64)
    body = built.eval().body
    with torch.inference_mode():
        pooled = donor.features(gray.expand(-1, 3, -1, -1)).mean((2, 3))
        dense = pooled @ body.dense.weight.T + body.dense.bias
        norm = body.norm
        expected = (dense - norm.running_mean) / (
            norm.running_var + norm.eps
        ).sqrt() * norm.weight + norm.bias
        assert torch.allclose(built.body(gray), expected.clamp(min=0), rtol=1e-3, atol=1e-4)


def test_steps_change_only_the_trained_layers(tmp_path):
    """Frozen parameters and the statistics of frozen normalizations keep their bytes."""
    path, _ = timm_weights(tmp_path, channels=[8, 8, 16, 16])
    built = build(from_file(TINY, path, trained=3), 3).train()
    layers = {k.rpartition(".")[0] for k, p in built.named_parameters() if p.ndim > 1 and p.requires_grad}
    assert layers == {"body.layer4.0.conv2", "body.layer4.0.downsample.1", "last"}
    before = {k: v.clone() for k, v in built.state_dict().items()}
    optimizer = torch.optim.Adam(built.parameters(), lr=1e-2)
    for _ in range(2):
        cross_entropy(built(torch.rand(4, 1, 32, 32)), torch.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    moved = {k for k, v in built.state_dict().items() if not torch.equal(v, before[k])}
    statistics = {k for k in before if k.startswith(("body.layer4.0.bn2.", "body.layer4.0.downsample.2."))}
    parameters = {k for k, p in built.named_parameters() if p.requires_grad}
    assert moved == statistics | parameters
    assert [m.training for m in built.frozen] == [False] * len(built.frozen) != []


def test_more_trained_layers_than_exist_is_an_error(tmp_path):
    """The error reports the number of layers."""
    path, _ = timm_weights(tmp_path, channels=[8, 8, 16, 16])
    with pytest.raises(ClassifierError, match=r"trained.*is 500, the network has"):
        build(from_file(TINY, path, trained=500), 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trained": 3}, "would freeze random layers"),
        ({"trained": 0}, "greater than 0"),
        ({"head": "pocovid"}, "needs the convolutions of a vgg"),
        ({"timm_kwargs": {"drop_rate": 0.1}}, "timm_kwargs cannot set 'drop_rate'"),
        ({"timm": "resnet50.tv_in1k"}, "match pattern"),
        ({"weights": {"kind": "file"}}, "needs a path"),
        ({"weights": {"kind": "none", "tag": "tv_in1k"}}, "has no path, tag or sha256"),
        ({"weights": {"kind": "file", "path": "w", "tag": "x"}}, "a file has none"),
    ],
)
def test_contradictory_recipes_are_refused(changes, message):
    """The error gives the reason for each contradiction."""
    with pytest.raises(ValidationError, match=message):
        ClassifierConfig(**{**TINY.model_dump(), **changes})


def test_unknown_architecture_gets_a_did_you_mean():
    """For 'resnet10tt' the error suggests timm's names; an unknown argument is reported too."""
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet"):
        build(TINY.model_copy(update={"timm": "resnet10tt"}), 3)
    with pytest.raises(ClassifierError, match=r"timm_kwargs.*widths"):
        build(TINY.model_copy(update={"timm_kwargs": {"widths": 3}}), 3)


def test_a_saved_network_loads_with_the_same_bytes(tmp_path):
    """A network saved in any memory layout loads with the same bytes; a file of another recipe is refused."""
    built = build(TINY, 3).to(memory_format=torch.channels_last)
    network.save(built, tmp_path / "kept.safetensors")
    again = network.load(TINY, 3, tmp_path / "kept.safetensors")
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in built.state_dict().items())
    with pytest.raises(ClassifierError, match=r"kept\.safetensors"):
        network.load(TINY, 4, tmp_path / "kept.safetensors")
    with pytest.raises(ClassifierError, match=r"absent\.safetensors"):
        network.load(TINY, 3, tmp_path / "absent.safetensors")


def test_a_saved_network_loads_without_its_initial_weights(tmp_path):
    """Frozen layers load from the saved file, and stay frozen, after the initial weights are deleted."""
    path, _ = timm_weights(tmp_path, channels=[8, 8, 16, 16])
    classifier = from_file(TINY, path, trained=3)
    built = build(classifier, 3)
    network.save(built, tmp_path / "kept.safetensors")
    path.unlink()
    again = network.load(classifier, 3, tmp_path / "kept.safetensors")
    assert network.parameter_counts(again) == network.parameter_counts(built)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in built.state_dict().items())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("prefix", r"Missing key.*conv1\.0\.weight"), ("left over", r"Unexpected key.*odd\.weight"),
        ("shape", r"layer1\.0\.conv1\.weight.*\[4, 64, 3, 3\].*\[8, 64"), ("garbage", "is not safetensors"),
        ("pickle", "is not a .safetensors"), ("absent", "is missing"), ("altered", "has SHA-256"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path, fault, message):
    """A missing, surplus, misshaped or altered tensor is named, and nothing is loaded."""
    path, _ = timm_weights(tmp_path, channels=[8, 8, 16, 16])
    state, classifier = load_file(path), from_file(TINY, path)
    if fault == "prefix":
        save_file({f"module.{k}": v for k, v in state.items()}, path)
    elif fault == "left over":
        save_file({**state, "odd.weight": torch.zeros(1)}, path)
    elif fault == "shape":
        key = "layer1.0.conv1.weight"
        save_file({**state, key: state[key][:4].contiguous()}, path)
    elif fault == "garbage":
        path.write_bytes(b"garbage")
    elif fault == "pickle":
        classifier = from_file(TINY, path.rename(tmp_path / "w.pth"))
    elif fault == "absent":
        path.unlink()
    else:
        classifier = weights.locate_weights(classifier)
        save_file({**state, "fc.bias": state["fc.bias"] + 1}, path)
    with pytest.raises(ClassifierError, match=message):
        build(classifier, 3)


def test_weights_from_a_file_are_loaded(tmp_path):
    """All layers but the last equal the file's bit by bit, whether or not the file has a last layer."""
    path, donor = timm_weights(tmp_path, channels=[8, 8, 16, 16])
    built = build(from_file(TINY, path), 3).state_dict()
    for key, value in donor.state_dict().items():
        if not key.startswith(("fc.", "conv1.0.")):
            assert torch.equal(built[f"body.{key}"], value)
    headless = {k: v for k, v in donor.state_dict().items() if not k.startswith("fc.")}
    save_file(headless, tmp_path / "headless.safetensors")
    again = build(from_file(TINY, tmp_path / "headless.safetensors"), 3).state_dict()
    assert torch.equal(again["body.conv1.0.weight"], headless["conv1.0.weight"].sum(1, keepdim=True))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, with the network disabled."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "hub"


def put(cache: Path, hub_id: str, file: Path) -> Path:
    """Place a file in the cache as the hub's client does."""
    model = cache / f"models--{hub_id.replace('/', '--')}"
    for folder in ("refs", "blobs", "snapshots/abc"):
        (model / folder).mkdir(parents=True)
    (model / "refs" / "main").write_text("abc")
    file.rename(model / "blobs" / "content")
    (model / "snapshots" / "abc" / "model.safetensors").symlink_to("../../blobs/content")
    return model / "blobs" / "content"


IMAGENET = ClassifierConfig(name="tiny", timm="resnet10t", weights=Weights(kind="imagenet"))


def test_imagenet_weights_come_from_the_cache_and_are_named(cache, tmp_path):
    """The recipe records timm's default tag and the file's hash, without network access."""
    path, donor = timm_weights(tmp_path)
    blob = put(cache, "timm/resnet10t.c3_in1k", path)
    located = weights.locate_weights(IMAGENET)
    assert located.weights.model_dump() == {"kind": "imagenet", "tag": "c3_in1k", "sha256": sha256_file(blob)}
    assert weights.locate_weights(located) == located
    for classifier in (IMAGENET, located):
        state = build(classifier, 3).state_dict()
        assert torch.equal(state["body.layer4.0.conv2.weight"], donor.state_dict()["layer4.0.conv2.weight"])


def test_unavailable_imagenet_weights_end_the_run_at_once(cache, monkeypatch):
    """Without an answer from the hub, the error names the weights and the remedy within seconds."""
    began = time.monotonic()
    with pytest.raises(
        ClassifierError, match=r"resnet10t\.c3_in1k.*HF_HUB_OFFLINE is set\n.*--weights FOLDER"
    ):
        weights.locate_weights(IMAGENET)
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def head(url: str, timeout: float) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_session", lambda: SimpleNamespace(head=head))
    with pytest.raises(ClassifierError, match="Name or service not known"):
        weights.locate_weights(IMAGENET)
    assert time.monotonic() - began < 5
    assert not os.path.exists(cache)


def test_an_unknown_timm_tag_is_reported(cache):
    """The error suggests a tag; an architecture without any weights is reported too."""
    odd = IMAGENET.model_copy(update={"weights": Weights(kind="imagenet", tag="c3_in2k")})
    with pytest.raises(UnknownNameError, match="Did you mean 'c3_in1k'"):
        weights.locate_weights(odd)
    with pytest.raises(ClassifierError, match="timm has no pretrained weights of 'resnet50t'"):
        weights.locate_weights(IMAGENET.model_copy(update={"timm": "resnet50t"}))
