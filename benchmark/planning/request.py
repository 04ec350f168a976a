"""Options of a run as typed records; the command line and `MLproject` are generated from their fields.

A field's name, type, default and description are the option's name, type, default and help. ``examples``
holds the value that `MLproject` gives to an option which is required on the command line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid")
POSITIONAL = "positional"  # marks the field of an argument without dashes, as in Annotated[str, POSITIONAL]


def _at_commas(value: str | Iterable[Any]) -> list[Any]:
    """Split texts at commas: MLflow passes several values as one text."""
    items = [value] if isinstance(value, str) else value
    return [
        part.strip() if isinstance(part, str) else part
        for item in items
        for part in (item.split(",") if isinstance(item, str) else [item])
        if part != "" and (not isinstance(part, str) or part.strip())
    ]


Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_at_commas)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_at_commas)]


@dataclass(frozen=True, config=STRICT)
class TaskRequest:
    """A task with its data and device; None means the task's own choice."""

    task: str = Field(default="cxr_pneumonia", description="name of a task, or path of a task file")
    profile: str = Field(default="demo", description="demo (minutes), lite (hours) or paper (GPUs)")
    source: str | None = Field(default=None, description="data source; default: the task's packaged phantoms")
    root: Path | None = Field(default=None, description="folder of a real dataset, for sources that read one")
    scenario: str | None = Field(
        default=None, description="choices of the task, such as view.keep=frontal,mask.shape=joint"
    )
    device: str = Field(default="auto", description="auto, cpu or cuda")
    precision: str = Field(default="auto", description="auto, float32 or bfloat16")

    def run_request(self, **changes: Any) -> RunRequest:
        """The part of this request that planning reads, with some fields replaced."""
        fields = [name for name in RunRequest.__dataclass_fields__ if hasattr(self, name)]
        return RunRequest(**{**{name: getattr(self, name) for name in fields}, **changes})


@dataclass(frozen=True, config=STRICT)
class TrainingRequest(TaskRequest):
    """A task, and how its rows are fitted, measured and trained on."""

    params: Path | None = Field(default=None, description="YAML of generator parameters, as tune writes it")
    extractor: str | None = Field(
        default=None, description="auto, phantom_cxr_v1 or inception; default: the task's extractor"
    )
    weights: str | None = Field(
        default=None,
        description="initial weights of every classifier: none, imagenet, or a folder of "
        "<timm name>.safetensors; default: the task's weights",
    )


@dataclass(frozen=True, config=STRICT)
class RunRequest(TrainingRequest):
    """Everything that a run plan is resolved from."""

    generators: Names | None = Field(
        default=None, description="names or Python files, separated by commas; default: the task's generators"
    )


@dataclass(frozen=True, config=STRICT)
class StageRequest(RunRequest):
    """Options of the verbs that run stages."""

    workers: Count | None = Field(default=None, description="stages at once; default: one per core")
    out: Path | None = Field(default=None, description="folder of results; default: outputs/<task>-<profile>")
