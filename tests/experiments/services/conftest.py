"""PostgreSQL, an S3 server and MLflow, started once; skipped where one is not installed."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.samples import ROOT

NEEDED = ("moto", "psycopg2", "s3fs", "boto3")


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("services", ROOT / "deploy" / "services.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["services"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def services() -> Iterator[Any]:
    """The three services, as attributes ``database``, ``objects`` and ``mlflow``."""
    for name in NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed: make test-services")
    if not [*Path("/usr/lib/postgresql").glob("*/bin/initdb")] and not shutil.which("initdb"):
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    script, folder = _script(), Path(tempfile.mkdtemp(prefix="synththorax-"))  # the user postgres enters it
    started: list[Any] = []
    try:
        for start in (script.postgres, script.objects, script.mlflow):
            started.append(start(folder, *started))
        script.database, script.store, script.tracking = started
        yield script
    finally:
        for service in reversed(started):
            service.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def s3(services: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty folder in the bucket, with the keys in the environment."""
    for name, value in services.KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{services.store.port}")
    return f"s3://{services.BUCKET}/team"
