"""Options of ``submit`` and ``data export``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import STRICT, Count, TaskRequest, TrainingRequest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SubmitRequest(TrainingRequest):
    """A generator, samples or a bundle to hand in; exactly one of the three is given."""

    generator: str | None = Field(default=None, description="Python file, or name of an installed generator")
    samples: Path | None = Field(
        default=None, description="folder with a folder per class, or a Parquet file"
    )
    bundle: Path | None = Field(default=None, description="folder or ZIP of a bundle of the same protocol")
    card: Path | None = Field(
        default=None,
        description="submission card: name, title, authors, license, ...",
        examples=["submission.yaml"],
    )
    workers: Count | None = Field(default=None, description="stages at once; default: one per core")
    with_controls: bool = Field(default=False, description="also run the task's controls, for a leaderboard")
    sign: Path | None = Field(default=None, description="SSH key that signs the bundle")
    board: Path | None = Field(default=None, description="leaderboards folder whose rows to compare with")
    out: Path | None = Field(default=None, description="default: outputs/submissions/<name>")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExportRequest(TaskRequest):
    """The training images of a task, written as files."""

    workers: Count | None = Field(default=None, description="folds at once; default: one per core")
    out: Path | None = Field(
        default=None,
        description="empty or new folder; default: outputs/<task>-<profile>-training",
        examples=["outputs/export"],
    )
