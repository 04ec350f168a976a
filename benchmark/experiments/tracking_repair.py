"""Artifacts of a SQLite tracking store that was moved with its folder.

MLflow stores absolute paths, and makes relative ones absolute, so that a moved store loses its artifacts.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

from benchmark.errors import TrackingError
from benchmark.experiments.tracking_store import prepare, shown, sqlite_file, unusable

ARTIFACTS = "mlruns"  # MLflow's own default, beside the database
# Columns that hold paths below the location of their experiment.
BELOW = (("runs", "artifact_uri"), ("logged_models", "artifact_location"), ("model_versions", "source"),
         ("model_versions", "storage_location"))  # fmt: skip


def repair(uri: str, artifacts: Path | None = None) -> Iterator[str]:
    """Point every experiment whose folder is gone to the folder of its number below ``artifacts``.

    Args:
        artifacts: default: ``mlruns`` beside the database.
    Yields:
        A line per experiment that was changed. All change together, or none does.
    Raises:
        TrackingError: no SQLite store, or no such folder.
    """
    file = sqlite_file(uri)
    if file is None or not file.is_file():
        where = f"tracking store {shown(uri)}"
        raise TrackingError(where, "is no SQLite file here", "Set MLFLOW_TRACKING_URI to sqlite:///FILE.")
    root = (artifacts or file.parent / ARTIFACTS).absolute()
    if not root.is_dir():
        raise TrackingError(
            f"--artifacts {root}", "is no folder", "Give the folder that holds the artifacts."
        )
    prepare(uri)
    try:
        with closing(sqlite3.connect(file)) as database, database:
            yield from _relocate(database, root)
    except sqlite3.Error as error:
        raise unusable(uri, str(error), "Close the programs that use it, and try again") from error


def _relocate(database: sqlite3.Connection, root: Path) -> Iterator[str]:
    known = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows = database.execute("SELECT experiment_id, name, artifact_location FROM experiments").fetchall()
    for number, name, location in rows:
        old = _local(location or "")
        if old is None or old.is_dir() or old.parent == root:
            continue
        new = str(root / old.name)
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, number)
        )
        for table, column in BELOW:
            if table in known:
                rest, below = f"substr({column}, ?)", f"substr({column}, 1, ?) = ?"
                values = (new, len(location) + 1, len(location) + 1, f"{location}/")
                database.execute(f"UPDATE {table} SET {column} = ? || {rest} WHERE {below}", values)
        yield f"{name}: {location} -> {new}"


def _local(location: str) -> Path | None:
    """Return the folder of a location on this machine; None for a server or a bucket."""
    parts = urlparse(location)
    if parts.scheme not in ("", "file"):
        return None
    return Path(unquote(parts.path))
