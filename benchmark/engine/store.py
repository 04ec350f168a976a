"""Store of stage results: one folder per cache key, complete when its sealed manifest is present and agrees.

Several processes and machines may write at once without locks: every writer has its own folder, and moves it.
"""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from benchmark.engine.claim import Claim, pause, take
from benchmark.errors import StoreError
from benchmark.utils.environment import Environment
from benchmark.utils.files import disk_errors
from benchmark.utils.hashing import sha256_file
from benchmark.utils.sealed import read_sealed, write_sealed

MANIFEST, IN_USE = "manifest.json", "run-"
Record = TypeVar("Record", bound=BaseModel)


def store_root() -> Path:
    """Return the folder of stage results: SYNTHTHORAX_STORE, or ``.store`` in the working directory."""
    return Path(os.environ.get("SYNTHTHORAX_STORE") or ".store")


def store_errors(path: Path | str) -> AbstractContextManager[None]:
    """Report every ``OSError`` of a block as a StoreError that names the store and the remedy."""
    return disk_errors(
        f"store {path}",
        free_space="Free some space, or set SYNTHTHORAX_STORE to a folder on another disk.",
        writable="Make the folder writable, or set SYNTHTHORAX_STORE to another one.",
    )


@dataclass(frozen=True)
class Costs:
    """Time and memory of a result, all attempts together."""

    seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Result:
    """A complete stage result: its folder, and the manifest of the node that it belongs to."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def costs(self) -> Costs:
        """Time and memory of the computation."""
        return Costs(**self.manifest["costs"])

    @property
    def environment(self) -> Environment | None:
        """Software and hardware of the worker; None for a result stored before they were recorded."""
        record = self.manifest.get("environment")
        return None if record is None else Environment.model_validate(record)

    def read(self, kind: type[Record]) -> Record:
        """Return what the stage reported, as the stage's result type; the only reader of that part."""
        return kind.model_validate(self.manifest["result"])


class Store:
    """A folder of results by cache key, with room for unfinished work beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with store_errors(root):
            for name in ("results", "work"):
                (root / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root) as probe:
                probe.write(b"x")

    def folder(self, stage: str, key: str) -> Path:
        """Return where the result of a key lies once it is complete."""
        return self.root / "results" / stage / key

    def work(self, name: str) -> Path:
        """Return a folder for other work beside the results."""
        path = self.root / "work" / name
        with store_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def get(self, stage: str, key: str) -> Result | None:
        """Return the result of a key if its manifest is intact and every file has the size that it names."""
        return read_result(self.folder(stage, key), key)

    def claim(self, stage: str, key: str) -> Claim | Result:
        """Wait until this process may compute a key, or until another has computed it."""
        root = self.root / "work"
        while True:
            with store_errors(root):
                claim = take(root, key)
            done = self.get(stage, key)
            if done and claim:
                claim.discard()
            if done or claim:
                return done or cast(Claim, claim)
            pause()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Show that a run needs the results of the store, so that nothing is removed from it meanwhile.

        Raises:
            StoreError: the file system replaces a folder that is not empty, so that results could be lost.
        """
        root = self.root / "work"
        with store_errors(self.root):
            _check_renames(root)
            claim = cast(Claim, take(root, f"{IN_USE}{uuid.uuid4().hex}"))
        try:
            with claim.held():
                yield
        finally:
            claim.discard()

    def commit(self, stage: str, key: str, part: Path, record: Mapping[str, Any]) -> Result:
        """Complete a result: hash its files, write the manifest last, move it into place.

        Of several writers the first wins, and the others get its result.

        Args:
            part: folder of the files, on the store's disk; it is moved.
        """
        with store_errors(part):
            files = {
                str(p.relative_to(part)): {"sha256": _stored_hash(p), "size": p.stat().st_size}
                for p in sorted(part.rglob("*"))
                if p.is_file()
            }
            write_sealed(part / MANIFEST, {**record, "key": key, "files": files})
        return self.adopt(stage, key, part)

    def adopt(self, stage: str, key: str, part: Path) -> Result:
        """Move a result with its manifest into place; of several writers the first wins.

        Args:
            part: folder on the store's disk; it is moved, or removed.
        """
        final = self.folder(stage, key)
        with store_errors(part):
            final.parent.mkdir(parents=True, exist_ok=True)
            while not _moved(part, final):
                if result := self.get(stage, key):
                    shutil.rmtree(part, ignore_errors=True)
                    return result
                self._set_aside(final, key)
        result = self.get(stage, key)
        if result is None:
            raise StoreError(f"store {final}", "does not read back as it was written", "Check the disk.")
        return result

    def _set_aside(self, final: Path, key: str) -> None:
        """Remove a damaged result, and put it back if another writer has just replaced it by a whole one."""
        with tempfile.TemporaryDirectory(prefix=".damaged-", dir=self.root / "work") as folder:
            aside = Path(folder) / "result"
            with suppress(FileNotFoundError):  # another writer has set it aside
                os.rename(final, aside)
            if read_result(aside, key):
                _moved(aside, final)

    def folders(self) -> list[Path]:
        """Return the folders of all results."""
        return sorted((self.root / "results").glob("*/*"))


def _check_renames(root: Path) -> None:
    """Refuse a file system on which the second of two writers would replace the result of the first."""
    with tempfile.TemporaryDirectory(prefix=".renames-", dir=root) as folder:
        first, second = Path(folder) / "first", Path(folder) / "second"
        for path in (first, second):
            path.mkdir()
            (path / path.name).touch()
        if _moved(second, first) or not (first / "first").exists() or not (second / "second").exists():
            problem = "is on a file system that moves a folder onto one that is not empty"
            raise StoreError(f"store {root.parent}", problem, "Set SYNTHTHORAX_STORE to a POSIX file system.")


def damage(folder: Path) -> str:
    """Return the first fault of a result, by the hashes of its files; empty if it is whole."""
    result = read_result(folder, folder.name)
    if result is None:
        changed_manifest = (folder / MANIFEST).is_file() and read_sealed(folder / MANIFEST) is None
        fault = f"'{MANIFEST}' does not match its seal" if changed_manifest else "is incomplete"
        return f"{fault}, and will be computed again"
    changed = (
        name for name, f in result.manifest["files"].items() if sha256_file(folder / name) != f["sha256"]
    )
    return next((f"'{name}' does not match its SHA-256" for name in changed), "")


def read_result(folder: Path, key: str) -> Result | None:
    """Return the result in a folder, see ``Store.get``; nothing is created."""
    manifest = read_sealed(folder / MANIFEST)
    if manifest is None or manifest.get("key") != key:
        return None
    try:
        whole = all((folder / name).stat().st_size == f["size"] for name, f in manifest["files"].items())
    except OSError:
        return None
    return Result(folder, manifest) if whole else None


def _stored_hash(path: Path) -> str:
    """Return the SHA-256 of a file that is on the disk, since later runs trust its size."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())
    return sha256_file(path)


def _moved(source: Path, target: Path) -> bool:
    """Move a folder; return False if the target is there already."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True
