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

from benchmark.cli.verbs import Verb
from benchmark.errors import BenchmarkError, unknown_name
from benchmark.planning.request import Option
from benchmark.utils.commands import MODULE, program

BARE = "bare "  # begins the name of an argument that an option also takes
WHERE = "command line"  # errors with this place exit with status 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BenchmarkError(WHERE, message, f"See {self.prog} --help.")


def _fields(request: type) -> Iterator[tuple[str, FieldInfo, Option, str]]:
    """Name, field, presentation and option of every field: ``shard_size`` is ``--shard-size``."""
    for name, field in request.__pydantic_fields__.items():  # type: ignore[attr-defined]
        about = next(item for item in field.metadata if isinstance(item, Option))
        yield name, field, about, name if about.positional else "--" + name.replace("_", "-")


def parser(name: str, verb: Verb) -> argparse.ArgumentParser:
    """Make the parser of one verb; values stay text, for pydantic to validate."""
    examples = "".join(f"\n  {program()} {example}" for example in verb.examples)
    result = _Parser(
        prog=f"{program()} {name}",
        usage=_usage(name, verb.request),
        description=verb.about,
        epilog=examples and f"examples:{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = {title: result.add_argument_group(title) for title in _titles(verb.request)}
    for field_name, field, option, label in _fields(verb.request):
        settings: dict[str, Any] = {"help": option.help + _default(field, option)}
        if _holds(field.annotation, tuple):
            settings |= {"nargs": "+", "action": "extend"}
        elif _holds(field.annotation, bool):
            settings |= {"nargs": "?", "const": "true", "metavar": "true|false"}
        group = groups[_title(verb.request, field_name)]
        if option.also_positional:
            shown: dict[str, Any] = {
                "nargs": "?",
                "metavar": field_name.upper(),
                "help": f"the same as {label}",
            }
            group.add_argument(BARE + field_name, **shown)
        if not option.positional:
            settings["required"] = field.is_required()
        elif not field.is_required():
            settings["nargs"] = "?"
        group.add_argument(label, **settings)
    return result


def _usage(name: str, request: type) -> str:
    """Return the line of usage: arguments, required options, and the place of the others."""
    words = [f"{program()} {name}"]
    for field_name, field, option, label in _fields(request):
        shown = field_name.upper()
        if option.positional:
            words.append(shown if field.is_required() else f"[{shown}]")
        elif option.also_positional:
            words.append(f"[{shown}]")
        elif field.is_required():
            words.append(f"{label} {shown}")
    return " ".join([*words, "[options]"])


def _titles(request: type) -> list[str]:
    """Return the titles of the groups of a request's options, those of its base classes first."""
    return list(dict.fromkeys(_title(request, name) for name, *_ in _fields(request)))


def _title(request: type, field: str) -> str:
    """Return the title of the class that introduced a field."""
    first = next(kind for kind in reversed(request.__mro__) if field in getattr(kind, "__annotations__", {}))
    return str(first.__dict__.get("TITLE", "options of this verb"))


def _default(field: FieldInfo, option: Option) -> str:
    """Return the default as the help shows it."""
    if field.is_required() or field.default in (None, False, ()) or "default" in option.help:
        return ""
    return f" (default: {field.default})".replace("%", "%%")


def parse(name: str, verb: Verb, arguments: Sequence[str]) -> Any:
    """Read the arguments of a verb; an empty string counts as not given.

    Raises:
        BenchmarkError: an unknown option, a missing one, or a value of the wrong type.
    """
    request, reader = verb.request, parser(name, verb)
    read, unknown = reader.parse_known_args(arguments)
    values = vars(read)
    for bare in [key for key in values if key.startswith(BARE)]:
        if (value := values.pop(bare)) and values[bare.removeprefix(BARE)]:
            reader.error(f"'{value}' and --{bare.removeprefix(BARE)} are given")
        elif value:
            values[bare.removeprefix(BARE)] = value
    for word in unknown:
        if not word.startswith("-"):
            reader.error(f"unexpected argument '{word}'")
        raise unknown_name("option", word.partition("=")[0], [*labels(request), "--help"], WHERE)
    given = {n: [t for t in v if t.strip()] if isinstance(v, list) else v for n, v in values.items()}
    try:
        return request(**{name: value for name, value in given.items() if value})
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        label = next(label for field, _, _, label in _fields(request) if field == name)
        value = "" if fault["type"] == "missing" else f", got {given.get(name)!r}"
        reader.error(f"{label}: {fault['msg']}{value}")


def labels(request: type) -> list[str]:
    """Return the options of a request that begin with dashes."""
    return [label for _, _, option, label in _fields(request) if not option.positional]


def entry_point(name: str, verb: str, request: type) -> str:
    """One entry of `MLproject`: every field is a parameter, and the command passes all of them on."""
    lines, command = [f"  {name}:"], [f"{MODULE} {verb}"]
    if request.__pydantic_fields__:  # type: ignore[attr-defined]
        lines.append("    parameters:")  # MLflow refuses an empty entry
    bare, named = list[str](), list[str]()
    for parameter, field, option, label in _fields(request):
        default = field.default if option.example is None else option.example
        text = "" if default is None or default is False or default == () else str(default)
        lines.append(
            f"      {parameter}: {{type: string, default: {json.dumps(text)}}}".ljust(60) + f"# {option.help}"
        )
        if option.positional:
            bare.append(f"{{{parameter}}}")  # an option of several values would take one that follows it
        else:
            named.append(f"{label} {{{parameter}}}")
    words = " ".join([*command, *bare, *named])
    wrapped = textwrap.wrap(words, 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*lines, "    command: >-", *(f"      {line}" for line in wrapped)])


def _holds(annotation: Any, kind: type) -> bool:
    """Return whether a type, or a member of a union, is ``kind``."""
    return kind in (annotation, get_origin(annotation)) or any(
        _holds(member, kind) for member in get_args(annotation)
    )
