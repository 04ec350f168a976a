"""Distances between the classes, and how well synthetic images repeat those of real ones."""

import hashlib
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from benchmark.metrics.fid import fid
from benchmark.plugins.metric import FEWEST_IMAGES, Direction, Matrix, Need, Side, Sides, Unmeasured, Value

version = "1"

card = {
    "title": "Class distances",
    "description": "Correlation of the Fréchet distances between all pairs of classes, in synthetic and in "
    "real images: 1 where synthetic classes differ from each other as real ones do.",
    "citation": "Segal et al. 2021, section 4.1, Table 1 and Figure 5; Mantel 1967",
}
FEWEST_CLASSES = 3  # two have one pair, which correlates with nothing
SEXES = ("female", "male")


class Params(BaseModel, extra="forbid", frozen=True):
    """Parameters; every default cites its source."""

    baseline: str = Field(
        "",
        description="class to which ``per_class`` is the distance; empty for the first class, which is "
        "No Finding in Segal et al. 2021, Table 1",
    )
    fewest: int = Field(
        FEWEST_IMAGES, ge=2, description="images of a class; one with fewer is left out, as for FID"
    )


class Metric:
    """Correlation of the upper triangles of two matrices of distances, Mantel's r.

    FID is biased upwards in small samples, so all classes count with the same number of images: as many as
    the smallest set has, chosen by a hash of their pixels. Segal et al. take all images of a class. An image
    with several labels is in the sets of all of them, as in the paper.
    """

    needs: ClassVar[set[Need]] = {"features", "images", "labels"}
    optional: ClassVar[set[Need]] = {"sex"}
    direction: ClassVar[Direction] = "maximize"
    sides: ClassVar[Sides] = "matched"

    def __init__(self, params: Params, device: str) -> None:
        self.params = params

    def measure(self, real: Side, fake: Side) -> Value | Unmeasured:
        """Return the correlation, the distances to the baseline, and the matrix of the synthetic images.

        ``details`` has the distance between the sexes in both, where they are known.
        """
        sizes = np.minimum(real.labels.sum(0), fake.labels.sum(0))
        names = [name for name, size in zip(real.classes, sizes, strict=True) if size >= self.params.fewest]
        if len(names) < FEWEST_CLASSES:
            return Unmeasured(f"fewer than {FEWEST_CLASSES} classes have {self.params.fewest} images")
        n = int(min(sizes[real.classes.index(name)] for name in names))
        of_real, of_fake = (distances(_class_sets(side, names, n)) for side in (real, fake))
        upper = np.triu_indices(len(names), 1)
        baseline = self.params.baseline or real.classes[0]
        line = of_fake[names.index(baseline)] if baseline in names else []
        sexes = {"between_sexes_real": real, "between_sexes": fake}
        return Value(
            value=correlation(of_real[upper], of_fake[upper]),
            per_class=dict(zip(names, map(float, line), strict=False)),
            n=n,
            details={key: d for key, side in sexes.items() if (d := self._between_sexes(side)) is not None},
            matrix=Matrix(names=tuple(names), values=tuple(map(tuple, of_fake.tolist()))),
        )

    def _between_sexes(self, side: Side) -> float | None:
        """Return the distance between images of women and of men, as many of both."""
        if side.sex is None:
            return None
        groups = [np.flatnonzero(side.sex == sex) for sex in SEXES]
        n = min(map(len, groups))
        if n < self.params.fewest:
            return None
        return fid(*(_sample(side, rows, n) for rows in groups))


def distances(sets: list[np.ndarray]) -> np.ndarray:
    """Return the (K, K) FID of every pair of K sets of features."""
    matrix = np.zeros((len(sets), len(sets)))
    for i, j in zip(*np.triu_indices(len(sets), 1), strict=True):
        matrix[i, j] = matrix[j, i] = max(fid(sets[i], sets[j]), 0.0)
    return matrix


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation; 0 where one side does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _class_sets(side: Side, names: list[str], n: int) -> list[np.ndarray]:
    columns = [side.classes.index(name) for name in names]
    return [_sample(side, np.flatnonzero(side.labels[:, k]), n) for k in columns]


def _sample(side: Side, rows: np.ndarray, n: int) -> np.ndarray:
    """Return the features of n of these images, the same ones in any order of the images."""
    keys = [hashlib.sha256(np.ascontiguousarray(side.images[row]).tobytes()).digest() for row in rows]
    return side.features[sorted(rows, key=dict(zip(rows, keys, strict=True)).__getitem__)[:n]]
