"""Levels of isolation that a machine can give, and what each of them is worth in words."""

import os
import subprocess
import sys
from functools import cache
from typing import Literal, get_args

from benchmark.engine.sandbox.view import View, bubblewrap, environment, namespaces
from benchmark.errors import BenchmarkError, unknown_name

Level = Literal["bubblewrap", "namespaces", "process"]
LEVELS: tuple[Level, ...] = get_args(Level)  # the best first
CHOICE = "SYNTHTHORAX_SANDBOX"
INSTALL = (
    "Install bubblewrap (apt-get install bubblewrap, or dnf install bubblewrap), and allow it namespaces."
)
SENTENCES = {
    "bubblewrap": "Its code ran in a sandbox (bubblewrap) that held its training images and nothing else of "
    "the run, without network.",
    "namespaces": "Its code ran in a sandbox (Linux namespaces) that held its training images and nothing "
    "else of the run, without network.",
    "process": "Its code was NOT isolated: it ran in a separate process that could read the test images and "
    "use the network.",
    "none": "Its code was NOT isolated: it ran in a process of the suite, and could read the test images.",
}
EXPOSED = ("process", "none")
PROBE_SECONDS = 20


def chosen_level() -> Level:
    """Return the level of SYNTHTHORAX_SANDBOX, or the best that this machine gives.

    Raises:
        BenchmarkError: the variable names no level, or one that this machine does not give.
    """
    choice = os.environ.get(CHOICE)
    if not choice:
        return next(level for level in LEVELS if works(level))
    if choice not in LEVELS:
        raise unknown_name("level", choice, list(LEVELS), CHOICE)
    level = next(level for level in LEVELS if level == choice)
    if not works(level):
        raise BenchmarkError(CHOICE, f"is {level}, which this machine does not give", INSTALL)
    return level


@cache
def warn_if_exposed() -> None:
    """Print once, with the remedy, that this machine does not isolate code from outside."""
    if chosen_level() in EXPOSED:
        problem = "note: generators from outside are NOT isolated here, and the board will say so"
        print(f"{problem}\n       {INSTALL}", file=sys.stderr, flush=True)


@cache
def works(level: Level) -> bool:
    """Return whether a command runs at this level here."""
    if level == "process":
        return True
    wrap = bubblewrap if level == "bubblewrap" else namespaces
    try:
        view = View.of_python(hidden=(), given={}, gpu=False, scratch=2**20)
        with wrap(view, [sys.executable, "-P", "-c", "import benchmark.errors"]) as launch:
            done = subprocess.run(
                launch.command, pass_fds=launch.descriptors, env=environment(), capture_output=True,
                stdin=subprocess.DEVNULL, timeout=PROBE_SECONDS, check=False,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
