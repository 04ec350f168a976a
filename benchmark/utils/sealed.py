"""Files that show whether they were changed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.utils.files import json_text, write_text
from benchmark.utils.hashing import sha256_file, sha256_of

SEAL = "seal"


def write_sealed(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record of JSON values atomically, with the hash of its content as another entry.

    The seal shows damage and careless edits. It is no signature: an author who computes the hash again can
    change the file.
    """
    write_text(path, json_text({**record, SEAL: sha256_of(record)}))


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return the record of a file by ``write_sealed``; None if it is missing or differs in a single bit."""
    try:
        text = path.read_text(encoding="utf-8")
        sealed: dict[str, Any] = json.loads(text)
        record = {name: value for name, value in sealed.items() if name != SEAL}
        # some changes leave every value as it is, such as 1e-5 to 1E-5
        intact = sealed[SEAL] == sha256_of(record) and json_text(sealed) == text
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if intact else None


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder, by its path; empty without the folder."""
    return {str(p.relative_to(folder)): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def seal_file(path: Path) -> None:
    """Write the SHA-256 of a file beside it."""
    write_text(_seal_of(path), sha256_file(path))


def is_intact(path: Path) -> bool:
    """Return whether a file is there and agrees with the hash that ``seal_file`` wrote."""
    try:
        return _seal_of(path).read_text(encoding="utf-8") == sha256_file(path)
    except (OSError, ValueError):
        return False


def _seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
