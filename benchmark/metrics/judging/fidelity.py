"""Fidelity and diversity of synthetic images: each figure with its interval and its floor."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.judging.coverage import coverage_parts, density_parts, neighborhoods
from benchmark.metrics.judging.distances import Kernels, weighted_fid
from benchmark.metrics.judging.record import FigureCard

REPLICATES = 200  # of the bootstrap
HALVINGS = 20  # of the real images, by patient
FEWEST = 4  # patients, so that a half has two
LEVEL = 0.95
MAXIMIZED = ("density", "coverage")


@dataclass(frozen=True)
class Fidelity:
    """All figures, and the number of images on each side of the floor."""

    figures: tuple[FigureCard, ...]
    floor_images: int | None


def fidelity(real: np.ndarray, patients: np.ndarray, fake: np.ndarray, seed: int = 0) -> Fidelity:
    """Return FID, KID, density and coverage of features.

    Args:
        real: (N, D) features of one extractor, with the patients (N,) of the images.
        fake: (M, D) features of synthetic images.
    """
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    rng = np.random.default_rng(seed)
    estimates = _figures(real, fake)
    replicates = list(_replicates(real, patients, fake, rng))
    halvings = list(_halvings(real, patients, fake, rng)) if len(np.unique(patients)) >= FEWEST else []
    figures = []
    for name, estimate in estimates.items():
        drawn = np.array([one[name] for one in replicates])
        low, high = np.quantile(drawn - drawn.mean(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        synthetic, floors = [one[0][name] for one in halvings], [one[1][name] for one in halvings]
        figures.append(
            FigureCard(
                name=name,
                direction="maximize" if name in MAXIMIZED else "minimize",
                estimate=estimate,
                low=float(estimate + low),
                high=float(estimate + high),
                halves=float(np.mean(synthetic)) if synthetic else None,
                floor=float(np.mean(floors)) if floors else None,
                floor_low=min(floors, default=None),
                floor_high=max(floors, default=None),
            )
        )
    return Fidelity(tuple(figures), halvings[0][2] if halvings else None)


def _figures(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    inside = neighborhoods(real, fake)
    return {
        "fid": weighted_fid(real, fake),
        "kid": Kernels.of(real, fake).kid(),
        "density": float(density_parts(inside).mean()),
        "coverage": float(coverage_parts(inside).mean()),
    }


def _replicates(
    real: np.ndarray, patients: np.ndarray, fake: np.ndarray, rng: np.random.Generator
) -> Iterator[dict[str, float]]:
    """Yield the figures of bootstrap samples: patients of the real images, and synthetic images, with
    replacement. The neighborhoods stay those of all real images."""
    names, patient = np.unique(patients, return_inverse=True)
    kernels, inside = Kernels.of(real, fake), neighborhoods(real, fake)
    density, coverage = density_parts(inside), coverage_parts(inside)
    for _ in range(REPLICATES):
        of_real = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[patient]
        of_fake = rng.multinomial(len(fake), np.full(len(fake), 1 / len(fake)))
        yield {
            "fid": weighted_fid(real, fake, of_real, of_fake),
            "kid": kernels.kid(of_real, of_fake),
            "density": float(of_fake @ density / of_fake.sum()),
            "coverage": float(of_real @ coverage / of_real.sum()),
        }


def _halvings(
    real: np.ndarray, patients: np.ndarray, fake: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[dict[str, float], dict[str, float], int]]:
    """Yield the figures of synthetic images and of one half of the patients against the other half, with as
    many images on all sides, and their number."""
    names, patient = np.unique(patients, return_inverse=True)
    counts = np.bincount(patient)
    fewest = int(min(np.sort(counts)[: len(names) // 2].sum(), len(fake)))  # that every half has
    for _ in range(HALVINGS):
        first = np.isin(patient, rng.permutation(len(names))[: len(names) // 2])
        a, b = (rng.permutation(np.flatnonzero(side))[:fewest] for side in (first, ~first))
        chosen = rng.permutation(len(fake))[:fewest]
        yield _figures(real[a], fake[chosen]), _figures(real[a], real[b]), fewest
