"""Tracking entries on their way to MLflow: on the disk until the tracking store has them."""

import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.utils.hashing import sha256_of
from benchmark.utils.processes import process_runs

Entry = Mapping[str, Any]
BEAT_SECONDS = 60.0
LEASE_SECONDS = 600.0  # without a sign of life; of a run on another machine


class Outbox:
    """Entries of one run in order: in memory until they are sent, and in a file that outlives the process.

    Attributes:
        fault: why the file cannot be written; empty while it can.
    """

    def __init__(self, folder: Path, store: str, experiment: str, run_id: str) -> None:
        self.path, self.fault = folder / _file_name(f"{run_id}-{uuid.uuid4().hex[:8]}"), ""
        self._waiting: list[Entry] = []
        self._unsent = 0
        self._changed = threading.Condition()
        self._beat = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            self.fault = error.strerror or str(error)
        self._write({"store": sha256_of(store), "experiment": experiment, "run_id": run_id})

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        self._write(entry)
        with self._changed:
            self._waiting.append(entry)
            self._unsent += 1
            self._changed.notify_all()

    def _write(self, entry: Entry) -> None:
        if self.fault:
            return
        try:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()
        except OSError as error:
            self.fault = error.strerror or str(error)

    def take(self, seconds: float = BEAT_SECONDS) -> list[Entry]:
        """Return the entries that were not taken yet, in order; none if none comes within some seconds."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(seconds)
            taken, self._waiting = self._waiting, []
            return taken

    def sent(self, count: int = 1) -> None:
        """Note that some of the taken entries are sent."""
        with self._changed:
            self._unsent -= count

    def beat(self) -> None:
        """Show that the run lives."""
        if time.monotonic() - self._beat > BEAT_SECONDS:
            self._beat = time.monotonic()
            with suppress(OSError):
                os.utime(self.path)

    def __len__(self) -> int:
        """Return the number of entries that are not sent."""
        return self._unsent

    def close(self) -> None:
        """Close the file; remove it if every entry is sent, else leave it to the next start."""
        if hasattr(self, "_file"):
            with suppress(OSError):
                self._file.close()
        if self._unsent:
            self.path = release(self.path)
        else:
            with suppress(OSError):
                self.path.unlink()


class LeftOutbox:
    """The file of a run that ended before it had sent every entry; this process has taken it over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        about = next(_entries(path))
        self.experiment, self.run_id = str(about["experiment"]), str(about["run_id"])

    def __iter__(self) -> Iterator[Entry]:
        entries = _entries(self.path)
        next(entries)
        return entries


def take_left(folder: Path, store: str) -> list[LeftOutbox]:
    """Take over the files in a folder whose processes are gone, for one tracking store."""
    left = []
    for path in sorted(folder.glob("*@*.jsonl")):
        name, host, pid = path.stem.split("@")
        try:
            if not _is_gone(path, host, int(pid)) or next(_entries(path))["store"] != sha256_of(store):
                continue
            own = path.with_name(_file_name(name))
            os.rename(path, own)
            left.append(LeftOutbox(own))
        except (OSError, ValueError, KeyError, StopIteration):  # another start was faster; not a whole file
            continue
    return left


def release(path: Path) -> Path:
    """Leave a file to the next start; return its new path."""
    free = path.with_name(f"{path.name.split('@')[0]}@@0.jsonl")
    try:
        os.rename(path, free)
    except OSError:
        return path
    return free


def _file_name(name: str) -> str:
    """Return a file's name, which tells whose it is."""
    return f"{name}@{_host()}@{os.getpid()}.jsonl"


def _host() -> str:
    return re.sub("[^A-Za-z0-9_.-]", "_", socket.gethostname())


def _is_gone(path: Path, host: str, pid: int) -> bool:
    """Return whether the process of a file has ended; on another machine, whether it is silent."""
    if host == _host():
        return not process_runs(pid)
    return not host or time.time() - path.stat().st_mtime > LEASE_SECONDS


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a file; a kill may have cut the last."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                return
