"""Input of a stage: its node, the folders of its inputs, and where to write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

from benchmark.engine.node import Node, StageConfig
from benchmark.engine.worker import Inputs, Log, Progress
from benchmark.images import arrow
from benchmark.images.image_set import ImageSet, Splits
from benchmark.stages.records import StageResult
from benchmark.utils.files import write_json

# Files by which stages hand on their results
RESULT, SYNTHETIC, CHOSEN, UNLABELED = "result.json", "synthetic.arrow", "chosen.npy", "unlabeled.arrow"
# Roles of inputs
DATA, REFERENCE, GENERATOR, SYNTHETIC_IMAGES = "data", "reference", "generator", "synthetic"
EVALUATORS, SELECTION, SEGMENTER = "evaluators", "selection", "segmenter"

Config = TypeVar("Config", bound=StageConfig, covariant=True)
Record = TypeVar("Record", bound=StageResult)


@dataclass(frozen=True)
class Job(Generic[Config]):
    """One node, with the folders to read from (``inputs``, by role) and to write to.

    ``work`` is a scratch folder that survives a crash; ``progress`` takes the share done, 0 to 1, and ``log``
    scalars at a step or the file of a picture, which show while the stage runs.
    """

    node: Node
    inputs: Inputs
    out: Path
    work: Path
    progress: Progress = lambda share: None
    log: Log = lambda step, logged: None

    @property
    def config(self) -> Config:
        """The node's configuration."""
        return cast(Config, self.node.config)

    def input(self, role: str) -> Path:
        """Return the folder of the one input in a role."""
        (folder,) = self.inputs[role]
        return folder

    def read(self, role: str, kind: type[Record]) -> Record:
        """Return the result of the one input in a role."""
        return kind.model_validate_json((self.input(role) / RESULT).read_text(encoding="utf-8"))

    def write(self, result: StageResult) -> None:
        """Write the result of this job."""
        write_json(self.out / RESULT, result.record())

    def splits(self) -> Splits:
        """Return the data of the run."""
        return arrow.read_splits(self.input(DATA))

    def synthetic(self) -> ImageSet:
        """Return the synthetic images that this stage reads."""
        return arrow.read_images(self.input(SYNTHETIC_IMAGES) / SYNTHETIC)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, cut to what a table can hold."""
    return (str(error).strip().splitlines() or ["no message"])[0][:200]
