"""Store of stage results: one folder per cache key, complete when its manifest is present and agrees."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from benchmark.errors import StoreError
from benchmark.utils.environment import Environment
from benchmark.utils.files import disk_errors, write_json
from benchmark.utils.hashing import sha256_file

MANIFEST = "manifest.json"
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
            for name in ("results", "partial", "work", "locks"):
                (root / name).mkdir(parents=True, exist_ok=True)
            probe = root / f".probe-{os.getpid()}"
            probe.write_bytes(b"x")
            probe.unlink()

    def folder(self, stage: str, key: str) -> Path:
        """Return where the result of a key lies once it is complete."""
        return self.root / "results" / stage / key

    def work(self, key: str) -> Path:
        """Return the scratch folder of an unfinished stage; it survives a crash."""
        path = self.root / "work" / key
        with store_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def get(self, stage: str, key: str) -> Result | None:
        """Return the result of a key if it is complete and its files agree with their hashes."""
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
        """Lock a key, so that two runs never compute it at once."""
        from filelock import FileLock

        path = self.root / "locks" / f"{key}.lock"
        with store_errors(path), FileLock(path):
            yield

    def begin(self, key: str) -> Path:
        """Return an empty folder to write a result into."""
        path = self.root / "partial" / key
        with store_errors(path):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        return path

    def commit(self, stage: str, key: str, record: Mapping[str, Any]) -> Result:
        """Complete a result since ``begin``: hash its files, write the manifest last, move it into place."""
        part, final = self.root / "partial" / key, self.folder(stage, key)
        with store_errors(part):
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
        result = self.get(stage, key)
        if result is None:
            raise StoreError(f"store {final}", "does not read back as it was written", "Check the disk.")
        return result
