"""The SQLite tracking store: created whole, by several at once, or refused in one line."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.errors import TrackingError
from benchmark.experiments.tracking_store import create_whole, identity, mlflow_store, prepare, sqlite_file
from support.samples import ROOT


def test_a_store_is_created_atomically(tmp_path):
    """A kill among the migrations leaves no store.

    The next run creates one, and a third does not change it.
    """
    store = tmp_path / "mlflow.db"
    uri = f"sqlite:///{store}"

    def killed(part):
        Path(part.removeprefix("sqlite:///")).write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_whole(uri, killed)
    assert not list(tmp_path.iterdir())
    create_whole(uri, lambda part: Path(part.removeprefix("sqlite:///")).write_text("whole"))
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]
    create_whole(uri, killed)
    assert store.read_text() == "whole"


def test_a_store_of_a_concurrent_run_is_not_replaced(tmp_path):
    """Of two runs that create the store at once, the first to finish wins, and the other uses its store."""
    store = tmp_path / "mlflow.db"

    def slow(part):
        Path(part.removeprefix("sqlite:///")).write_text("second")
        store.write_text("first")

    create_whole(f"sqlite:///{store}", slow)
    assert store.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_path_is_read_as_sqlalchemy_reads_it(tmp_path):
    """MLflow percent-encodes the path of its default store; no folder of the encoded name appears."""
    folder = tmp_path / "my project"
    prepare(f"sqlite:///{tmp_path}/my%20project/mlflow.db", lambda part: sqlite_file(part).write_bytes(b""))
    assert [p.name for p in tmp_path.iterdir()] == ["my project"]
    assert [p.name for p in folder.iterdir()] == ["mlflow.db"]
    assert sqlite_file("sqlite:////a/b%25c.db?timeout=3") == Path("/a/b%c.db")
    assert sqlite_file("sqlite:///:memory:") is sqlite_file("http://host/x") is None
    assert identity("http://user:word@host") == "http://host"


@pytest.mark.parametrize(
    ("content", "problem"), [(None, "is a folder"), (b"hello, I am no database", "file is not a database")]
)
def test_what_is_no_database_is_refused_in_one_line(tmp_path, content, problem):
    """A folder or another file in its place ends the run at once, and stays as it is."""
    path = tmp_path / "mlflow.db"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(TrackingError, match=problem):
        prepare(f"sqlite:///{path}")
    assert content is None or path.read_bytes() == content


def half_made(path, migrations, noted=True):
    """Leave a store as MLflow does when it is killed after some migrations, the last noted or not."""
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    config = _get_alembic_config(f"sqlite:///{path}")
    revisions = [r.revision for r in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    if migrations:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revisions[migrations - 1])
    if not noted:
        with sqlite3.connect(path) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", [revisions[migrations - 2]])
    engine.dispose()


@pytest.mark.parametrize("migrations", [0, 5, 30])
def test_a_store_between_two_migrations_is_continued(tmp_path, migrations):
    """MLflow continues after the last migration that it noted."""
    path = tmp_path / "mlflow.db"
    half_made(path, migrations)
    mlflow_store(f"sqlite:///{path}")
    assert sqlite3.connect(path).execute("SELECT count(*) FROM experiments").fetchone() == (1,)


@pytest.mark.parametrize("migrations", [12, 30])
def test_a_store_within_a_migration_is_named_in_one_line(tmp_path, migrations):
    """MLflow cannot repeat a migration that was killed before its note; the error names the file."""
    path = tmp_path / "mlflow.db"
    half_made(path, migrations, noted=False)
    with pytest.raises(TrackingError, match=f"Remove {re.escape(str(path))}"):
        mlflow_store(f"sqlite:///{path}")


def hook(folder):
    """Return an environment in which MLflow has the entry points of this project's ``pyproject.toml``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = folder / "site" / "synththorax_hook-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: synththorax-hook\nVersion: 1\n")
    lines = [
        f"[{g}]\n" + "".join(f"{n} = {v}\n" for n, v in e.items()) for g, e in project["entry-points"].items()
    ]
    (about / "entry_points.txt").write_text("".join(lines))
    path = os.pathsep.join([str(about.parent), str(ROOT)])
    return os.environ | {"PYTHONPATH": path, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}


SEARCH = [sys.executable, "-m", "mlflow", "experiments", "search"]


def test_mlflow_itself_makes_the_store_whole_for_several_starts_at_once(tmp_path):
    """Two MLflow commands on no store both succeed, and leave one whole store, and no other file."""
    environ = hook(tmp_path)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    starts = [subprocess.Popen(SEARCH, cwd=tmp_path, env=environ, **pipes) for _ in range(2)]
    for start in starts:
        output, _ = start.communicate()
        assert start.returncode == 0, output
    assert {p.name for p in tmp_path.iterdir()} == {"site", "mlflow.db"}


def test_mlflow_names_a_half_made_store_in_one_line(tmp_path):
    """An MLflow command on a store that was left half-made prints the error alone, no traceback."""
    half_made(tmp_path / "mlflow.db", 30, noted=False)
    completed = subprocess.run(
        SEARCH, cwd=tmp_path, env=hook(tmp_path), capture_output=True, text=True, check=False
    )
    assert completed.returncode == 1
    assert f"Remove {tmp_path / 'mlflow.db'}" in completed.stderr
    assert "Traceback" not in completed.stderr
