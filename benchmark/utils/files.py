"""Atomic writing of files and folders, and readable errors of the disk."""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmark.errors import StoreError
from benchmark.utils.outputs import refuse_foreign_folders
from benchmark.utils.processes import uninterrupted

NOT_WRITABLE = (errno.EPERM, errno.EACCES, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.EROFS)
GIVE_ANOTHER = "Give a folder that can be written."
FREE_SPACE = "Free some space, or give a folder on another disk."
PROBE_BYTES = 2**20


@contextmanager
def disk_errors(
    where: str | Path, *, free_space: str = FREE_SPACE, writable: str = GIVE_ANOTHER
) -> Iterator[None]:
    """Turn every ``OSError`` of a block into one line that names the place and the remedy.

    Args:
        where: the file, folder or option to name.
        free_space: remedy for a full disk, and for everything else that goes wrong while writing.
        writable: remedy for a place that cannot be written.
    Raises:
        StoreError: instead of the ``OSError``.
    """
    try:
        yield
    except OSError as error:
        remedy = writable if error.errno in NOT_WRITABLE else free_space
        reason = os.strerror(error.errno) if error.errno else error
        raise StoreError(str(where), f"cannot be written: {reason}", remedy) from error


def write_fault(folder: Path) -> OSError | None:
    """Return the error that writing a file of ``PROBE_BYTES`` meets in a folder, None if it succeeds."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(os.urandom(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error
    return None


@contextmanager
def _disk_is_blamed(folder: Path) -> Iterator[None]:
    """Raise the fault of a disk in place of what a library makes of it: torch raises a RuntimeError.

    Used before anything is removed, which would free the space again.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if fault := write_fault(folder):
            raise fault from error
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place when the block succeeds.

    The content is on the disk before the name changes. After an error nothing is left.
    """
    part = _beside(path, "part")
    try:
        with _disk_is_blamed(path.parent):
            yield part
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, internal: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path`` that replaces it when the block succeeds.

    Readers see the old folder or the new one, but for the moment between two renames.

    Args:
        internal: the folder lies where no user writes, and is replaced whatever it holds.
    Raises:
        StoreError: the folder would be replaced and is not the suite's own; see ``refuse_foreign_folders``.
    """
    path = Path(os.path.abspath(path))  # "." has no name
    part, old = _beside(path, "part"), _beside(path, "old.part")
    _clear(part, old, path)
    part.mkdir(parents=True)
    try:
        with _disk_is_blamed(path.parent):
            yield part
        if not internal:
            refuse_foreign_folders([path])
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
    finally:
        _clear(part, old, path)


def _clear(part: Path, old: Path, path: Path) -> None:
    """Remove the rest of a replacement; if it ended between the two renames, the old folder comes back."""
    if old.exists() and not path.exists():
        os.replace(old, path)
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    """Return a temporary path beside another; no user gives a file this name, so the suite may delete it."""
    return path.with_name(f".{path.name}.synththorax.{suffix}")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def write_together(contents: Mapping[Path, bytes], others: ExitStack | None = None) -> None:
    """Write files, all of them or none: the temporary ones are complete before the first takes its place.

    No signal interrupts the renames; only a kill or a loss of power between two of them can.

    Args:
        others: further replacements that are prepared, such as ``atomic_folder``; they end with these.
    """
    with others or ExitStack() as parts:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts.enter_context(atomic_path(path)).write_bytes(content)
        with uninterrupted():
            parts.close()


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text atomically; lines end as they do in ``content``."""
    write_bytes(path, content.encode("utf-8"))


def json_text(value: Any) -> str:
    """Return JSON values as the text of a file, keys sorted."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON values atomically, keys sorted."""
    write_text(path, json_text(value))
