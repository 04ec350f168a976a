"""Turn a typed request into the options of a verb, and into an entry point of `MLproject`.

The libraries that build a command line from typed records (pydantic-settings, jsonargparse, cyclopts, tyro)
do not write `MLproject`, and do not read an empty string as "not given", as MLflow passes it. Both need the
same walk over the fields, after which argparse and pydantic leave little to add.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from benchmark.errors import BenchmarkError, unknown_name
from benchmark.planning.request import POSITIONAL

PROGRAM = "python -m benchmark"
WHERE = "command line"  # errors with this place exit with status 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BenchmarkError(WHERE, message, f"See {self.prog} --help.")


def fields(request: type) -> dict[str, FieldInfo]:
    """The fields of a request by name."""
    return request.__pydantic_fields__  # type: ignore[attr-defined]


def option(name: str) -> str:
    """The option of a field: ``shard_size`` is ``--shard-size``."""
    return "--" + name.replace("_", "-")


def parser(verb: str, about: str, request: type) -> argparse.ArgumentParser:
    """Make the parser of one verb; values stay text, for pydantic to validate."""
    made = _Parser(prog=f"{PROGRAM} {verb}", description=about)
    for name, field in fields(request).items():
        settings: dict[str, Any] = {"help": field.description, "default": None}
        if _holds(field.annotation, tuple):
            settings |= {"nargs": "+", "action": "extend"}
        elif _holds(field.annotation, bool):
            settings |= {"nargs": "?", "const": "true", "metavar": "true|false"}
        required = field.is_required()
        if POSITIONAL in field.metadata:
            made.add_argument(name, **(settings if required else {**settings, "nargs": "?"}))
        else:
            made.add_argument(option(name), required=required, **settings)
    return made


def parse(verb: str, about: str, request: type, arguments: Sequence[str]) -> Any:
    """Read the arguments of a verb; an empty string counts as not given.

    Raises:
        BenchmarkError: an unknown option, a missing one, or a value of the wrong type.
    """
    made = parser(verb, about, request)
    values, unknown = made.parse_known_args(arguments)
    for word in unknown:
        if word.startswith("-"):
            raise unknown_name(
                "option",
                word.partition("=")[0],
                [o for o in made._option_string_actions if o.startswith("--")],
                WHERE,
            )
        made.error(f"unexpected argument '{word}'")
    given = {name: _not_empty(value) for name, value in vars(values).items()}
    try:
        return request(**{name: value for name, value in given.items() if value})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        value = "" if fault["type"] == "missing" else f", got {given.get(name)!r}"
        label = name if POSITIONAL in fields(request)[name].metadata else option(name)
        made.error(f"{label}: {fault['msg']}{value}")


def entry_point(name: str, verb: str, request: type) -> str:
    """One entry of `MLproject`: every field is a parameter, and the command hands all of them on."""
    lines, words = [f"  {name}:", "    parameters:"], []
    for parameter, field in fields(request).items():
        declared = f"      {parameter}: {{type: string, default: {json.dumps(_project_default(field))}}}"
        lines.append(f"{declared:<60}# {field.description}")
        value = f"{{{parameter}}}"
        words.append(value if POSITIONAL in field.metadata else f"{option(parameter)} {value}")
    command = " ".join(["python -m benchmark", verb, *words])
    wrapped = textwrap.wrap(command, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "    command: >-", *(f"      {line}" for line in wrapped)])


def _project_default(field: FieldInfo) -> str:
    value = field.examples[0] if field.examples else field.default
    return "" if value is None or value is False or value == () else str(value)


def _not_empty(value: Any) -> Any:
    return [item for item in value if item.strip()] if isinstance(value, list) else value


def _holds(annotation: Any, kind: type) -> bool:
    """Return whether a type, or a member of a union, is ``kind``."""
    return kind in (annotation, get_origin(annotation)) or any(
        _holds(member, kind) for member in get_args(annotation)
    )
