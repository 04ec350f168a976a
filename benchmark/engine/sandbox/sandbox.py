"""A process for the code of a plug-in from outside: its start, its calls, its limits and its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from benchmark import errors
from benchmark.engine.sandbox.channel import Channel, ChannelError, Frame, Handler, RemoteError
from benchmark.engine.sandbox.level import Level, chosen_level
from benchmark.engine.sandbox.limits import Limits, Watchdog
from benchmark.engine.sandbox.view import (
    Launch,
    View,
    bubblewrap,
    drops_user,
    environment,
    namespaces,
    readable,
)
from benchmark.errors import BenchmarkError
from benchmark.utils.processes import adopt_orphans, kill_children, out_of_reach_of_a_terminal, reap_orphans

GIVEN = "/given"  # folder of the inputs inside
ECHOED = 20_000  # bytes of its output that are shown
TAIL = 5  # last lines of its output that explain a crash
# Errors that plug-ins may raise by name; StoreError, which ends a run, is not among them.
RAISED = ("TaskError", "UnknownNameError", "DataError", "GeneratorError", "MetricError", "ClassifierError")


@dataclass
class Use:
    """Sandboxes of this process since ``forget``.

    Attributes:
        level: the weakest; None without a sandbox.
        gpu: one of them used a GPU.
    """

    level: Level | None = None
    gpu: bool = False

    def forget(self) -> None:
        """Begin anew, for another node."""
        self.level, self.gpu = None, False

    def note(self, level: Level) -> None:
        """Note the level of a sandbox; the levels' names are in alphabetical order, the weakest last."""
        self.level = level if self.level is None else max(self.level, level)


USED = Use()


class RemoteTraceback(Exception):
    """The traceback of an error inside a sandbox, as the cause of the error that reports it."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass
class Sandbox:
    """A sandboxed process while a ``with`` block runs; then nothing of it is left.

    Attributes:
        entry: ``module:function`` of the suite; called inside with the channel and the folder of the inputs,
            it returns the handlers.
        where: names the plug-in in errors.
        error: type of these errors.
        code: the plug-in's own file, shown at its own place; None for an installed package.
        given: inputs by their path below ``GIVEN``.
        hidden: folders of the suite that stay empty inside.
        handlers: what the process may call here.
    """

    entry: str
    where: str
    error: type[BenchmarkError]
    code: Path | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    hidden: Sequence[Path] = ()
    gpu: bool = False
    limits: Limits = field(default_factory=Limits.of_machine)
    handlers: Mapping[str, Handler] = field(default_factory=dict)

    def __enter__(self) -> Sandbox:
        self.level = chosen_level()
        USED.note(self.level)
        self._stack = ExitStack()
        self._tail: deque[str] = deque(maxlen=TAIL)
        try:
            self._start(Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="synththorax-"))))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.ended.set()
        self._end()
        self._stack.close()

    def _start(self, own: Path) -> None:
        given = GIVEN if self.level != "process" else str(own / "given")
        scratch = "/tmp" if self.level != "process" else str(own / "tmp")
        if self.level == "process":
            self._copy_given(own)
            self._stack.callback(reap_orphans, adopt_orphans())
        settings = {
            "entry": self.entry, "given": given, "scratch": scratch, "limit": self.limits.scratch,
            "code": str(self.code) if self.code else None, "processes": self.limits.processes,
            "memory": 0 if self.gpu else self.limits.memory,
        }  # fmt: skip
        command = [sys.executable, "-P", "-m", "benchmark.engine.sandbox.guest", json.dumps(settings)]
        launch = self._stack.enter_context(self._launch(command, own))
        with out_of_reach_of_a_terminal():
            self._process = subprocess.Popen(
                launch.command, pass_fds=launch.descriptors, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, start_new_session=True,
                cwd=scratch if self.level == "process" else "/",
                env=environment() | {"HOME": scratch, "TMPDIR": scratch},
            )  # fmt: skip
        reader, writer = cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin)
        self._channel = Channel(reader, writer, own / "received", self.handlers, None, self.limits.scratch)
        self._echo = threading.Thread(target=self._drain, daemon=True)
        self._echo.start()
        self._watchdog = Watchdog(self._process.pid, self.limits, self._end)
        self._watchdog.start()

    def _launch(self, command: list[str], own: Path) -> AbstractContextManager[Launch]:
        if self.level == "process":
            return nullcontext(Launch(command))
        given = {Path(GIVEN, name): path for name, path in self.given.items()}
        if self.code is not None:
            given[self.code] = self.code
        given = readable(given, own / "readable") if drops_user() else given
        view = View.of_python(hidden=self.hidden, given=given, gpu=self.gpu, scratch=self.limits.scratch)
        return (bubblewrap if self.level == "bubblewrap" else namespaces)(view, command)

    def _copy_given(self, own: Path) -> None:
        """Copy the inputs where no mount protects the originals."""
        for folder in ("given", "tmp"):
            (own / folder).mkdir()
        for name, source in self.given.items():
            target = own / "given" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)

    def call(self, name: str, value: Any = None, files: Mapping[str, Path] | None = None) -> Frame:
        """Call a handler of the process; its files lie in a folder of this side until the next message.

        Raises:
            BenchmarkError: the call raised an error, the process ended, or it broke a limit.
        """
        try:
            return self._channel.call(name, value, files)
        except RemoteError as fault:
            raise self._raised(name, fault.about) from RemoteTraceback(str(fault.about.get("trace"))[:20_000])
        except ChannelError as fault:
            raise self.error(self.where, f"{name}() gave {fault}", "Fix the plug-in.") from None
        except (EOFError, BrokenPipeError, ValueError):
            raise self._lost(name) from None

    def _raised(self, name: str, about: Mapping[str, Any]) -> BenchmarkError:
        own = about.get("benchmark")
        if isinstance(own, dict):
            kind = getattr(errors, own["kind"]) if own.get("kind") in RAISED else self.error
            where, problem, remedy = (plain(own.get(part, "")) for part in ("where", "problem", "remedy"))
            return cast(BenchmarkError, kind(where, problem, remedy))
        line = about.get("line")
        where = f"{self.where}, line {line}" if isinstance(line, int) else self.where
        problem = f"{name}() raised {plain(about.get('type'))}: {plain(about.get('text'))}"
        if about.get("type") == "MemoryError":
            problem += f" (the limit is {self.limits.memory / 2**30:.1f} GiB)"
        return self.error(where, problem, "Fix it; the whole traceback is in the logs folder of the store.")

    def _lost(self, name: str) -> BenchmarkError:
        """Return the error for a process that is gone."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._watchdog.join(1 if self._watchdog.fault else 0)
        self._echo.join(2)
        if self._watchdog.fault:
            problem, remedy = self._watchdog.fault
            return self.error(self.where, f"{name}() {problem}", remedy)
        status = self._process.poll()
        last = f": {self._tail[-1]}" if self._tail else ""
        problem = f"{name}() ended its process with status {status}{last}"
        return self.error(self.where, problem, "Fix it; status 137 or -9 is most often want of memory.")

    def _drain(self) -> None:
        """Show the first part of what the process prints, and keep its last lines."""
        left, source = ECHOED, cast(BinaryIO, self._process.stderr)
        while data := source.readline(2000):
            text = plain(data.decode("utf-8", "replace").rstrip("\n"), 2000)
            self._tail.append(text)
            if left > 0:
                left -= len(data)
                print(text, file=sys.stderr, flush=True)

    def _end(self) -> None:
        """Kill the process and everything that it started."""
        kill_children(self._process.pid)
        with suppress(OSError):
            os.killpg(self._process.pid, 9)
        self._process.wait()


def plain(text: Any, most: int = 500) -> str:
    """Return a text from outside as one line without control characters, cut to ``most``."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:most])
