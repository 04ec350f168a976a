"""Options of ``verify``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class VerifyRequest:
    """The inputs of a verification, and how thorough it is.

    Attributes:
        task: its file, for a task that is not in the suite.
        root: folder of a real dataset.
        allowed_signers: known authors and their keys.
        deep: retrain some seeds.
        seeds: how many; None for a third.
        seed: of the choice of seeds, to repeat it; None for the system's randomness.
        generator, samples: the source of a row that the suite does not have.
        board: folder of bundles of the same protocol, to estimate the spread between runs.
        workers: stages at once; None for one per core.
    """

    task: Path | None = None
    root: Path | None = None
    allowed_signers: Path | None = None
    deep: bool = False
    seeds: int | None = None
    seed: int | None = None
    generator: Path | None = None
    samples: Path | None = None
    board: Path | None = None
    workers: int | None = None
