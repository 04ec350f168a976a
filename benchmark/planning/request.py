"""Options of a run as typed records; the command line and `MLproject` are generated from their fields.

A field's name, type and default are those of the option. The docstring of a request is the help of its verb.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", defer_build=True)  # no schema is built for --help


@dataclasses.dataclass(frozen=True)
class Option:
    """Presentation of a field on the command line.

    Attributes:
        help: line of help.
        example: value in `MLproject` for an option without a default.
        positional: an argument without dashes.
        also_positional: an option that may also be given as the first argument without dashes.
    """

    help: str
    example: str | None = None
    positional: bool = False
    also_positional: bool = False


def _split_at_commas(value: str | Iterable[Any], paths: bool = False) -> list[Any]:
    """Split texts at commas: MLflow passes several values as one text.

    Args:
        paths: a text with a comma that is the path of a file or a folder stays whole.
    """
    items = [value] if isinstance(value, str) else value
    parts = [part for item in items for part in (_parts(item, paths) if isinstance(item, str) else [item])]
    return [part for part in parts if part != ""]


def _parts(text: str, paths: bool) -> Iterator[str]:
    pieces = text.split(",")
    while pieces:
        candidates = ((n, ",".join(pieces[:n]).strip()) for n in range(len(pieces), 0, -1))
        n, part = next((n, part) for n, part in candidates if n == 1 or (paths and os.path.exists(part)))
        pieces = pieces[n:]
        yield part


def _installed(executor: str | None) -> str | None:
    """Refuse an executor that is not installed, before a verb imports anything heavy."""
    from benchmark.engine.resources import installed

    return executor and installed(executor)


Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_at_commas)]
Numbers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_split_at_commas)]
Plugins = Annotated[tuple[str, ...], BeforeValidator(partial(_split_at_commas, paths=True))]
Paths = Annotated[tuple[Path, ...], BeforeValidator(partial(_split_at_commas, paths=True))]
Root = Annotated[Path | None, Option("folder of a real dataset, for sources that read one")]
Settings = Annotated[
    tuple[str, ...],
    Option("settings of the source and of its split: fit=pad,split.too_few=exclude or {name: value, ...}"),
]
TASK = Option("name of a task, or path of a task file", also_positional=True)
Workers = Annotated[Count | None, Option("parallel processes; default: one per core")]
ExecutorName = Annotated[
    str | None,
    AfterValidator(_installed),
    Option("where stages run: local, ray or slurm; default: the cluster file's, else local"),
]
Cluster = Annotated[Path | None, Option("YAML file of a cluster and the resources of stages")]


@dataclass(frozen=True, config=STRICT)
class TaskRequest:
    """A task with its data and device; None means the task's own choice."""

    TITLE: ClassVar = "task and data"

    task: Annotated[str, TASK] = "cxr_pneumonia"
    profile: Annotated[str, Option("demo (minutes), lite (hours) or paper (GPUs)")] = "demo"
    source: Annotated[
        str | None, Option("name or Python file of a data source; default: the task's packaged phantoms")
    ] = None
    root: Root = None
    set: Settings = ()
    scenario: Annotated[
        str | None, Option("choices of the task, such as view.keep=frontal,mask.shape=joint")
    ] = None
    device: Annotated[str, Option("auto, cpu or cuda")] = "auto"
    precision: Annotated[str, Option("auto, float32, bfloat16 or float16")] = "auto"

    def words(self) -> list[str]:
        """Return the task, and the options that differ from their defaults, as words of a command line."""
        words = ["--task", self.task]
        for field in dataclasses.fields(TaskRequest):
            value = getattr(self, field.name)
            if field.name != "task" and value != field.default:
                values = value if isinstance(value, tuple) else (value,)
                words += [word for one in values for word in (f"--{field.name}", str(one))]
        return words

    def run_request(self, **changes: Any) -> RunRequest:
        """The part of this request that planning reads, with some fields replaced."""
        shared = {f.name for f in dataclasses.fields(self)} & {f.name for f in dataclasses.fields(RunRequest)}
        return RunRequest(**{name: getattr(self, name) for name in shared} | changes)


@dataclass(frozen=True, config=STRICT)
class TrainingRequest(TaskRequest):
    """A task, and settings for fitting, measuring and classification."""

    TITLE: ClassVar = "training and measuring"

    params: Annotated[Path | None, Option("YAML of generator parameters, as tune writes it")] = None
    extractor: Annotated[str | None, Option("auto, phantom_cxr_v1 or inception; default: the task's")] = None
    weights: Annotated[
        str | None,
        Option(
            "initial weights of every classifier: none, imagenet, or a folder of <timm name>.safetensors; "
            "default: the task's"
        ),
    ] = None
    metrics: Annotated[
        Plugins, Option("further metrics of synthetic images: names or Python files, separated by commas")
    ] = ()


@dataclass(frozen=True, config=STRICT)
class RunRequest(TrainingRequest):
    """Everything that a run plan is resolved from."""

    TITLE: ClassVar = "rows and seeds"

    generators: Annotated[
        Plugins | None,
        Option(
            "names or Python files, separated by commas, in place of the task's generators; a + before the "
            "first adds them to the task's"
        ),
    ] = None
    only: Annotated[
        Names, Option("rows to run, with real_only, separated by commas; default: every row")
    ] = ()
    seeds: Annotated[
        Numbers, Option("seeds of the trainings, separated by commas: another protocol; default: the task's")
    ] = ()


@dataclass(frozen=True, config=STRICT)
class StageRequest(RunRequest):
    """Run the whole benchmark: data, generate, measure, classify, compare, leaderboard."""

    TITLE: ClassVar = "execution and output"

    workers: Workers = None
    executor: ExecutorName = None
    cluster: Cluster = None
    out: Annotated[Path | None, Option("folder of results; default: outputs/<task>-<profile>")] = None
    dry_run: Annotated[bool, Option("compute nothing; show the stages and their expected costs")] = False


@dataclass(frozen=True, config=STRICT)
class PlanRequest(StageRequest):
    """Show the stages of a run and their expected costs."""

    TITLE: ClassVar = StageRequest.TITLE

    json: Annotated[bool, Option("print JSON")] = False


@dataclass(frozen=True, config=STRICT)
class RunVerbRequest(StageRequest):
    """Run the whole benchmark: data, generate, measure, classify, compare, leaderboard."""

    TITLE: ClassVar = StageRequest.TITLE

    quiet: Annotated[bool, Option("show no progress")] = False
    json: Annotated[bool, Option("print the summary as JSON; progress goes to stderr")] = False
