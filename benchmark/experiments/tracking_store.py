"""The tracking store: where it is, and how a SQLite file of it is created."""

import os
from collections.abc import Callable
from pathlib import Path


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI, or MLflow's own default: a SQLite file in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def create_whole(uri: str, create: Callable[[str], object]) -> None:
    """Create a SQLite tracking store under another name first, so that a kill leaves a whole one or none.

    MLflow makes its tables by some fifty migrations, and cannot resume where it was killed among them.

    Args:
        uri: of the store. Other stores and existing files are left alone.
        create: makes the store of a URI.
    """
    if not uri.startswith("sqlite:///") or "?" in uri:
        return
    from sqlalchemy.engine import make_url

    url = make_url(uri)  # its database is the file that MLflow opens; the text may have %20 for a space
    path = Path(url.database or "")
    if url.database in (None, "", ":memory:") or path.exists():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        create(url.set(database=str(part)).render_as_string(hide_password=False))
        if not path.exists():  # otherwise another run was faster, and its store is used
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
