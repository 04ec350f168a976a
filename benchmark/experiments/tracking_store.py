"""The tracking store: where it is, and how a SQLite file of it is opened whole.

MLflow makes its tables by some fifty migrations. It cannot resume where it was killed among them, and two
processes that begin them at once destroy each other's. MLflow itself calls ``open_sqlite`` (an entry point in
``pyproject.toml``), so that the same holds under ``mlflow run``, which opens the store before this suite
starts.
"""

import glob
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from benchmark.errors import TrackingError

BUSY_SECONDS = 30.0  # concurrent starts share a database
STALE_SECONDS = 3600.0
ELSEWHERE = "set MLFLOW_TRACKING_URI to another tracking store"


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's own default: a SQLite file in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def shown(uri: str) -> str:
    """Return a URI without its password."""
    return re.sub(r"//[^/@]*@", "//", uri)


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store, as SQLAlchemy reads its URI; None for other stores."""
    match = re.match(r"sqlite(?:\+\w+)?:///([^?]+)", uri)
    if match is None or match[1] == ":memory:" or match[1].startswith("file:"):
        return None
    return Path(unquote(match[1]))


def identity(uri: str) -> str:
    """Return a text that is the same for equal stores, from every working directory."""
    path = sqlite_file(uri)
    return shown(uri) if path is None else f"sqlite:///{path.absolute()}"


def unusable(uri: str, problem: str, remedy: str) -> TrackingError:
    """Error for a tracking store."""
    return TrackingError(f"tracking store {shown(uri)}", problem, remedy)


def prepare(uri: str, create: Callable[[str], object] | None = None, *, write: bool = True) -> None:
    """Make sure that a SQLite store can be used, and create it unless it is there; leave other stores alone.

    Args:
        create: makes the store of a URI; MLflow, unless a test replaces it.
        write: require a database that can be written.
    Raises:
        TrackingError: a folder, another file, a database that is locked or cannot be written.
    """
    path = sqlite_file(uri)
    if path is None:
        return
    if path.is_dir():
        raise unusable(uri, "is a folder, expected a SQLite file", f"Remove or rename it, or {ELSEWHERE}.")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):  # MLflow would retry for minutes
                pass
            create_whole(uri, create or (lambda part: mlflow_store(part).engine.dispose()))
        _probe(path, write)
    except OSError as error:
        raise unusable(
            uri, f"cannot be written: {error.strerror or error}", f"Make it writable, or {ELSEWHERE}."
        ) from error
    except sqlite3.Error as error:
        locked = "locked" in str(error)
        remedy = "End the program that holds it" if locked else "Make it writable or remove it"
        raise unusable(uri, str(error), f"{remedy}, or {ELSEWHERE}.") from error


def _probe(path: Path, write: bool) -> None:
    mode = "rw" if write else "ro"
    location = f"file:{quote(str(path.absolute()))}?mode={mode}"
    with closing(sqlite3.connect(location, BUSY_SECONDS, isolation_level=None, uri=True)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if write:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")


def create_whole(uri: str, create: Callable[[str], object]) -> None:
    """Create a SQLite tracking store under another name first, so that a kill leaves a whole one or none.

    Of several processes that create it at once, the first wins, and the others use its store.

    Args:
        uri: of the store. Other stores and existing files are left alone.
        create: makes the store of a URI.
    """
    path = sqlite_file(uri)
    if path is None or path.exists():
        return
    for stale in map(Path, glob.glob(f"{glob.escape(str(path))}.*.part")):  # of a process that was killed
        if time.time() - stale.stat().st_mtime > STALE_SECONDS:
            stale.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        # only what SQLAlchemy would misread: MLflow creates the folder of the URI as it is written
        create("sqlite:///" + str(part).replace("%", "%25").replace("?", "%3F"))
        if not path.exists():
            _move_unless_there(part, path)
    finally:
        part.unlink(missing_ok=True)


def _move_unless_there(part: Path, path: Path) -> None:
    """Give a file its name unless the name is taken by now; a link refuses that, where links exist."""
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:
        os.replace(part, path)


def mlflow_store(uri: str, artifact_uri: str | None = None) -> Any:
    """Open MLflow's own store of a database; tables that it lacks are made in place.

    Raises:
        TrackingError: MLflow was killed while it made the tables, or they are of another MLflow.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return _get_sqlalchemy_store(uri, artifact_uri)
    except (MlflowException, SQLAlchemyError, KeyError) as error:
        path = sqlite_file(uri)
        if path is None or not path.exists():
            raise
        if _is_empty(path):
            problem = "has a part of its tables, since MLflow was killed while it made them"
            raise unusable(uri, problem, f"It holds no run. Remove {path} and start again.") from error
        first = str(error).splitlines()[0][:200]
        remedy = f"Back up {path}, then run: mlflow db upgrade {shown(uri)}"
        raise unusable(uri, f"is not of this MLflow: {first}", remedy) from error


def _is_empty(path: Path) -> bool:
    """Return whether a database holds no experiment; MLflow adds the first when all tables are made."""
    with closing(sqlite3.connect(path)) as database:
        try:
            return database.execute("SELECT 1 FROM experiments").fetchone() is None
        except sqlite3.Error:
            return True


def open_sqlite(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Open a SQLite store for MLflow, created whole; MLflow calls this for every ``sqlite:`` URI."""
    import click

    try:
        prepare(store_uri, write=False)  # `mlflow ui` may show a store that is read-only
        return mlflow_store(store_uri, artifact_uri)
    except TrackingError as error:  # MLflow's commands print it without a traceback
        raise click.ClickException(str(error)) from error
