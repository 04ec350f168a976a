"""What a stage is handed: its node, the folders of what it needs, and where to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.engine.node import Node, without_fold
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.stages.names import REAL_ONLY

CHOSEN = "chosen.npy"  # positions of the training images that generators learn from


@dataclass(frozen=True)
class Job:
    """One node, with the folders to read from and to write to; ``inputs`` by the id of what is needed."""

    node: Node
    inputs: Mapping[str, Path]
    out: Path
    work: Path
    progress: Callable[[float], None] = lambda share: None

    @property
    def config(self) -> Mapping[str, Any]:
        """The node's configuration, and where the initial weights lie that it names."""
        config, path = self.node.config, self.node.local.get("weights")
        if path is None:
            return config
        classifier = config["classifier"]
        return {**config, "classifier": {**classifier, "weights": {**classifier["weights"], "path": path}}}

    def input(self, name: str) -> Path | None:
        """The folder of what is needed under this name, in whichever fold; None where it is not needed."""
        return next((folder for id_, folder in self.inputs.items() if without_fold(id_) == name), None)

    @property
    def data(self) -> Path:
        """The folder of the data."""
        folder = self.input("data")
        assert folder is not None
        return folder

    def splits(self) -> Splits:
        """The data of the run."""
        return arrow.read_splits(self.data)

    def drawn(self) -> ImageSet:
        """The synthetic images of the row as its generator drew them."""
        folder = self.input(f"generate/{self.node.row}")
        assert folder is not None
        return arrow.read_images(folder / "synthetic.arrow")

    def added(self) -> ImageSet | None:
        """The synthetic images of the row, those that a filter has dropped left out; or None."""
        folder = self.input(f"filter/{self.node.row}") or self.input(f"generate/{self.node.row}")
        return arrow.read_images(folder / "synthetic.arrow") if folder else None

    def evaluators(self) -> list[Path]:
        """The folders of the trainings of real_only whose networks this stage asks."""
        trained = f"classify/{REAL_ONLY}/"
        return [folder for id_, folder in self.inputs.items() if id_.startswith(trained)]


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to what a table can hold."""
    return (str(error).strip().splitlines() or ["no message"])[0][:200]
