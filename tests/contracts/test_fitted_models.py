"""Every built-in generator leaves a run: images by label, and a model of MLflow that draws the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from diffusers import DiffusionPipeline

from benchmark.experiments.fitted_row import open_row
from benchmark.experiments.mlflow_model import _load_pyfunc, signature
from benchmark.experiments.portable_row import write_row
from benchmark.plugins.generator import FORMATS, Traits
from benchmark.plugins.registry import find
from benchmark.stages.fit import FITTED
from support.fitted_runs import CLASSES, FittedRun, fitted_run
from support.samples import ROOT

BUILTIN = [p.stem for p in sorted((ROOT / "benchmark" / "generators").glob("[a-z]*.py"))]
ENTRY = {"previews": {"count": 1, "images": 10}, "chunk": 2, "sources_per_class": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FittedRun]:
    """A run of all built-in generators with their tiny parameters."""
    root = tmp_path_factory.mktemp("run")
    modules = {name: find("generators", [name])[0].load() for name in BUILTIN}
    entries = {n: ENTRY | {"params": m.tiny() if hasattr(m, "tiny") else {}} for n, m in modules.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTHTHORAX_STORE", str(root / "store"))
        yield fitted_run(root, entries)


@pytest.mark.parametrize("name", BUILTIN)
def test_the_same_request_gives_the_images_of_the_run(name: str, run: FittedRun) -> None:
    """Three of the run's five images of a label, across a chunk's border, byte for byte."""
    label = CLASSES[1]
    drawn = open_row(run.out, name).draw(label, 3)
    assert np.array_equal(drawn.image, run.drawn(name, label).image[:3])


@pytest.mark.parametrize("name", BUILTIN)
def test_the_model_of_mlflow_draws_the_same_images(name: str, run: FittedRun, tmp_path: Path) -> None:
    """Without the store: mixed labels in the order of the records, and the shape that the signature names."""
    row = open_row(run.out, name)
    write_row(row, tmp_path)
    labels = [CLASSES[2], CLASSES[0], CLASSES[2]]
    images = _load_pyfunc(str(tmp_path)).predict(pd.DataFrame({"label": labels}))
    assert np.array_equal(images[[0, 2]], run.drawn(name, CLASSES[2]).image[:2])
    assert np.array_equal(images[1], run.drawn(name, CLASSES[0]).image[0])
    (output,) = signature(row).outputs.inputs
    assert (output.type, output.shape[1:]) == (images.dtype, images.shape[1:])


@pytest.mark.parametrize("name", BUILTIN)
def test_a_declared_format_is_that_of_the_folder(name: str, run: FittedRun) -> None:
    """A generator that declares the format of a library has the file by which the library loads it, and
    diffusers alone loads its pipeline."""
    module = find("generators", [name])[0].load()
    fits = open_row(run.out, name).fits[CLASSES[0]]
    for kind in Traits.of(module.Generator).formats:
        assert list((fits.folders[0] / FITTED).rglob(FORMATS[kind]))
        if kind == "diffusers":
            assert DiffusionPipeline.from_pretrained(fits.folders[0] / FITTED).unet
