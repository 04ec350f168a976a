"""Halves of the real images that share no patient, for the real-against-real floor of a metric."""

import numpy as np

from benchmark.errors import MetricError

REPEATS = 5  # averaged random halvings


def largest_half(patient_ids: np.ndarray, labels: np.ndarray, seed: int, repeats: int = REPEATS) -> int:
    """Return the most images per side that every halving of the floor with this seed allows."""
    rngs = (np.random.default_rng([seed, repeat]) for repeat in range(repeats))
    return min(len(half) for rng in rngs for half in _sides(patient_ids, labels, rng))


def patient_halves(
    patient_ids: np.ndarray, labels: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of two sets of n images that share no patient, classes in equal shares.

    Raises:
        MetricError: a half has fewer than n images.
    """
    halves = _sides(patient_ids, labels, rng)
    smallest = min(map(len, halves))
    if smallest < n:
        raise MetricError(
            "real_floor",
            f"{n} images per side requested, but a half of the real images has {smallest}",
            "Measure with fewer images per side, or add real images.",
        )
    return _stratified(halves[0], labels, n), _stratified(halves[1], labels, n)


def _sides(patient_ids: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Assign all images, shuffled, to two sides that share no patient."""
    _, first, patient = np.unique(patient_ids, return_index=True, return_inverse=True)
    order = rng.permutation(len(first))
    order = order[np.argsort(labels[first][order], kind="stable")]  # assigned class by class
    side = np.empty(len(first), dtype=np.int64)
    side[order] = np.arange(len(first)) % 2
    return [rng.permutation(np.flatnonzero(side[patient] == half)) for half in (0, 1)]


def _stratified(rows: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Return the first n of these shuffled positions, each class in its share (largest remainders)."""
    names, counts = np.unique(labels[rows], return_counts=True)
    quota = counts * n / len(rows)
    take = np.floor(quota).astype(np.int64)
    take[np.argsort(take - quota, kind="stable")[: n - take.sum()]] += 1
    return np.concatenate([rows[labels[rows] == c][:k] for c, k in zip(names, take, strict=True)])
