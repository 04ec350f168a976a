"""Halves of real images: disjoint by patient, with the class shares of the whole."""

import numpy as np
import pytest

from benchmark.errors import MetricError
from benchmark.protocol.halves import largest_half, patient_halves


def people(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one to three images per patient, and classes in unequal shares."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n), rng.integers(1, 4, n))
    return patient, rng.choice(3, n, p=[0.7, 0.2, 0.1])[patient]


def test_halves_share_no_patient_and_keep_class_shares():
    """Both halves have the requested size, no common patient, and the class shares of the whole."""
    patient, label = people(400, seed=3)
    a, b = patient_halves(patient, label, 200, np.random.default_rng(0))
    assert len(a) == len(b) == 200
    assert not set(patient[a]) & set(patient[b])
    whole = np.bincount(label) / len(label)
    for half in (a, b):
        np.testing.assert_allclose(np.bincount(label[half]) / 200, whole, atol=0.04)


def halvings(patient, label, n):
    """Yield the five halvings of seed 1."""
    for repeat in range(5):
        yield patient_halves(patient, label, n, np.random.default_rng([1, repeat]))


def test_largest_half_is_the_limit():
    """Every halving gives as many images as the limit; one image more is refused by name."""
    patient, label = people(100, seed=4)
    n = largest_half(patient, label, seed=1)
    for a, b in halvings(patient, label, n):
        assert len(a) == len(b) == n
    with pytest.raises(MetricError, match=f"{n + 1} images per side requested"):
        list(halvings(patient, label, n + 1))
