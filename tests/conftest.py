"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.images.image_set import Splits
from support.samples import ROOT, blobs

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")


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
