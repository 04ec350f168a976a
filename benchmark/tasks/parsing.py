"""Read YAML and validate plain data; every fault names its place, and suggests the field that was meant."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from benchmark.errors import TaskError, unknown_name


class _NoDuplicates(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    lines: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, (str, int, float, bool)) and key is not None:
            raise yaml.constructor.ConstructorError(
                None, None, "a key must be a plain value", key_node.start_mark
            )
        if key in lines:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key '{key}', first in line {lines[key]}", key_node.start_mark
            )
        lines[key] = key_node.start_mark.line + 1
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of plain data.

    Raises:
        TaskError: the file is missing, not YAML, or not a mapping; or it has a tag or a duplicate key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(
            str(path), f"cannot be read: {error}", "Give the path of a UTF-8 YAML file."
        ) from None
    try:
        value = yaml.load(text, Loader=_NoDuplicates)  # noqa: S506 - a SafeLoader with one more rule
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f": line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise TaskError(f"{path}{line}", problem, "Fix the YAML; tags are not allowed.") from None
    except (ValueError, RecursionError) as error:  # an impossible date, a number of a thousand digits
        raise TaskError(str(path), f"is not plain YAML: {error}", "Quote texts; nest less.") from None
    if not isinstance(value, dict):
        raise TaskError(str(path), f"expected a mapping, got {type(value).__name__}")
    return value


def parse(model: type[BaseModel], value: Mapping[str, Any], where: str) -> Any:
    """Validate plain data against a model.

    Raises:
        TaskError: names the field of every fault.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, where, model) from None


def _explain(error: ValidationError, where: str, model: type[BaseModel]) -> TaskError:
    """Describe every fault in a line; misspelled fields come first, since they explain most."""
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    first, *others = (_fault(fault, where, model) for fault in faults)
    if not others:
        return first
    lines = [
        line for line in (first.remedy, *(f"{other.where}: {other.problem}" for other in others)) if line
    ]
    return type(first)(first.where, first.problem, "\n       ".join(filter(None, lines)))


def _fault(fault: Any, where: str, model: type[BaseModel]) -> TaskError:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, fault["loc"][:-1])
        if known:
            return unknown_name("field", str(fault["loc"][-1]), known, f"{where}: {field}")
        return TaskError(f"{where}: {field}", "unknown field", "Remove it.")
    value = "" if isinstance(fault.get("input"), (dict, list)) else f", got {fault.get('input')!r}"
    return TaskError(f"{where}: {field}" if field else where, f"{fault['msg']}{value}")


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The fields that the schema declares at a place; empty if the place is not a model."""
    schema = model.model_json_schema()
    here: Any = schema
    for part in path:
        here = _resolve(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part) or here.get("additionalProperties") or {}
        if not isinstance(here, dict):
            return []
    return list(_resolve(here, schema).get("properties", {}))


def _resolve(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in here:
        here = schema["$defs"][here["$ref"].rsplit("/", 1)[-1]]
    return here
