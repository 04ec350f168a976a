"""The process inside a sandbox: takes its limits, hides its pipes, then serves the calls of the suite."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.engine.sandbox.channel import Channel
from benchmark.engine.sandbox.limits import apply_limits
from benchmark.errors import BenchmarkError
from benchmark.utils.processes import give_up_privileges

TRACE = 20_000  # characters


def main() -> None:
    """Serve one sandbox; the only argument holds the settings as JSON."""
    settings = json.loads(sys.argv[1])
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what the launching command has left open
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what the plug-in prints is no message
    give_up_privileges()
    apply_limits(settings["memory"], settings["processes"], settings["limit"])
    scratch = Path(settings["scratch"])
    channel = Channel(
        reader, writer, scratch / ".received", {}, Describer(settings["code"]), settings["limit"]
    )
    module, _, function = settings["entry"].partition(":")
    channel.handlers = getattr(importlib.import_module(module), function)(channel, Path(settings["given"]))
    channel.serve()
    os._exit(0)  # whatever threads the plug-in has left


class Describer:
    """Describes an error of the plug-in; ``code`` is its own file, whose line is named."""

    def __init__(self, code: str | None) -> None:
        self.code = code

    def __call__(self, error: BaseException) -> Mapping[str, Any]:
        text = (str(error).strip().splitlines() or ["no message"])[0][:200]
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == self.code]
        if isinstance(error, SyntaxError) and error.filename == self.code:
            lines.append(error.lineno)
        about: dict[str, Any] = {
            "type": type(error).__name__,
            "text": text,
            "line": lines[-1] if lines else None,
        }
        about["trace"] = "".join(traceback.format_exception(error))[-TRACE:]
        if isinstance(error, BenchmarkError):
            parts = {"where": error.where, "problem": error.problem, "remedy": error.remedy}
            about["benchmark"] = {"kind": type(error).__name__, **{k: str(v) for k, v in parts.items()}}
        return about


if __name__ == "__main__":
    main()
