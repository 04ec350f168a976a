"""What several tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.images.image_set import Splits
from support.samples import ROOT, blobs

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SYNTHTHORAX_CACHE", tempfile.mkdtemp(prefix="synththorax-cache-"))


# By seconds, from the longest: the last file to start should be a short one.
LONG = (
    "test_end_to_end.py", "tasks/test_protocols.py", "metrics/test_memorization.py",
    "stages/test_strategies.py", "submissions/test_submit.py", "contracts/test_sources.py",
    "verification/test_door.py", "experiments/test_tracking_store.py", "experiments/test_tune.py",
    "experiments/test_mlflow_tracker.py", "cli/test_leaderboard.py", "stages/test_foreign.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first, so that no worker of pytest-xdist idles at the end."""
    first = {str(ROOT / "tests" / name): k for k, name in enumerate(LONG)}
    items.sort(key=lambda item: first.get(str(item.path), len(LONG)))


@pytest.fixture
def splits() -> Splits:
    """Four small splits of three classes."""
    counts = {"a": 24, "b": 12, "c": 6}
    return Splits(
        train=blobs(counts, seed=1, prefix="train"),
        val=blobs({"a": 6, "b": 5, "c": 4}, seed=2, prefix="val"),
        test=blobs({"a": 20, "b": 20, "c": 20}, seed=3, prefix="test"),
        reserve=blobs({"a": 8, "b": 8, "c": 8}, seed=4, prefix="reserve"),
    )


@pytest.fixture
def packs() -> Path:
    """Folder of the packs of real images; the test is skipped where they are not."""
    folder = Path(os.environ.get("SYNTHTHORAX_PACKS", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no packs of real images at {folder}; set SYNTHTHORAX_PACKS")
    return folder


@pytest.fixture
def albumentations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The library, which is kept from asking the network for a newer release."""
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    return pytest.importorskip("albumentations")


@pytest.fixture(scope="module")
def few_compared() -> Iterator[None]:
    """Calibrate the memorization gate on few images, where a test is not about it."""
    from benchmark.metrics.memorization import gate, real_copies

    with pytest.MonkeyPatch.context() as patch:
        for name, count in {"HELDOUT": 20, "OTHERS": 20, "PLANTED": 2, "ITSELF": 10}.items():
            patch.setattr(real_copies, name, count)
        patch.setattr(gate, "ITSELF", 10)
        patch.setattr(gate, "HIDDEN", 10)
        yield
