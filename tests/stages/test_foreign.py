"""A generator from outside: the same images as in the worker's process, at every level of isolation."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.engine.sandbox.level import LEVELS, works
from benchmark.stages.fit import FITTED
from support.generator_jobs import Jobs, small_splits
from support.samples import ROOT

EXAMPLE = (ROOT / "examples" / "my_generator.py").read_text(encoding="utf-8")


def fitted_and_drawn(
    root: Path, origin: str, text: str = EXAMPLE, params: Any = None
) -> tuple[Path, np.ndarray]:
    """Return the folder of the fit, and images drawn from it."""
    root.mkdir()
    jobs = Jobs(root, small_splits(), text=text, origin=origin)
    folder, _ = jobs.fit("fit", seed=3)
    return folder, np.asarray(jobs.draw("draw", "a", [folder], 6).image)


@pytest.fixture(scope="module")
def in_process(tmp_path_factory):
    return fitted_and_drawn(tmp_path_factory.mktemp("inside") / "run", "builtin")


@pytest.mark.parametrize("level", LEVELS)
def test_an_honest_generator_gives_the_same_bytes_in_a_sandbox(level, in_process, tmp_path, monkeypatch):
    """The saved model and the drawn images of my_generator do not depend on where its code runs."""
    if not works(level):
        pytest.skip(f"no {level} here")
    monkeypatch.setenv("SYNTHTHORAX_SANDBOX", level)
    folder, images = fitted_and_drawn(tmp_path / "run", "file")
    names = [p.name for p in (in_process[0] / FITTED).iterdir()]
    assert filecmp.cmpfiles(in_process[0] / FITTED, folder / FITTED, names, shallow=False)[0] == names
    np.testing.assert_array_equal(images, in_process[1])
