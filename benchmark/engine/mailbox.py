"""Reports of nodes that run on other machines: lines in a file of the shared store, one file a node."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER, SAVED = "messages", ".saved"
LOOK_SECONDS = 0.2  # a look at a file of every running node takes time, on NFS most of all


class Mailbox:
    """Reports of one node, written like a queue. A report that cannot be written is left out."""

    def __init__(self, root: Path, key: str) -> None:
        self.path = _path(root, key)

    def put(self, message: tuple[str, Any]) -> None:
        """Append a report."""
        node_id, value = message
        line = json.dumps([node_id, {"path": str(value)} if isinstance(value, Path) else value])
        with suppress(OSError), open(self.path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def note_saved(self) -> None:
        """Note that the node has saved its state and leaves its machine."""
        with suppress(OSError):
            self.path.with_suffix(SAVED).touch()


class Reader:
    """Reads the mailboxes of the running nodes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, int] = {}
        self._looked = 0.0
        with suppress(OSError):
            (root / "work" / FOLDER).mkdir(parents=True, exist_ok=True)

    def read(self, keys: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the reports of some nodes since the last call; none if that was a moment ago."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for key in keys:
            path, at = _path(self.root, key), self._read.get(key, 0)
            try:
                if path.stat().st_size <= at:
                    continue
                with open(path, "rb") as file:
                    file.seek(at)
                    text = file.read()
            except OSError:
                continue
            whole = text.rpartition(b"\n")[0]  # the last line may be half written
            self._read[key] = at + len(whole) + bool(whole)
            for line in whole.splitlines():
                with suppress(ValueError):
                    node_id, value = json.loads(line)
                    yield node_id, _value(value)

    def forget(self, key: str) -> bool:
        """Remove the mailbox of a node that has ended; return whether it noted a saved state."""
        self._read.pop(key, None)
        path, saved = _path(self.root, key), False
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.with_suffix(SAVED).unlink()
            saved = True
        return saved


def _path(root: Path, key: str) -> Path:
    return root / "work" / FOLDER / f"{key}.jsonl"


def _value(value: Any) -> Any:
    return Path(value["path"]) if isinstance(value, Mapping) and set(value) == {"path"} else value
