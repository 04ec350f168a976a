"""The extractors: names, weights, determinism and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import MetricError, UnknownNameError
from benchmark.metrics.extractor import features as module
from benchmark.metrics.extractor.features import INCEPTION_FILE, features, inception_path, resolve
from benchmark.metrics.extractor.network import FOLDER, Extractor, load_embedded


@pytest.fixture(autouse=True)
def own_torch_home(tmp_path, monkeypatch):
    """Set an empty TORCH_HOME and drop networks cached by other tests."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    module._inception.cache_clear()


def pictures(n: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8)


def put_weights(content: bytes = b"not the weights") -> None:
    inception_path().parent.mkdir(parents=True, exist_ok=True)
    inception_path().write_bytes(content)


def test_auto_takes_inception_only_with_its_weights():
    """Without the file, 'auto' resolves to the embedded extractor and its name."""
    assert resolve("auto") == "phantom_cxr_v1"
    put_weights()
    assert resolve("auto") == "inception"
    assert resolve("phantom_cxr_v1") == "phantom_cxr_v1"


def test_missing_inception_weights_are_an_error_with_the_remedy():
    """An extractor requested by name is neither downloaded nor replaced."""
    with pytest.raises(MetricError, match=INCEPTION_FILE):
        features(pictures(2), "inception")


def test_altered_inception_weights_are_refused():
    """A file with another hash is never unpickled."""
    put_weights(b"another file")
    with pytest.raises(MetricError, match="SHA-256"):
        features(pictures(2), "inception")


def test_unknown_name_gets_a_suggestion():
    """The error suggests the nearest name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'inception'"):
        resolve("incepton")


def test_features_do_not_depend_on_the_batch():
    """(N, 128) float32 features repeat bit for bit, and to rounding in another batch size."""
    images = pictures(20)
    computed = features(images, "phantom_cxr_v1")
    assert computed.shape == (20, 128)
    assert computed.dtype == np.float32
    np.testing.assert_array_equal(computed, features(images, "phantom_cxr_v1"))
    np.testing.assert_allclose(computed, features(images, "phantom_cxr_v1", batch=3), atol=1e-4)
    assert features(images[:0], "phantom_cxr_v1").shape == (0, 128)


@pytest.mark.parametrize("side", [16, 32, 64, 100])
def test_any_size_of_image(side):
    """The extractor resizes the images."""
    assert np.isfinite(features(pictures(3, side), "phantom_cxr_v1")).all()


def test_features_are_stable_under_resizing():
    """A smooth image has nearly the same features at 64 and at 128 pixels."""
    ramp = np.linspace(0, 255, 64)
    small = ((ramp[:, None] + ramp[None]) / 2).astype(np.uint8)
    large = np.kron(small, np.ones((2, 2), dtype=np.uint8))
    a, b = (features(x[None], "phantom_cxr_v1")[0] for x in (small, large))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99


def test_other_types_of_images_are_refused():
    """For floats or color images the error names the expected type."""
    with pytest.raises(MetricError, match="expected uint8"):
        features(pictures(2).astype(np.float32), "phantom_cxr_v1")
    with pytest.raises(MetricError, match=r"expected uint8 \(N, H, W\)"):
        features(pictures(2)[..., None], "phantom_cxr_v1")


def test_embedded_weights_match_their_card():
    """There are at most 5 MB and 1.2 million parameters. The card has configuration, figures and hash."""
    path = FOLDER / "phantom_cxr_v1.safetensors"
    card = json.loads(path.with_suffix(".json").read_text())
    assert path.stat().st_size <= 5_000_000
    net = load_embedded("phantom_cxr_v1")
    assert sum(p.numel() for p in net.parameters()) == card["parameters"] <= 1_200_000
    assert {"config", "figures", "source", "command", "sha256", "license"} <= card.keys()


def test_altered_embedded_weights_are_refused(tmp_path):
    """Missing weights, or weights that differ from the card's hash, are an error."""
    with pytest.raises(MetricError, match="is missing"):
        load_embedded("phantom_cxr_v1", tmp_path)
    (tmp_path / "phantom_cxr_v1.safetensors").write_bytes(b"x")
    (tmp_path / "phantom_cxr_v1.json").write_text(json.dumps({"sha256": "0"}))
    with pytest.raises(MetricError, match="SHA-256"):
        load_embedded("phantom_cxr_v1", tmp_path)


def test_network_gives_128_features_of_any_batch():
    """A (B, 1, 64, 64) batch gives (B, 128)."""
    assert Extractor().eval()(torch.zeros(2, 1, 64, 64)).shape == (2, 128)


@pytest.mark.slow
def test_inception_gives_2048_features(monkeypatch):
    """The real network runs, here with random weights and without the hash check."""
    from torch_fidelity import feature_extractor_inceptionv3 as inception

    class Unloaded(inception.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            return None

    put_weights()
    monkeypatch.setattr(inception.torch, "load", lambda *args, **kwargs: {})
    torch.manual_seed(0)
    weights = Unloaded("any", ["2048"], feature_extractor_weights_path="any").state_dict()
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_HOME", str(inception_path().parents[2]))
    monkeypatch.setattr(module, "sha256_file", lambda path: module.INCEPTION_SHA256)
    inception_path().parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights, inception_path())
    computed = features(pictures(3), "inception", batch=2)
    assert computed.shape == (3, 2048)
    assert computed.std() > 0


def test_the_documented_figures_match_the_card():
    """The table in docs/extractor.md has the figures of the card."""
    card = json.loads((FOLDER / "phantom_cxr_v1.json").read_text())
    page = (Path(__file__).parents[2] / "docs" / "extractor.md").read_text()
    for name, value in card["figures"].items():
        assert f"| `{name}` | {value} |" in page


def test_feature_maps_have_a_vector_per_position():
    """The embedded network has 16 features at 32 x 32 positions; a brighter left half shows there."""
    images = np.zeros((2, 64, 64), np.uint8)
    images[1, :, :32] = 200
    maps = module.feature_maps(images, "phantom_cxr_v1")
    assert (maps.shape, maps.dtype) == ((2, 1024, 16), np.float32)
    changed = np.abs(maps[1] - maps[0]).sum(1).reshape(32, 32)
    assert changed[:, 8].min() > 10 * changed[:, 24].max()


def test_feature_maps_of_inception_are_those_before_its_second_pooling(monkeypatch):
    """At 299 pixels their pooled means equal torch-fidelity's layer 192; other sizes are not resized."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.manual_seed(0)
    monkeypatch.setattr(torch, "load", lambda *_, **__: None)
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
    net = FeatureExtractorInceptionV3("inception-v3-compat", ["192"], feature_extractor_weights_path="none")
    put_weights()
    monkeypatch.setattr(module, "_load_inception", lambda path: net)
    maps = module.feature_maps(pictures(1, 299), "inception")
    assert maps.shape == (1, 71 * 71, 192)
    pooled = torch.nn.functional.max_pool2d(
        torch.from_numpy(maps).reshape(1, 71, 71, 192).permute(0, 3, 1, 2), 3, 2
    )
    expected = net(torch.from_numpy(pictures(1, 299))[:, None].expand(-1, 3, -1, -1))[0]
    np.testing.assert_allclose(pooled.mean((2, 3)), expected, rtol=1e-4, atol=1e-6)
    assert module.feature_maps(pictures(1, 64), "inception").shape == (1, 12 * 12, 192)
    assert module.feature_maps(pictures(1, 23), "inception").shape[1] > 1
    with pytest.raises(MetricError, match="at least 23 pixels"):
        module.feature_maps(pictures(1, 22), "inception")
