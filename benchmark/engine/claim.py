"""Claims: who computes an unfinished key or writes into a folder, in a folder of the writer alone.

A claim only avoids double work. Where two writers hold one at once, since a file system showed the other too
late, both compute, and the first to commit wins.
"""

import os
import platform
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmark.errors import StoreError
from benchmark.utils.files import disk_errors
from benchmark.utils.processes import process_runs

BEAT = "beat"  # file of a claim that is held: the holder, and by its time the last sign of life
BEAT_SECONDS = 15.0
LEASE_SECONDS = 180.0  # without a sign of life; NFS shows the time of a file up to a minute late
POLL_SECONDS = 0.5
# A writer that is about to end: of an `mlflow run` that was killed, or after Ctrl-C while it closes its runs.
PATIENCE_SECONDS = 45.0


@dataclass(frozen=True)
class Claim:
    """The folder of one writer of a key.

    Attributes:
        scratch: unfinished work; the next claim of the key inherits it.
        out: the result before it is committed.
    """

    folder: Path

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def out(self) -> Path:
        return self.folder / "result"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Show that the writer lives; after an error, leave the scratch folder to the next claim."""
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(BEAT_SECONDS):
                try:
                    os.utime(self.folder / BEAT)
                except OSError:  # taken over, or a fault of the disk that the stage will meet too
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            with suppress(OSError):  # of a disk that is gone, or of a folder that is
                (self.folder / BEAT).unlink()

    def discard(self) -> None:
        """Remove the claim with its scratch folder."""
        hidden = self.folder.with_name(f".{self.folder.name}")  # at once: nobody may inherit a half of it
        with suppress(OSError):  # an empty claim that stays is inherited
            os.rename(self.folder, hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def take(root: Path, key: str) -> Claim | None:
    """Claim a key, with the scratch folder of a writer that is gone; None while another writer holds it."""
    others = sorted(root.glob(f"{key}.*"), key=lambda path: path.name)
    if not all(is_gone(other, root) for other in others):
        return None
    own = root / f"{key}.{uuid.uuid4().hex}"
    for other in others:
        try:
            _sign(other)
            os.rename(other, own)
        except FileNotFoundError:  # another writer was faster
            return None
        _sign(own)  # again, since that writer may have signed it too
        return _empty(own)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    _sign(new)
    os.rename(new, own)
    if any(other != own and not is_gone(other, root) for other in root.glob(f"{key}.*")):
        Claim(own).discard()  # others began at the same moment: all but one step back, or all
        return None
    return _empty(own)


@contextmanager
def sole_writer(root: Path, key: str, where: str, remedy: str) -> Iterator[None]:
    """Hold a key for a block, so that no other process holds it; wait a while for one that does.

    Args:
        root: existing folder in which the claim lies.
        where: what is written, for the error.
    Raises:
        StoreError: another process goes on writing; the error names it.
    """
    until, waits = time.monotonic() + PATIENCE_SECONDS, False
    while (claim := _take(root, key, where)) is None:
        if time.monotonic() > until:
            raise StoreError(where, f"{holder(root, key)} is writing there", remedy)
        if not waits:
            print(f"{where}: waiting for {holder(root, key)}", file=sys.stderr, flush=True)
        waits = True
        pause()
    try:
        with claim.held():
            yield
    finally:
        claim.discard()


def _take(root: Path, key: str, where: str) -> Claim | None:
    with disk_errors(where):
        return take(root, key)


def pause() -> None:
    """Wait before another attempt at a claim; attempts of several writers drift apart."""
    time.sleep(POLL_SECONDS * random.uniform(0.5, 1.5))


def _empty(folder: Path) -> Claim:
    """Return a claim whose result is empty, and whose scratch folder exists."""
    claim = Claim(folder)
    shutil.rmtree(claim.out, ignore_errors=True)
    claim.out.mkdir()
    claim.scratch.mkdir(exist_ok=True)
    return claim


def _sign(folder: Path) -> None:
    import psutil

    began = psutil.Process().create_time()
    text = f"{_machine()} {os.getpid()} {began:.2f} {platform.node()}"
    (folder / BEAT).write_text(text, encoding="utf-8")


def holder(root: Path, key: str) -> str:
    """Return the process that holds a key, for people."""
    for beat in root.glob(f"{key}.*/{BEAT}"):
        with suppress(OSError, ValueError):
            _, pid, _, *host = beat.read_text(encoding="utf-8").split()
            return " ".join(["process", pid, *(["on", *host] if host else [])])
    return "another process"


def is_gone(folder: Path, root: Path) -> bool:
    """Return whether the writer of a claim has ended, as far as this process can know."""
    try:
        words, last = (folder / BEAT).read_text(encoding="utf-8").split(), (folder / BEAT).stat().st_mtime
    except FileNotFoundError:  # released
        return True
    if len(words) > 2 and words[0] == _machine():
        return not process_runs(int(words[1]), float(words[2]))
    with tempfile.TemporaryFile(dir=root) as probe:  # by the clock of the file system, not of this machine
        return os.fstat(probe.fileno()).st_mtime - last > LEASE_SECONDS


@cache
def _machine() -> str:
    """Return a name under which process ids are unique: of a boot and its container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return boot + os.readlink("/proc/self/ns/pid")
    except OSError:
        return platform.node()
