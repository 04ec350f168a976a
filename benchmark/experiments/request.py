"""Options of ``sweep`` and ``tune``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.planning.request import STRICT, Count, StageRequest, TaskRequest


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SweepRequest(StageRequest):
    """A run for every value of one choice of the task, or for the product of several."""

    task: str = Field(
        default="cxr_pneumonia",
        description="name of a task, or path of a task file",
        examples=["lus_limited"],
    )
    over: tuple[str, ...] = Field(
        description="choice of the task, step.field; repeat it for a product of choices",
        examples=["scarce.keep"],
    )
    values: tuple[str, ...] = Field(
        default=(), description="values of the choice, separated by commas; default: all that the task offers"
    )
    out: Path | None = Field(default=None, description="default: outputs/sweep-<task>-<profile>")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TuneRequest(TaskRequest):
    """A search of one generator's parameters."""

    generator: str = Field(description="name, or path of a Python file", examples=["ddpm"])
    trials: Count = Field(default=20, description="total number of trials, including finished ones")
    study: Path | None = Field(default=None, description="SQLite file of the study; default: <out>/study.db")
    seed: int = Field(default=0, description="seed of the sampler")
    out: Path | None = Field(default=None, description="default: outputs/tune-<task>-<generator>")
