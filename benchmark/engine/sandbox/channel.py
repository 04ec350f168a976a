"""Messages between the suite and a sandboxed process: JSON and files over a pipe, with limits on both."""

from __future__ import annotations

import json
import re
import shutil
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

LENGTH = struct.Struct(">I")
MAX_JSON, MAX_FILES, COPY_BYTES = 2**26, 10_000, 2**20
NAME = re.compile(r"(?!\.)[A-Za-z0-9._+-]{1,128}(/(?!\.)[A-Za-z0-9._+-]{1,128}){0,4}")

Kind = Literal["call", "return", "raise"]
Reply = tuple[Any, Mapping[str, Path]]
Handler = Callable[[Any, Mapping[str, Path]], Reply]


class ChannelError(Exception):
    """The other side broke the form of the messages."""


class RemoteError(Exception):
    """A call raised on the other side; ``about`` describes the error in JSON values."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        super().__init__(about)
        self.about = about


@dataclass(frozen=True)
class Frame:
    """One message; its files lie in the receiver's spool folder until the next message."""

    kind: Kind
    name: str
    value: Any = None
    files: Mapping[str, Path] = field(default_factory=dict)


class Channel:
    """One end of a connection over which both sides call each other; a call may be answered by calls.

    Args:
        spool: folder of this side alone, for received files.
        handlers: what the other side may call, by name.
        describe: turns an error of a handler into JSON values for the other side; None lets it pass.
        limit: bytes of the files of one message.
    """

    def __init__(
        self,
        reader: BinaryIO,
        writer: BinaryIO,
        spool: Path,
        handlers: Mapping[str, Handler],
        describe: Callable[[BaseException], Mapping[str, Any]] | None,
        limit: int,
    ) -> None:
        self.reader, self.writer, self.spool, self.limit = reader, writer, spool, limit
        self.handlers, self.describe = handlers, describe
        self.lock = threading.RLock()

    def call(self, name: str, value: Any = None, files: Mapping[str, Path] | None = None) -> Frame:
        """Call the other side, and answer its calls until it returns.

        Raises:
            RemoteError: the call raised there.
            ChannelError: a malformed message.
            EOFError, OSError: the other side is gone.
        """
        with self.lock:
            self._send("call", name, value, files or {})
            while True:
                frame = self._receive()
                if frame.kind == "return":
                    return frame
                if frame.kind == "raise":
                    if not isinstance(frame.value, dict):
                        raise ChannelError("an error without a description")
                    raise RemoteError(frame.value)
                self._answer(frame)

    def serve(self) -> None:
        """Answer calls until the other side is gone."""
        while True:
            try:
                frame = self._receive()
            except EOFError:
                return
            self._answer(frame)

    def _answer(self, frame: Frame) -> None:
        if frame.kind != "call" or frame.name not in self.handlers:
            raise ChannelError(f"an unexpected message '{frame.name[:40]}'")
        if self.describe is None:
            value, files = self.handlers[frame.name](frame.value, frame.files)
        else:
            try:
                value, files = self.handlers[frame.name](frame.value, frame.files)
            except BaseException as error:  # foreign code may raise anything, SystemExit too
                self._send("raise", frame.name, self.describe(error), {})
                return
        self._send("return", frame.name, value, files)

    def _send(self, kind: Kind, name: str, value: Any, files: Mapping[str, Path]) -> None:
        sizes = {path: file.stat().st_size for path, file in files.items()}
        head = json.dumps({"kind": kind, "name": name, "value": value, "files": sizes}).encode()
        self.writer.write(LENGTH.pack(len(head)) + head)
        for path, size in sizes.items():
            with open(files[path], "rb") as source:
                _copy(source, self.writer, size)
        self.writer.flush()

    def _receive(self) -> Frame:
        (length,) = LENGTH.unpack(_read(self.reader, LENGTH.size))
        if length > MAX_JSON:
            raise ChannelError(f"a message of {length} bytes, at most {MAX_JSON} are allowed")
        frame = _parse(_read(self.reader, length), self.limit)
        shutil.rmtree(self.spool, ignore_errors=True)
        for path, size in frame.files.items():
            target = self.spool / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as sink:
                _copy(self.reader, sink, size)
        return Frame(frame.kind, frame.name, frame.value, {p: self.spool / p for p in frame.files})


@dataclass(frozen=True)
class _Head:
    kind: Kind
    name: str
    value: Any
    files: Mapping[str, int]


def _parse(text: bytes, limit: int) -> _Head:
    """Return a message's head, after checking its form, the names of its files and their size."""
    try:
        head = json.loads(text)
        kind, name, files = head["kind"], head["name"], head["files"]
        formed = kind in ("call", "return", "raise") and isinstance(name, str) and isinstance(files, dict)
        value = head["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        formed = False
    if not formed:
        raise ChannelError("a message that is not of the agreed form")
    if len(files) > MAX_FILES:
        raise ChannelError(f"{len(files)} files, at most {MAX_FILES} are allowed")
    for path, size in files.items():
        if not NAME.fullmatch(path):
            raise ChannelError(f"a file with the name {path[:80]!r}")
        if type(size) is not int or size < 0:
            raise ChannelError(f"a file '{path}' without a size")
    if (total := sum(files.values())) > limit:
        raise ChannelError(f"{total / 2**30:.1f} GiB at once, at most {limit / 2**30:.1f} are allowed")
    return _Head(kind, name, value, files)


def _read(source: BinaryIO, count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _copy(source: BinaryIO, sink: BinaryIO, count: int) -> None:
    while count:
        part = _read(source, min(count, COPY_BYTES))
        sink.write(part)
        count -= len(part)
