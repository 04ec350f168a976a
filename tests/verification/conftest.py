"""Bundles that are created once, and a cache of the data that every verification needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.metrics.extractor.features import PHANTOM
from benchmark.tasks.loading import load_task
from benchmark.verification import data as recomputation
from benchmark.verification.data import RecomputedData, recompute_data
from benchmark.verification.protocol import Protocol
from benchmark.verification.request import VerifyRequest
from support.honest import CARD, write_honest
from support.samples import TINY


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a row of the suite, ``ddpm``, and a submission, ``blurred_noise``."""
    folder = tmp_path_factory.mktemp("honest")
    write_honest(folder / "ddpm", folder / "store")
    write_honest(folder / "blurred_noise", folder / "store", submission_type="samples", submission=CARD)
    return folder


@pytest.fixture(scope="session", autouse=True)
def remembered(originals: Path):
    """Compute the data of the tiny task, and all that depends on them, once per protocol."""
    patch, cache = pytest.MonkeyPatch(), {}
    recompute = recomputation.recompute_data

    def recomputed(protocol, root, store):  # type: ignore[no-untyped-def]
        key = protocol.request(root, PHANTOM)
        if key not in cache:
            cache[key] = recompute(protocol, root, originals / "store")
        return cache[key]

    patch.setattr(recomputation, "recompute_data", recomputed)
    yield
    patch.undo()


@pytest.fixture
def options() -> VerifyRequest:
    """The verification request; the tiny task is not part of the suite."""
    return VerifyRequest(task=TINY)


@pytest.fixture
def suite_row(originals: Path, tmp_path: Path) -> Path:
    """A copy of the bundle of ``ddpm``."""
    return Path(shutil.copytree(originals / "ddpm", tmp_path / "ddpm"))


@pytest.fixture
def submission(originals: Path, tmp_path: Path) -> Path:
    """A copy of the bundle of a submission."""
    return Path(shutil.copytree(originals / "blurred_noise", tmp_path / "blurred_noise"))


@pytest.fixture(scope="session")
def data(originals: Path) -> RecomputedData:
    """The data of the tiny task."""
    task = load_task(str(TINY))
    return recompute_data(
        Protocol(task, str(TINY), "demo", "phantom.chest", PHANTOM, ""), None, originals / "store"
    )
