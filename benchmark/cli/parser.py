"""The command line: parse a verb and its options, call one function, print errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

from benchmark import __version__
from benchmark.cli.options import PROGRAM, WHERE, parse
from benchmark.cli.verbs import VERBS, Verb
from benchmark.errors import BenchmarkError, unknown_name

ABOUT = "Does adding synthetic images help on real patients?"


def overview() -> str:
    """The help text that lists the verbs."""
    verbs = [f"  {name:<13}{verb.about}" for name, verb in VERBS.items()]
    usage = f"usage: {PROGRAM} [--help] [--version] VERB [OPTIONS]"
    return "\n".join(
        [usage, "", ABOUT, "", "verbs:", *verbs, "", f"Options of a verb: {PROGRAM} VERB --help"]
    )


def read_request(words: Sequence[str]) -> tuple[Verb, Any]:
    """The verb and the typed request of a command line.

    Raises:
        BenchmarkError: an unknown verb or option, or a value of the wrong type.
    """
    verb, rest = words[0], list(words[1:])
    if verb not in VERBS:
        raise unknown_name("verb", verb, [name for name in VERBS if " " not in name], WHERE)
    actions = [name.split()[1] for name in VERBS if name.startswith(f"{verb} ")]
    if actions and rest and not rest[0].startswith("-"):
        if rest[0] not in actions:
            raise unknown_name("action", rest[0], actions, f"{WHERE}: {verb}")
        verb = f"{verb} {rest.pop(0)}"
    return VERBS[verb], parse(verb, VERBS[verb].about, VERBS[verb].request, rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for a wrong command line, 130 for an interrupt.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "--version"):
        print(__version__ if words == ["--version"] else overview())
        return 0 if words else 2
    try:
        verb, request = read_request(words)
        status: int = resolve_name(verb.function)(request, *verb.arguments)
        return status
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.where.startswith(WHERE) else 1
    except KeyboardInterrupt:
        print("stopped; the same command continues where it stopped", file=sys.stderr)
        return 130
