"""Rules that draw the conditions of requested synthetic images."""

import string
from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from benchmark.tasks.rules import Strict

Condition = Literal["prompt", "mask", "view", "age", "sex", "laterality", "severity", "source_id"]


class Values(Strict):
    """Draw all values equally often; ``by_class`` gives separate values to a class."""

    values: tuple[str | float, ...] = ()
    by_class: dict[str, tuple[str | float, ...]] = {}

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.values and not (self.by_class and all(self.by_class.values())):
            raise ValueError("expected at least one value")
        return self

    def of_class(self, name: str) -> tuple[str | float, ...]:
        """Return the values of a class."""
        return self.by_class.get(name, self.values)


class FromFile(Strict):
    """Draw all values of a CSV column with the condition's name equally often.

    With a column ``class``, those of the image's class. Planning replaces the file by its ``Values``.

    Attributes:
        file: relative to the folder of the task file.
    """

    file: Path


class Template(Strict):
    """Fill a prompt: ``{class}``, and the other conditions by name, such as ``{view}``."""

    template: str

    @field_validator("template")
    @classmethod
    def _well_formed(cls, text: str) -> str:
        if "" in [name for _, name, _, _ in string.Formatter().parse(text)]:
            raise ValueError("a placeholder has no name, such as {view}")
        return text


RequestRule = Literal["empirical"] | Values | FromFile | Template
Requests = dict[Condition, RequestRule]
