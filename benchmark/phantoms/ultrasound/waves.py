"""Smooth random curves."""

from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.ultrasound.probe import Array


@dataclass(frozen=True, eq=False)
class Wave:
    """Smooth random curve: the sum of a few sine waves."""

    height: Array
    pace: Array
    phase: Array

    def __call__(self, x: Array | float) -> Array:
        """Values at ``x`` (any shape), standard deviation about 1."""
        turns = np.asarray(x, dtype=np.float32)[..., None] * self.pace + self.phase
        return (self.height * np.sin(turns)).sum(-1).astype(np.float32)


def wave(rng: np.random.Generator, length: float, terms: int = 5) -> Wave:
    """Sample a curve with a correlation length of about ``length``."""
    pace = 2 * np.pi / (length * rng.uniform(1.0, 3.5, terms))
    height = rng.uniform(0.5, 1.0, terms)
    height *= np.sqrt(2 / (height**2).sum())
    phase = rng.uniform(0, 2 * np.pi, terms)
    return Wave(height.astype(np.float32), pace.astype(np.float32), phase.astype(np.float32))
