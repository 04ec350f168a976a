"""The command line: parse a verb and its options, call one function, print errors."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any

from benchmark import __version__
from benchmark.cli.options import WHERE, parse
from benchmark.cli.verbs import GROUPS, VERBS, Verb
from benchmark.errors import BenchmarkError, unknown_name
from benchmark.utils.commands import program
from benchmark.utils.signals import Interrupted, ended_by_signals

ABOUT = "Does adding synthetic images help on real patients?"


def overview() -> str:
    """The help text that lists the verbs by group."""
    lines = [f"usage: {program()} [--help] [--version] VERB [OPTIONS]", "", ABOUT]
    for title, verbs in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<16}{verb.about}" for name, verb in verbs.items())]
    return "\n".join([*lines, "", f"Options and examples of a verb: {program()} VERB --help"])


def read_request(words: Sequence[str]) -> tuple[Verb, Any]:
    """The verb and the typed request of a command line.

    Raises:
        BenchmarkError: an unknown verb or option, or a value of the wrong type.
    """
    verb, rest = words[0], list(words[1:])
    known = list(dict.fromkeys(name.split()[0] for name in VERBS))
    if verb not in known:
        raise unknown_name("verb", verb, known, WHERE)
    actions = [name.split()[1] for name in VERBS if name.startswith(f"{verb} ")]
    if verb not in VERBS and (not rest or rest[0].startswith("-")):
        raise BenchmarkError(WHERE, f"{verb}: no action is given", f"Known: {', '.join(actions)}.")
    if actions and rest and not rest[0].startswith("-"):
        if rest[0] not in actions:
            raise unknown_name("action", rest[0], actions, f"{WHERE}: {verb}")
        verb = f"{verb} {rest.pop(0)}"
    return VERBS[verb], parse(verb, VERBS[verb], rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        arguments: None for those of the process, which first shows that it has begun.
    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for a wrong command line, 130 for Ctrl-C, 143 for
        a SIGTERM, 141 for a reader of the output that has ended.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ended_by_signals(), _without_warnings():
            if not words or words[0] in ("-h", "--help", "--version"):
                print(__version__ if words == ["--version"] else overview(), flush=True)
                return 0 if words else 2
            verb, request = read_request(words)
            if arguments is None and verb.first and not getattr(request, "quiet", False):
                print(f"{words[0]}: {verb.first} ...", file=sys.stderr, flush=True)
            status: int = resolve_name(verb.function)(request, *verb.arguments)
            sys.stdout.flush()
        return status
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if error.where.startswith(WHERE) else 1
    except Interrupted as stop:
        print(f"stopped by {stop}; the same command continues where it stopped", file=sys.stderr)
        return stop.status
    except BrokenPipeError:  # the reader of the output, such as ``head``, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence the warnings of dependencies, here and in workers, unless the user asked for them."""
    if sys.warnoptions:
        yield
        return
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
