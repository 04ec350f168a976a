"""Data sets of the ``datasets`` library without its own cache and without a network."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def offline(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache and network of the library are those of the test."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


def png(pixels: np.ndarray) -> dict[str, Any]:
    """Return an image as the library stores it."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return {"bytes": sink.getvalue(), "path": None}
