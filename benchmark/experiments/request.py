"""Options of ``sweep`` and ``tune``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import (
    STRICT,
    TASK,
    Cluster,
    Count,
    ExecutorName,
    Option,
    StageRequest,
    TaskRequest,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepRequest(StageRequest):
    """Run a task for every value of a choice, then write tables over all runs."""

    task: Annotated[str, replace(TASK, example="lus_limited")] = "cxr_pneumonia"
    over: Annotated[
        tuple[str, ...], Option("choice of the task, step.field; several for a product", "scarce.keep")
    ]
    values: Annotated[
        tuple[str, ...], Option("values of the choice, separated by commas; default: all on offer")
    ] = ()
    out: Annotated[Path | None, Option("default: outputs/sweep-<task>-<profile>")] = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SyncRequest:
    """Send to MLflow what earlier runs could not, since its server was away."""

    seconds: Annotated[float, Field(ge=0), Option("how long to try a server that does not answer")] = 60.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TuneRequest(TaskRequest):
    """Search the parameters of a generator by the FID or the utility of its images on the val split."""

    generator: Annotated[str, Option("name, or path of a Python file", "ddpm")]
    trials: Annotated[Count, Option("total number of trials, including finished ones")] = 20
    study: Annotated[
        str | None,
        Option("SQLite file, .journal file or database URL of the study; default: <out>/study.db"),
    ] = None
    objective: Annotated[
        Literal["fid", "utility", "both"],
        Option("fid of previews, utility on val, or both as a Pareto front"),
    ] = "fid"
    workers: Annotated[Count, Option("trials at once")] = 1
    executor: ExecutorName = None
    cluster: Cluster = None
    most_seconds: Annotated[float | None, Option("constraint: seconds of a trial")] = None
    most_memory_gb: Annotated[float | None, Option("constraint: peak memory of a trial in GiB")] = None
    seed: Annotated[int, Option("seed of the sampler")] = 0
    out: Annotated[Path | None, Option("default: outputs/tune-<task>-<generator>")] = None
