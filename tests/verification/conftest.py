"""Bundles that are created once, and a cache of the data that every verification needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.images.copies.detector import CopyDetector, Matches
from benchmark.metrics.extractor.features import PHANTOM
from benchmark.verification.data import RecomputedData, recompute_data
from benchmark.verification.request import VerifyRequest
from support.honest import CARD, tiny_protocol, write_honest
from support.remembered import remember_data
from support.samples import TINY


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> RecomputedData:
    """The data of the tiny task."""
    return recompute_data(tiny_protocol(), None, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def originals(data: RecomputedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a row of the suite, ``ddpm``, and a submission, ``blurred_noise``."""
    folder = tmp_path_factory.mktemp("honest")
    write_honest(folder / "ddpm", data)
    write_honest(folder / "blurred_noise", data, submission_type="samples", submission=CARD)
    return folder


@pytest.fixture(scope="session", autouse=True)
def remembered(data: RecomputedData, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compute the data of a protocol, and all that depends on them, once; search for each image once."""
    match, store = CopyDetector.match, tmp_path_factory.mktemp("remembered")
    matches: dict[tuple[CopyDetector, bytes], Matches] = {}

    def matched(detector: CopyDetector, images: np.ndarray, groups: np.ndarray | None = None) -> Matches:
        key = detector, np.asarray(images).tobytes() + (b"" if groups is None else groups.tobytes())
        if key not in matches:
            matches[key] = match(detector, images, groups)
        return matches[key]

    with pytest.MonkeyPatch.context() as patch:
        remember_data(patch, {tiny_protocol().request(None, PHANTOM): data}, store)
        patch.setattr(CopyDetector, "match", matched)
        yield


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
