"""Show pydantic models as tables of Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    NoneType: "null",
    Any: "any",
}


def members(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model and all models that its fields hold, each once, in the order of the fields."""
    models = [model]
    for known in models:
        for field in known.model_fields.values():
            models += [inner for inner in _models(field.annotation) if inner not in models]
    return models


def rows(model: type[BaseModel], about: Mapping[str, str], *, link: bool = True) -> Iterable[tuple[str, ...]]:
    """Return name, value, meaning and default of every field."""
    for name, field in model.model_fields.items():
        yield f"`{name}`", kind(field.annotation, link=link), cell(about.get(name, "")), default(field)


def kind(annotation: Any, *, link: bool = True) -> str:
    """Return a type in words; a model is a link to its section."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(kind(part, link=link) for part in inside))
    if origin in (tuple, list, frozenset):
        return "list of " + " or ".join(
            dict.fromkeys(kind(part, link=link) for part in inside if part is not ...)
        )
    if origin is not None and issubclass(origin, Mapping):
        return f"map of {kind(inside[0], link=link)} to {kind(inside[1], link=link)}"
    if origin is not None or hasattr(annotation, "__metadata__"):  # Annotated
        return kind(inside[0], link=link)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})" if link else annotation.__name__
    return WORDS.get(annotation, "any")


def default(field: FieldInfo) -> str:
    """Return the default of a field; nothing for an empty one."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value is False or isinstance(value, BaseModel) or (not value and value != 0):
        return ""
    shown = ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return cell(f"`{shown}`")


def cell(text: str) -> str:
    """Return a text as a cell of a table."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|").replace("<", "&lt;")


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    shown = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
