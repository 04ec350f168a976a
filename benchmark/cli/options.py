"""Turn a typed request into the options of a verb, and into an entry point of `MLproject`.

The libraries that build a command line from typed records (pydantic-settings, jsonargparse, cyclopts, tyro)
do not write `MLproject`, and do not read an empty string as "not given", as MLflow passes it. Both need the
same walk over the fields, after which argparse and pydantic leave little to add.
"""

import argparse
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from benchmark.errors import BenchmarkError, unknown_name
from benchmark.planning.request import Option

PROGRAM = "python -m benchmark"
WHERE = "command line"  # errors with this place exit with status 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BenchmarkError(WHERE, message, f"See {self.prog} --help.")


def _fields(request: type) -> Iterator[tuple[str, FieldInfo, Option, str]]:
    """Name, field, presentation and option of every field: ``shard_size`` is ``--shard-size``."""
    for name, field in request.__pydantic_fields__.items():  # type: ignore[attr-defined]
        about = next(item for item in field.metadata if isinstance(item, Option))
        yield name, field, about, name if about.positional else "--" + name.replace("_", "-")


def parser(verb: str, about: str, request: type) -> argparse.ArgumentParser:
    """Make the parser of one verb; values stay text, for pydantic to validate."""
    result = _Parser(prog=f"{PROGRAM} {verb}", description=about)
    for _, field, option, label in _fields(request):
        settings: dict[str, Any] = {"help": option.help}
        if _holds(field.annotation, tuple):
            settings |= {"nargs": "+", "action": "extend"}
        elif _holds(field.annotation, bool):
            settings |= {"nargs": "?", "const": "true", "metavar": "true|false"}
        if not option.positional:
            settings["required"] = field.is_required()
        elif not field.is_required():
            settings["nargs"] = "?"
        result.add_argument(label, **settings)
    return result


def parse(verb: str, about: str, request: type, arguments: Sequence[str]) -> Any:
    """Read the arguments of a verb; an empty string counts as not given.

    Raises:
        BenchmarkError: an unknown option, a missing one, or a value of the wrong type.
    """
    reader = parser(verb, about, request)
    values, unknown = reader.parse_known_args(arguments)
    for word in unknown:
        if not word.startswith("-"):
            reader.error(f"unexpected argument '{word}'")
        options = [label for _, _, option, label in _fields(request) if not option.positional]
        raise unknown_name("option", word.partition("=")[0], [*options, "--help"], WHERE)
    given = {n: [t for t in v if t.strip()] if isinstance(v, list) else v for n, v in vars(values).items()}
    try:
        return request(**{name: value for name, value in given.items() if value})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        label = next(label for field, _, _, label in _fields(request) if field == name)
        value = "" if fault["type"] == "missing" else f", got {given.get(name)!r}"
        reader.error(f"{label}: {fault['msg']}{value}")


def entry_point(name: str, verb: str, request: type) -> str:
    """One entry of `MLproject`: every field is a parameter, and the command passes all of them on."""
    lines, command = [f"  {name}:", "    parameters:"], [f"{PROGRAM} {verb}"]
    for parameter, field, option, label in _fields(request):
        default = field.default if option.example is None else option.example
        text = "" if default is None or default is False or default == () else str(default)
        lines.append(
            f"      {parameter}: {{type: string, default: {json.dumps(text)}}}".ljust(60) + f"# {option.help}"
        )
        if option.positional:
            command.insert(1, f"{{{parameter}}}")  # an option of several values would take it for one
        else:
            command.append(f"{label} {{{parameter}}}")
    wrapped = textwrap.wrap(" ".join(command), 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "    command: >-", *(f"      {line}" for line in wrapped)])


def _holds(annotation: Any, kind: type) -> bool:
    """Return whether a type, or a member of a union, is ``kind``."""
    return kind in (annotation, get_origin(annotation)) or any(
        _holds(member, kind) for member in get_args(annotation)
    )
