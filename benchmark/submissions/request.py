"""Options of ``submit`` and ``data export``."""

from pathlib import Path
from typing import Annotated

from pydantic.dataclasses import dataclass

from benchmark.planning.request import STRICT, Option, TaskRequest, TrainingRequest, Workers


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SubmitRequest(TrainingRequest):
    """Make a bundle to hand in from a generator, from samples, or from an existing bundle."""

    generator: Annotated[str | None, Option("Python file, or name of an installed generator")] = None
    samples: Annotated[Path | None, Option("folder, Parquet file, or owner/name@commit on the Hub")] = None
    bundle: Annotated[Path | None, Option("folder or ZIP of a bundle of the same protocol")] = None
    card: Annotated[
        Path | None, Option("submission card: name, title, authors, license, ...", "submission.yaml")
    ] = None
    workers: Workers = None
    with_controls: Annotated[bool, Option("also run the task's controls, for a leaderboard")] = False
    sign: Annotated[Path | None, Option("SSH key that signs the bundle")] = None
    board: Annotated[Path | None, Option("leaderboards folder whose rows to compare with")] = None
    out: Annotated[Path | None, Option("default: outputs/submissions/<name>")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportRequest(TaskRequest):
    """Write the images that a generator of a task may learn from as files."""

    workers: Workers = None
    out: Annotated[
        Path | None, Option("empty folder; default: outputs/<task>-<profile>-training", "outputs/export")
    ] = None
