"""Options of ``sweep`` and ``tune``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import STRICT, TASK, Count, Option, StageRequest, TaskRequest


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
    """Search the parameters of a generator by the FID of its images to the val split."""

    generator: Annotated[str, Option("name, or path of a Python file", "ddpm")]
    trials: Annotated[Count, Option("total number of trials, including finished ones")] = 20
    study: Annotated[Path | None, Option("SQLite file of the study; default: <out>/study.db")] = None
    seed: Annotated[int, Option("seed of the sampler")] = 0
    out: Annotated[Path | None, Option("default: outputs/tune-<task>-<generator>")] = None
