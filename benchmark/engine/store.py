"""The store of stage results: one folder per key, complete when its manifest is there and agrees."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import StoreError
from benchmark.utils.files import write_json
from benchmark.utils.hashing import sha256_file

MANIFEST = "manifest.json"


def store_root() -> Path:
    """Where stage results are kept: SYNTHTHORAX_STORE, or ``.store`` here."""
    return Path(os.environ.get("SYNTHTHORAX_STORE") or ".store")


@dataclass(frozen=True)
class Result:
    """A complete stage result."""

    folder: Path
    manifest: dict[str, Any]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one clear line."""
    try:
        yield
    except OSError as error:
        remedy = "Free some space, or set SYNTHTHORAX_STORE to a folder on another disk."
        if error.errno in (13, 30):
            remedy = "Make the folder writable, or set SYNTHTHORAX_STORE to another one."
        raise StoreError(f"store {path}", f"{error.strerror or error}", remedy) from error


class Store:
    """A folder of results by key, with room for half-done work beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with _told(root):
            for name in ("results", "partial", "work", "locks"):
                (root / name).mkdir(parents=True, exist_ok=True)
            probe = root / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()

    def folder(self, stage: str, key: str) -> Path:
        """Where the result of a key lies once it is complete."""
        return self.root / "results" / stage / key

    def work(self, key: str) -> Path:
        """Scratch of an unfinished stage; survives a crash."""
        path = self.root / "work" / key
        with _told(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def get(self, stage: str, key: str) -> Result | None:
        """The result of a key if it is complete and its files agree with their hashes."""
        folder = self.folder(stage, key)
        try:
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            agree = manifest["key"] == key and all(
                (folder / name).stat().st_size == f["size"] and sha256_file(folder / name) == f["sha256"]
                for name, f in manifest["files"].items()
            )
        except (OSError, ValueError, KeyError):
            return None
        return Result(folder, manifest) if agree else None

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Hold a key, so that two runs never compute it at once."""
        from filelock import FileLock

        path = self.root / "locks" / f"{key}.lock"
        with _told(path), FileLock(path):
            yield

    def begin(self, key: str) -> Path:
        """An empty folder to write a result into."""
        path = self.root / "partial" / key
        with _told(path):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        return path

    def commit(self, stage: str, key: str, record: Mapping[str, Any]) -> Result:
        """Seal what was written since ``begin``: hash the files, write the manifest last, move into place."""
        part, final = self.root / "partial" / key, self.folder(stage, key)
        with _told(part):
            files = {
                str(p.relative_to(part)): {"sha256": sha256_file(p), "size": p.stat().st_size}
                for p in sorted(part.rglob("*"))
                if p.is_file()
            }
            write_json(part / MANIFEST, {**record, "key": key, "files": files})
            final.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(final, ignore_errors=True)
            os.replace(part, final)
            shutil.rmtree(self.root / "work" / key, ignore_errors=True)
        done = self.get(stage, key)
        if done is None:
            raise StoreError(f"store {final}", "does not read back as it was written", "Check the disk.")
        return done
