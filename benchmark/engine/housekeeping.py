"""Space of a store: how much each stage takes, and what may be removed."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.engine.claim import BEAT, holder, is_gone
from benchmark.engine.store import IN_USE, MANIFEST, Store, store_errors
from benchmark.errors import StoreError

DAY = 86400.0


@dataclass(frozen=True)
class Entry:
    """A folder of a store.

    Attributes:
        part: the stage of a result, or ``work``.
        written: seconds since the epoch.
    """

    folder: Path
    part: str
    bytes: int
    written: float


def entries(store: Store) -> list[Entry]:
    """Return the results of a store, and the unfinished work of writers that are gone."""
    results = [_entry(folder, folder.parent.name, MANIFEST) for folder in store.folders()]
    root = store.root / "work"
    unfinished = [f for f in root.glob("*.*") if f.is_dir() and not f.name.startswith(".")]
    gone = [_entry(f, "work", BEAT) for f in unfinished if is_gone(f, root)]
    return [entry for entry in [*results, *gone] if entry is not None]


def _entry(folder: Path, part: str, dated: str) -> Entry | None:
    try:
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
        own = folder / dated
        written = (own if own.exists() else folder).stat().st_mtime
    except OSError:  # removed meanwhile
        return None
    return Entry(folder, part, sum(file.st_size for file in files), written)


def surplus(
    present: Iterable[Entry],
    older_than_days: float | None,
    only: set[Path] | None,
    keep: set[Path],
    now: Callable[[], float] = time.time,
) -> list[Entry]:
    """Return the entries that a clean-up removes.

    Args:
        older_than_days: since the result was computed; None for any age.
        only: results of the runs to remove; None for all results. Unfinished work goes by its age alone.
        keep: results that stay.
    """
    old = now() - (older_than_days or 0.0) * DAY
    return [
        entry
        for entry in present
        if entry.written <= old and entry.folder not in keep and (only is None or entry.folder in only)
    ]


def remove(store: Store, gone: Iterable[Entry]) -> None:
    """Remove entries; a reader sees each of them whole or not at all.

    Raises:
        StoreError: a run uses the store.
    """
    refuse_in_use(store)
    for entry in gone:
        aside = store.root / "work" / f".removed-{uuid.uuid4().hex}"
        with store_errors(store.root), suppress(FileNotFoundError):  # another clean-up was faster
            entry.folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def refuse_in_use(store: Store) -> None:
    """Refuse a store that a run uses, on this machine or another.

    Raises:
        StoreError: names the process.
    """
    root = store.root / "work"
    for claim in root.glob(f"{IN_USE}*"):
        if not is_gone(claim, root):
            name = claim.name.partition(".")[0]
            problem = f"is in use by {holder(root, name)}"
            raise StoreError(f"store {store.root}", problem, "Wait for its end, or look with --dry-run.")
