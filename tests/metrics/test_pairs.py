"""SSIM, PSNR and SIFID of pairs against closed forms and an independent implementation."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from benchmark.errors import MetricError
from benchmark.metrics import psnr as psnr_module
from benchmark.metrics import sifid as sifid_module
from benchmark.metrics import ssim as ssim_module
from benchmark.metrics.extractor.features import feature_maps
from benchmark.metrics.psnr import psnr
from benchmark.metrics.ssim import ssim
from benchmark.plugins.metric import Side


def textures(n: int, side: int = 32, seed: int = 0) -> np.ndarray:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(n, side, side)), (0, 2, 2))
    return (smooth / smooth.std() * 40 + 128).clip(0, 255).astype(np.uint8)


def with_noise(images: np.ndarray, scale: float) -> np.ndarray:
    noise = np.random.default_rng(5).normal(size=images.shape)
    return (images + scale * noise).clip(0, 255).astype(np.uint8)


def pairs(sources: np.ndarray, images: np.ndarray, maps=None) -> Side:
    """Return a side whose first half has class a, the other half class b."""
    label = (np.arange(len(images)) >= len(images) / 2).astype(int)
    return Side(label, ("a", "b"), {"sources": sources, "images": images, "feature_maps": maps})


def measured(module, fake: Side):
    return module.Metric(module.Params(), "cpu").measure(fake, fake)


def test_ssim_matches_its_definition():
    """Every pair equals Wang et al. 2004, eq. 13, in SciPy, with the window within the image."""
    a, b = textures(4), with_noise(textures(4), 20)

    def mean(z: np.ndarray) -> np.ndarray:
        return gaussian_filter(z, (0, 1.5, 1.5), radius=(0, 5, 5))[:, 5:-5, 5:-5]

    x, y, c1, c2 = a.astype(float), b.astype(float), (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    full = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    np.testing.assert_allclose(ssim(a, b), full.mean((1, 2)), atol=2e-5)


def test_ssim_of_constant_images_is_the_luminance_term():
    """Grays 100 and 50 without any structure have (2 * 100 * 50 + C1) / (100^2 + 50^2 + C1)."""
    a, b = (np.full((1, 16, 16), gray, np.uint8) for gray in (100, 50))
    assert ssim(a, b)[0] == pytest.approx((10000 + 2.55**2) / (12500 + 2.55**2), abs=1e-5)
    assert ssim(a, a)[0] == pytest.approx(1.0, abs=1e-6)


def test_ssim_of_images_below_the_window_is_refused():
    """Ten pixels do not hold a window of eleven."""
    with pytest.raises(MetricError, match="at least 11"):
        ssim(textures(1, 10), textures(1, 10))


def test_psnr_by_hand():
    """An error of 16 everywhere has 10 log10(65025 / 256); equal images have the error of rounding, 1/12."""
    a = np.full((2, 8, 8), 100, np.uint8)
    b = a.copy()
    b[0] += 16
    np.testing.assert_allclose(psnr(a, b), [10 * np.log10(65025 / 256), 10 * np.log10(65025 * 12)])


def test_sifid_is_the_frechet_distance_of_positions():
    """With the pixels of two columns as features, it equals the formula with SciPy's matrix square root."""

    def maps(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1, 2).astype(np.float32)

    a, b = textures(2), with_noise(textures(2, seed=1), 9)

    def expected(x: np.ndarray, y: np.ndarray) -> float:
        s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real))

    each = [expected(x, y) for x, y in zip(maps(a).astype(float), maps(b).astype(float), strict=True)]
    value = measured(sifid_module, pairs(a, b, maps))
    assert value.value == pytest.approx(np.mean(each), rel=1e-6)
    assert value.per_class == {"a": pytest.approx(each[0]), "b": pytest.approx(each[1])}


def embedded(images: np.ndarray) -> np.ndarray:
    return feature_maps(images, "phantom_cxr_v1")


def test_a_copy_has_the_best_value_and_noise_worsens_it():
    """An image and itself have SIFID 0, SSIM 1 and PSNR 58.9; growing noise worsens all three each time."""
    images = textures(4, 64)
    scales = (0, 5, 15, 40, 80)
    noisy = [pairs(images, with_noise(images, scale), embedded) for scale in scales]
    sifids, ssims, psnrs = (
        [measured(module, side).value for side in noisy]
        for module in (sifid_module, ssim_module, psnr_module)
    )
    assert sifids[0] == pytest.approx(0, abs=1e-6)
    assert ssims[0] == pytest.approx(1, abs=1e-6)
    assert psnrs[0] == pytest.approx(58.92, abs=0.01)
    assert sifids == sorted(sifids)
    assert ssims == sorted(ssims, reverse=True)
    assert psnrs == sorted(psnrs, reverse=True)


def test_sifid_ignores_where_a_texture_is_and_ssim_does_not():
    """A mirrored image has nearly the SIFID of a copy, a fifth of that of another image, but a low SSIM."""
    images, others = textures(4, 64), with_noise(textures(4, 64, seed=3), 30)
    mirrored = pairs(images, images[:, :, ::-1].copy(), embedded)
    far = measured(sifid_module, pairs(images, others, embedded)).value
    assert measured(sifid_module, mirrored).value < far / 5
    assert measured(ssim_module, mirrored).value < 0.5


def test_many_pairs_are_compared_in_parts(monkeypatch):
    """The part size changes no value."""
    a, b = textures(5), with_noise(textures(5), 30)
    whole = measured(ssim_module, pairs(a, b))
    monkeypatch.setattr("benchmark.metrics._pairs.PIXELS", 1)
    assert measured(ssim_module, pairs(a, b)).value == pytest.approx(whole.value, rel=1e-6)
