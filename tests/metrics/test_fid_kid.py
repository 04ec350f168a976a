"""FID and KID against closed forms and independent references."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.metrics.pairwise import polynomial_kernel
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from benchmark.metrics.fid import fid
from benchmark.metrics.kid import kid


def normal(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def whitened(n: int, d: int, seed: int) -> np.ndarray:
    """Return rows with sample mean 0 and identity sample covariance, exactly."""
    x = normal(n, d, seed)
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def test_fid_matches_closed_form_of_gaussians():
    """Means 0 and m and variances 1 and s^2 per axis give |m|^2 + sum (1 - s)^2."""
    mean, scale = np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.5, 3.0])
    fake = whitened(400, 3, seed=2) * scale + mean
    expected = (mean**2).sum() + ((1 - scale) ** 2).sum()
    assert fid(whitened(300, 3, seed=1), fake) == pytest.approx(expected, rel=1e-6)


def test_fid_agrees_with_scipy_sqrtm():
    """For correlated features FID equals the value with SciPy's matrix square root."""
    a, b = normal(500, 8, 1) @ normal(8, 8, 2), normal(400, 8, 3) @ normal(8, 8, 4) + 0.5
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert fid(a, b) == pytest.approx(expected, rel=1e-6)


def test_fid_with_fewer_images_than_features():
    """With 50 images and 128 features (the paper's 50 per class) FID is finite, and 0 for equal sets."""
    a = normal(50, 128, 1).astype(np.float32)
    assert fid(a, a) == pytest.approx(0.0, abs=1e-4)
    assert np.isfinite(fid(a, normal(50, 128, 2)))


def test_kid_matches_hand_arithmetic():
    """The kernel is (xy + 1)^3, so KID = 1 + 343 - 2 * (1 + 1 + 27 + 64) / 4."""
    assert kid(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])) == pytest.approx(297.5)


def test_kid_agrees_with_torch_fidelity():
    """A single subset of all rows gives torch-fidelity's value."""
    a, b = normal(120, 16, 1), normal(120, 16, 2) + 0.3
    expected = kid_features_to_metric(
        torch.from_numpy(a),
        torch.from_numpy(b),
        kid_subsets=1,
        kid_subset_size=120,
        verbose=False,
    )[KEY_METRIC_KID_MEAN]
    assert kid(a, b) == pytest.approx(expected, rel=1e-9)


def test_kid_of_unequal_sizes_and_several_blocks():
    """Sides of 1500 and 40 rows give the value of scikit-learn's kernel in one block."""
    a, b = normal(1500, 5, 1), normal(40, 5, 2) * 1.5
    xx, yy, xy = (polynomial_kernel(x, y, degree=3) for x, y in ((a, a), (b, b), (a, b)))
    expected = (
        (xx.sum() - np.trace(xx)) / (1500 * 1499) + (yy.sum() - np.trace(yy)) / (40 * 39) - 2 * xy.mean()
    )
    assert kid(a, b) == pytest.approx(expected, rel=1e-9)


def test_kid_is_unbiased_where_fid_is_not():
    """For two samples of one distribution KID averages 0; FID is above 0 and falls with the size."""
    pairs = [(normal(60, 10, 2 * s), normal(60, 10, 2 * s + 1)) for s in range(40)]
    scores = np.array([kid(a, b) for a, b in pairs])
    assert abs(scores.mean()) < 3 * scores.std() / np.sqrt(len(scores))
    small = np.mean([fid(a, b) for a, b in pairs])
    assert small > 3 * fid(normal(2000, 10, 100), normal(2000, 10, 101)) > 0
