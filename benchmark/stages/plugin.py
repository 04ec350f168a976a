"""The generator plug-in of a row, as stages call it."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Literal

from pydantic import BaseModel, Field

from benchmark.errors import BenchmarkError, GeneratorError
from benchmark.plugins.registry import Plugin
from benchmark.stages.job import first_line


class PluginReference(BaseModel, extra="forbid", frozen=True):
    """Name, origin and code version of a plug-in; its import target is part of no cache key."""

    name: str
    origin: Literal["builtin", "entry_point", "file"]
    version: str
    target: str = Field(exclude=True)

    def load(self) -> ModuleType:
        """Import the plug-in.

        Raises:
            TaskError: it cannot be imported.
        """
        return Plugin("generators", self.name, self.origin, self.target).load()


@contextmanager
def generator_errors(name: str, call: str) -> Iterator[None]:
    """Report every exception of a generator's method as one line that names it."""
    try:
        yield
    except BenchmarkError:
        raise
    except Exception as error:  # a third party's code may raise anything
        raise GeneratorError(
            f"generator '{name}'",
            f"{call} raised {type(error).__name__}: {first_line(error)}",
            "Fix the generator; the whole traceback is in the logs folder of the store.",
        ) from error
