"""Comparisons of boards that did not change, kept so that they are not computed again.

An entry is keyed by the hashes of the bundles, which hold those of their files, by the code of the suite and
by the versions of its packages. So no entry is ever stale, and the loss of all only costs time.
"""

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

import benchmark
from benchmark.comparison.records import Comparison
from benchmark.errors import StoreError
from benchmark.utils.files import write_text
from benchmark.utils.hashing import sha256_file, sha256_of

PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scikit-posthocs",
    "statsmodels",
    "pydantic",
)
MOST_ENTRIES = 64  # the oldest are removed


def cache_folder() -> Path:
    """Return the folder of the entries: ``boards`` in SYNTHTHORAX_CACHE, by default ~/.cache/synththorax."""
    return Path(os.environ.get("SYNTHTHORAX_CACHE") or "~/.cache/synththorax").expanduser() / "boards"


def board_key(name: str, bundles: Mapping[str, str]) -> str:
    """Return the SHA-256 of everything that the comparison of a board follows from.

    Args:
        name: of the board.
        bundles: SHA-256 of ``bundle.json`` by row.
    """
    return sha256_of([name, dict(bundles), code_hash(), versions()])


@cache
def code_hash() -> str:
    """Return the SHA-256 of the suite's modules."""
    root = Path(benchmark.__file__).parent
    return sha256_of({str(path.relative_to(root)): sha256_file(path) for path in sorted(root.rglob("*.py"))})


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that compute and store a comparison."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def cached(key: str) -> Comparison | None:
    """Return the comparison of a key; None without an entry, or for one that is damaged."""
    try:
        entry = json.loads((cache_folder() / f"{key}.json").read_text(encoding="utf-8"))
        if entry["sha256"] == sha256_of(entry["comparison"]):
            return Comparison.from_json(entry["comparison"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def keep(key: str, comparison: Comparison) -> None:
    """Store a comparison; a folder that cannot be written only costs the next call its time."""
    record, folder = json.loads(json.dumps(comparison.to_json())), cache_folder()
    with suppress(OSError, StoreError):
        folder.mkdir(parents=True, exist_ok=True)
        entry = {"sha256": sha256_of(record), "comparison": record}
        write_text(folder / f"{key}.json", json.dumps(entry))  # in the order of the record, as pages list it
        entries = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime)
        for old in entries[:-MOST_ENTRIES]:
            old.unlink(missing_ok=True)
