"""A reader study: its images, and what a reader sees on each screen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.comparison.csv.realism import REAL
from benchmark.errors import SubmissionError
from benchmark.reporting.readers.protocols import CELLS, GRIDS, PAIRS, REAL_SHARE, Protocol

Pool = Mapping[str, Sequence[bytes]]  # PNG files by class


@dataclass(frozen=True, eq=False)
class StudyImage:
    """An image of a study.

    Attributes:
        name: which tells a reader nothing.
        model: the row, or ``real``.
    """

    name: str
    model: str
    of_class: str
    png: bytes


@dataclass(frozen=True, eq=False)
class Study:
    """Images, and screens of their positions: one image, six of a grid, or two of a pair."""

    protocol: Protocol
    images: tuple[StudyImage, ...]
    screens: tuple[tuple[int, ...], ...]


def needed(protocol: Protocol, classes: int, per_class: int | None) -> tuple[int, int]:
    """Return the number of images of each class that a study draws from: of a model, and of the real ones.

    Args:
        per_class: in place of the protocol's number.
    """
    if protocol.name in ("grids", "pairs"):
        total = GRIDS * CELLS if protocol.name == "grids" else PAIRS
        return -(-total // classes), -(-total // classes)
    count = per_class or protocol.per_class or -(-(protocol.per_model or 0) // classes)
    return count, count if protocol.real else 0


def make_study(
    protocol: Protocol, synthetic: Mapping[str, Pool], real: Pool, per_class: int | None, seed: int
) -> Study:
    """Draw a balanced study: as many images of every class and model, in an order that tells nothing.

    Args:
        synthetic: images of every model; those beyond ``needed`` are left out.
        real: of patients.
        per_class: in place of the protocol's number.
    Raises:
        SubmissionError: a model or the real images have too few of a class.
    """
    rng = np.random.default_rng(seed)
    classes = list(next(iter(synthetic.values())))
    count, of_real = needed(protocol, len(classes), per_class)
    for model, pool in {**synthetic, REAL: real}.items():
        for name, want in ((c, of_real if model == REAL else count) for c in classes):
            if len(pool.get(name, ())) < want:
                problem = f"has {len(pool.get(name, ()))} images of class '{name}', needs {want}"
                raise SubmissionError(f"readers export: {model}", problem, "Give a smaller --per-class.")
    if protocol.name in ("grids", "pairs"):
        return _composed(protocol, synthetic, real, classes, rng)
    limit = protocol.per_model if per_class is None else None
    chosen = [
        (m, c, png) for m, pool in synthetic.items() for c, png in _balanced(pool, classes, count, limit)
    ]
    if of_real:
        chosen += [(REAL, c, png) for c, png in _balanced(real, classes, of_real, limit)]
    images = _named([chosen[k] for k in rng.permutation(len(chosen))])
    return Study(protocol, images, tuple((k,) for k in range(len(images))))


def _balanced(pool: Pool, classes: Sequence[str], count: int, limit: int | None) -> list[tuple[str, bytes]]:
    """Return the first images of every class in turn, at most ``limit`` of all."""
    return [(c, pool[c][k]) for k in range(count) for c in classes][:limit]


def _composed(
    protocol: Protocol,
    synthetic: Mapping[str, Pool],
    real: Pool,
    classes: Sequence[str],
    rng: np.random.Generator,
) -> Study:
    """Draw grids or pairs, in which classes and models come equally often; no image comes twice."""
    width, count = (CELLS, GRIDS) if protocol.name == "grids" else (2, PAIRS)
    taken: Counter[tuple[str, str]] = Counter()
    chosen: list[tuple[str, str, bytes]] = []
    cells = count * width if protocol.name == "grids" else count
    names = iter(rng.permutation(np.resize(np.arange(len(classes)), cells)))
    models = iter(rng.permutation(np.resize(np.array(list(synthetic)), cells)))

    def take(model: str, name: str) -> int:
        pool = (real if model == REAL else synthetic[model])[name]
        chosen.append((model, name, pool[taken[model, name]]))
        taken[model, name] += 1
        return len(chosen) - 1

    screens: list[tuple[int, ...]] = []
    for _ in range(count):
        if protocol.name == "grids":
            of_cells = [
                (REAL if rng.random() < REAL_SHARE else str(next(models)), next(names)) for _ in range(width)
            ]
        else:
            name = next(names)
            of_cells = [(REAL, name), (str(next(models)), name)]
        row = [take(model, classes[k]) for model, k in of_cells]
        screens.append(tuple(int(k) for k in rng.permutation(row)))
    return Study(protocol, _named(chosen), tuple(screens))


def _named(chosen: Sequence[tuple[str, str, bytes]]) -> tuple[StudyImage, ...]:
    return tuple(
        StudyImage(f"image-{k:04d}", model, name, png) for k, (model, name, png) in enumerate(chosen, 1)
    )
