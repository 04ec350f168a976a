"""Fidelity and coverage: against the metrics of the suite, closed forms and hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.metrics.fid import fid
from benchmark.metrics.judging.coverage import coverage_parts, density_parts, neighborhoods
from benchmark.metrics.judging.distances import Kernels, weighted_fid
from benchmark.metrics.judging.fidelity import fidelity
from benchmark.metrics.kid import kid


@pytest.mark.parametrize(("n", "m", "d"), [(40, 30, 6), (12, 9, 20), (30, 8, 10)])
def test_equal_weights_give_the_metrics_of_the_suite(n, m, d):
    """FID as torch-fidelity computes it, with more and with fewer images than features, and KID."""
    rng = np.random.default_rng(n)
    real, fake = rng.normal(size=(n, d)), rng.normal(0.5, 1.5, size=(m, d))
    assert weighted_fid(real, fake) == pytest.approx(fid(real, fake), rel=1e-6)
    assert Kernels.of(real, fake).kid() == pytest.approx(kid(real, fake), rel=1e-9)


def test_a_weight_of_two_is_an_image_that_is_there_twice():
    """FID counts repeated images; KID pairs no image with itself, so that repetition adds no likeness."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(20, 5)), rng.normal(size=(15, 5))
    counts = rng.integers(0, 4, 20)
    assert weighted_fid(real, fake, counts) == pytest.approx(weighted_fid(np.repeat(real, counts, 0), fake))
    twice = np.full(20, 2)
    assert Kernels.of(real, fake).kid(twice) == pytest.approx(Kernels.of(real, fake).kid())


def test_density_and_coverage_by_hand():
    """Real images at 0 to 6 on a line; the fifth neighbor of 3 is 3 away, that of 0 is 5 away. A synthetic
    image at 3 lies in all 7 neighborhoods, one at 100 in none: density (7/5 + 0) / 2, coverage 1."""
    real, fake = np.arange(7.0)[:, None], np.array([[3.0], [100.0]])
    inside = neighborhoods(real, fake)
    assert density_parts(inside).tolist() == [7 / 5, 0]
    assert coverage_parts(inside).mean() == 1
    assert coverage_parts(neighborhoods(real, np.array([[100.0], [11.5]]))).tolist() == [0] * 7


def test_coverage_of_equal_distributions_is_that_of_the_closed_form():
    """1 - [(N-1)...(N-k)] / [(M+N-1)...(M+N-k)] (Naeem et al. 2020, Lemma 2), here N = M = 30 and k = 5."""
    rng = np.random.default_rng(1)
    n = m = 30
    expected = 1 - np.prod([(n - i) / (m + n - i) for i in range(1, 6)])
    drawn = [
        coverage_parts(neighborhoods(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)))).mean()
        for _ in range(300)
    ]
    assert np.mean(drawn) == pytest.approx(expected, abs=4 * np.std(drawn) / np.sqrt(300))


def test_equal_distributions_lie_within_the_floor_and_shifted_ones_above():
    """The halves of real images of 40 patients have an FID near that of images of the same distribution."""
    rng = np.random.default_rng(2)
    real, patients = rng.normal(size=(80, 4)), np.repeat([f"p{k}" for k in range(40)], 2)
    alike = {f.name: f for f in fidelity(real, patients, rng.normal(size=(80, 4))).figures}
    other = {f.name: f for f in fidelity(real, patients, rng.normal(2, 1, size=(80, 4))).figures}
    assert alike["fid"].floor_low < alike["fid"].halves < alike["fid"].floor_high
    assert other["fid"].halves > 10 * other["fid"].floor
    assert alike["kid"].low < 0 < alike["kid"].high
    assert other["coverage"].estimate < 0.2 < 0.8 < alike["coverage"].estimate
    for figure in other.values():
        assert figure.low <= figure.estimate <= figure.high


def test_three_patients_have_no_floor():
    """A half would be one patient; the floor is missing rather than wrong."""
    rng = np.random.default_rng(3)
    result = fidelity(rng.normal(size=(9, 2)), np.repeat(["a", "b", "c"], 3), rng.normal(size=(9, 2)))
    assert result.floor_images is None
    assert {figure.floor for figure in result.figures} == {None}
