"""Contract of a data source: a module with a version, parameters, conditions and two functions."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol, cast, get_args

from pydantic import BaseModel

from benchmark.errors import TaskError, unknown_name
from benchmark.images.image_set import ImageSet
from benchmark.plugins.registry import Plugin
from benchmark.tasks.requests import Condition

CONDITIONS = frozenset(get_args(Condition)) - {"source_id"}  # every image has an id
PAGE = "See docs/add_a_dataset.md."


class DataSource(Protocol):
    """Contract of a source; see docs/add_a_dataset.md. A module fulfills it.

    Attributes:
        version: of the code; another version reads other data.
        conditions: columns of ``CONDITIONS`` that its images may have. A source whose files or parameters
            decide it also has ``conditions_of(params)``, which returns the columns of these images.
        Params: its parameters, a frozen model without further fields. A ``Path`` is part of no cache key,
            and ``root`` is the folder that ``--root`` gives.
    """

    version: str
    conditions: frozenset[str]
    Params: type[BaseModel]

    def fingerprint(self, params: Any) -> str:
        """Return a hash of everything that ``images`` reads."""

    def images(
        self, params: Any, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
    ) -> ImageSet:
        """Return every image with its columns and, in ``card``, a description and notes."""


def load_source(plugin: Plugin) -> DataSource:
    """Import a source and check its contract.

    Raises:
        TaskError: it cannot be imported, or a part is missing or wrong; names the part.
    """
    module = plugin.load()
    for name in ("version", "conditions", "Params", "fingerprint", "images"):
        if not hasattr(module, name):
            raise TaskError(f"{plugin.target}: {name}", "is missing", PAGE)
    _check_params(module, plugin.target)
    if not isinstance(module.conditions, frozenset):
        problem = f"is {type(module.conditions).__name__}, expected a frozenset of names"
        raise TaskError(f"{plugin.target}: conditions", problem, PAGE)
    for name in module.conditions:
        if name not in CONDITIONS:
            raise unknown_name("condition", str(name), sorted(CONDITIONS), f"{plugin.target}: conditions")
    request = {"classes": (), "image_size": 64, "reserve_per_class": 0, "seed": 0}
    _check_call(module.fingerprint, "fingerprint(params)", plugin.target)
    _check_call(module.images, f"images(params, *, {', '.join(request)})", plugin.target, **request)
    return cast(DataSource, module)


def _check_params(module: ModuleType, target: str) -> None:
    kind = module.Params
    strict = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not strict or kind.model_config.get("extra") != "forbid" or not kind.model_config.get("frozen"):
        remedy = 'Write: class Params(BaseModel, extra="forbid", frozen=True)'
        raise TaskError(f"{target}: Params", "is not a strict, frozen model of pydantic", remedy)


def _check_call(function: Callable[..., Any], form: str, target: str, **request: Any) -> None:
    try:
        inspect.signature(function).bind(None, **request)
    except (TypeError, ValueError):
        raise TaskError(f"{target}: {function.__name__}", f"cannot be called as {form}", PAGE) from None


def source_conditions(module: Any, params: Any = None) -> frozenset[str]:
    """Return the conditions that images of a source have, or may have while ``params`` are unknown.

    Raises:
        DataError: by a source that reads its files to know.
    """
    if params is None or not hasattr(module, "conditions_of"):
        return frozenset(module.conditions)
    return frozenset(module.conditions_of(params))
