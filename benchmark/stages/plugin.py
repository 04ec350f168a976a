"""The generator plug-in of a row, as stages call it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from benchmark.engine.node import StageConfig
from benchmark.errors import BenchmarkError, GeneratorError
from benchmark.plugins.generator import ASSET_FILES
from benchmark.plugins.registry import Plugin
from benchmark.stages.job import first_line
from benchmark.tasks.profile import FitUnit
from benchmark.tasks.requests import Requests


class PluginReference(BaseModel, extra="forbid", frozen=True):
    """Name, origin and code version of a plug-in; its import target is part of no cache key."""

    name: str
    origin: Literal["builtin", "entry_point", "file"]
    version: str
    target: str = Field(exclude=True)

    @property
    def trusted(self) -> bool:
        """True for the suite's own code, which runs in the worker's process; other code is sandboxed."""
        return self.origin == "builtin"

    @property
    def plugin(self) -> Plugin:
        """The plug-in as the registry knows it."""
        return Plugin("generators", self.name, self.origin, self.target)


class AssetReference(BaseModel, extra="forbid", frozen=True):
    """Name and hash of a base checkpoint; its folder is part of no cache key."""

    name: str
    hash: str
    folder: Path = Field(exclude=True)

    def known_files(self) -> dict[str, Path]:
        """Return the files of a checkpoint by their path in the folder; links lead to what they name."""
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        known = {f".{pattern.rpartition('.')[2]}" for pattern in ASSET_FILES}
        return {str(p.relative_to(self.folder)): p.resolve() for p in paths if p.suffix in known}


class GeneratorStageConfig(StageConfig):
    """Configuration of a stage that fits a generator or samples from it.

    Attributes:
        unit: what one fit learns.
        of_class: class of this node; empty for all classes.
        learn_from: of videos, all frames or none.
        conditions: columns of the requests that the generator reads; ``requests`` says how they are drawn.
        chunk: images per call of ``sample``.
    """

    plugin: PluginReference
    assets: tuple[AssetReference, ...]
    unit: FitUnit
    of_class: str
    learn_from: Literal["all", "still_images"] = "all"
    conditions: tuple[str, ...]
    requests: Requests
    chunk: int
    classes: tuple[str, ...]
    device: str
    precision: str

    def machine(self) -> dict[str, Any]:
        """Return device, precision and assets, as the contexts take them."""
        return {
            "device": self.device,
            "precision": self.precision,
            "assets": {asset.name: asset.folder for asset in self.assets},
            "asset_hashes": {asset.name: asset.hash for asset in self.assets},
        }


def seed_of(parts: Sequence[int]) -> int:
    """Return a seed of 63 bits that differs for every sequence of numbers."""
    state = np.random.SeedSequence(list(parts)).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


@contextmanager
def generator_errors(name: str, call: str) -> Iterator[None]:
    """Report every exception of a generator's method as one line that names it."""
    try:
        yield
    except BenchmarkError:
        raise
    except Exception as error:  # a third party's code may raise anything
        raise GeneratorError(
            f"generator '{name}'",
            f"{call} raised {type(error).__name__}: {first_line(error)}",
            "Fix the generator; the whole traceback is in the logs folder of the store.",
        ) from error
