"""Seconds from the start of a command to its first line: ``python perf/first_line.py [COMMAND ...]``.

The first line may come on either stream. A command is stopped as soon as it has written it.
"""

import shlex
import subprocess
import sys
import tempfile
import time

COMMANDS = (
    "--help", "run --help", "tasks", "run tests/tasks/tiny.yaml", "run --dry-run",
    "sweep lus_limited --over scarce.keep",
    "tune --generator ddpm", "data show phantom.chest", "leaderboard --check", "compare --bundles outputs",
    "tables --bundles outputs --out outputs/tables", "stats runs --csv examples/comparing/runs.csv", "doctor",
    "verify outputs/x.zip", "judge --real a --synthetic b", "completion bash",
)  # fmt: skip


def first_line(words: list[str]) -> tuple[float, str]:
    """Return the seconds to the first line of a command, and the line."""
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmark", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().rstrip()
        seconds = time.monotonic() - began
        process.terminate()
        process.stdout.read()
    return seconds, line


def main() -> None:
    """Print a line per command, the slowest last."""
    with tempfile.TemporaryDirectory() as out:
        times = []
        for text in sys.argv[1:] or COMMANDS:
            words = shlex.split(text)
            words += ["--out", out] if words[0] in ("run", "tune", "sweep") and len(words) > 1 else []
            times.append((*first_line(words), text))
    for seconds, line, text in sorted(times):
        print(f"{seconds:5.2f} s  {text}: {line[:70]}")


if __name__ == "__main__":
    main()
