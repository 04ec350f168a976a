"""Rules that draw the conditions of requested synthetic images."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmark.tasks.rules import Strict

Condition = Literal["prompt", "mask", "view", "age", "sex", "laterality", "severity", "source_id"]


class Values(Strict):
    """Draw uniformly from these values."""

    values: tuple[str | float, ...] = Field(min_length=1)


class FromFile(Strict):
    """Draw uniformly from the column of a CSV file; with a column ``class``, from the rows of the class."""

    file: Path


class Template(Strict):
    """Fill a prompt: ``{class}``, and the other conditions by name, such as ``{view}``."""

    template: str


RequestRule = Literal["empirical"] | Values | FromFile | Template
Requests = dict[Condition, RequestRule]
EMPIRICAL: Any = "empirical"
