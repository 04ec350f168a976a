"""MS-SSIM against its definition and an independent reference."""

from itertools import combinations

import numpy as np
import pytest
from monai.metrics import MultiScaleSSIMMetric
from scipy.ndimage import gaussian_filter

from benchmark.errors import MetricError
from benchmark.metrics.ms_ssim import WEIGHTS, ms_ssim_within_classes, pairwise, scales_that_fit


def pictures(n: int, side: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(n, side, side)), (0, 3, 3))
    smooth = smooth / smooth.std() * 50 + 128
    return smooth.clip(0, 255).astype(np.uint8)


def reference(x: np.ndarray, y: np.ndarray, scales: int) -> float:
    """Compute Wang et al. 2003, eq. 7, in NumPy and SciPy: an 11 x 11 Gaussian window, valid region."""
    weights = np.array(WEIGHTS[:scales]) * sum(WEIGHTS) / sum(WEIGHTS[:scales])

    def mean(z: np.ndarray) -> np.ndarray:
        return gaussian_filter(z, 1.5, radius=5)[5:-5, 5:-5]

    value, c1, c2 = 1.0, (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for scale in range(scales):
        mean_x, mean_y = mean(x), mean(y)
        vx, vy, cov = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2, mean(x * y) - mean_x * mean_y
        contrast = (2 * cov + c2) / (vx + vy + c2)
        light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        term = (light * contrast).mean() if scale == scales - 1 else contrast.mean()
        value *= max(term, 0.0) ** weights[scale]
        x, y = (z[: len(z) // 2 * 2].reshape(len(z) // 2, 2, -1, 2).mean((1, 3)) for z in (x, y))
    return value


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 1), (22, 2), (32, 2), (64, 3), (128, 4), (176, 5), (224, 5)]
)
def test_as_many_scales_as_fit(side, scales):
    """The smallest scale is larger than ten pixels."""
    assert scales_that_fit(side) == scales


def test_pairs_match_the_definition():
    """At two scales and 32 pixels every pair matches a NumPy and SciPy version of the equation."""
    images = pictures(5, 32, seed=1)
    x = images.astype(float)
    expected = [reference(x[i], x[j], 2) for i, j in combinations(range(5), 2)]
    np.testing.assert_allclose(pairwise(images, 2), expected, atol=2e-5)


def test_five_scales_equal_monai():
    """At 176 pixels the value equals MONAI's metric with its default weights."""
    import torch

    a, b = torch.from_numpy(pictures(2, 176, seed=2)).float()[:, None]
    metric = MultiScaleSSIMMetric(spatial_dims=2, data_range=255.0)
    expected = metric(a[None], b[None]).item()
    assert pairwise(pictures(2, 176, seed=2), 5)[0] == pytest.approx(expected, abs=1e-6)


def test_copies_score_one_and_variety_scores_less():
    """A class of one repeated image scores 1; independent images score far lower."""
    same = np.repeat(pictures(1, 32, seed=3), 6, axis=0)
    images = np.concatenate([same, pictures(6, 32, seed=4)])
    scores = ms_ssim_within_classes(images, np.repeat([0, 1], 6), ("same", "varied"), 50)
    assert scores.per_class["same"] == pytest.approx(1.0, abs=1e-5)
    assert scores.per_class["varied"] < 0.5
    assert scores.value == pytest.approx(np.mean(list(scores.per_class.values())))
    assert (scores.details, scores.n) == ({"scales": 2}, 12)


def test_pairs_are_within_a_class_and_of_its_first_images():
    """Images beyond the 50th of a class and images of other classes do not count."""
    images, labels, classes = pictures(120, 16, seed=5), np.repeat([0, 1], 60), ("a", "b")
    scores = ms_ssim_within_classes(images, labels, classes, 50)
    first_images = np.r_[0:50, 60:110]
    assert ms_ssim_within_classes(images[first_images], labels[first_images], classes, 60) == scores
    assert scores.n == 100
    alone = ms_ssim_within_classes(images[:60], labels[:60], classes, 50)
    assert alone.per_class == {"a": pytest.approx(scores.per_class["a"])}


def test_uncomputable_inputs_are_refused():
    """Images smaller than the kernel, or no class with two images, are an error with its reason."""
    with pytest.raises(MetricError, match="10 pixels"):
        ms_ssim_within_classes(pictures(4, 10, seed=6), np.zeros(4, dtype=int), ("a",), 50)
    with pytest.raises(MetricError, match="two images"):
        ms_ssim_within_classes(pictures(2, 16, seed=6), np.array([0, 1]), ("a", "b"), 50)
