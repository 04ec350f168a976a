"""Curves of the fits and the picture of their previews in a bundle."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
from PIL import Image

from benchmark.bundles.training import fit_curves, training_picture
from benchmark.engine.node import Node
from benchmark.stages.fit import FitResult
from benchmark.stages.preview_images import add_preview
from benchmark.stages.previews import Preview
from support.generator_jobs import Jobs, small_splits

HISTORY = [
    {"step": 5.0, "loss": 1.0},
    {"step": 10.0, "val_fid_phantom_cxr_v1": 9.0, "preview_fid/a": 8.0},
    {"step": 20.0, "val_fid_phantom_cxr_v1": 7.0, "preview_ms_ssim/a": 0.5, "loss": 0.5},
]


def fitted(tmp_path, unit: str, of_class: str) -> tuple[SimpleNamespace, dict[str, SimpleNamespace]]:
    """Return a graph with one fit, and its result with two previews of class ``of_class``."""
    jobs = Jobs(tmp_path, small_splits())
    folder, _ = jobs.fit("fit", of_class, unit=unit)
    node = Node("fit/g", config(jobs, unit, of_class), row="g", fit=3)
    for step in (10, 20):
        add_preview(
            folder, step, Preview(1.0, {}, np.zeros((2, 16, 16), np.uint8), np.array([1, 1])), ("a", "b")
        )
    result = SimpleNamespace(folder=folder, read=lambda kind: FitResult(history=HISTORY))
    return SimpleNamespace(find=lambda stage, row: [node]), {"fit/g": result}


def config(jobs: Jobs, unit: str, of_class: str):
    from benchmark.stages.fit import FitConfig
    from benchmark.tasks.profile import Previews
    from benchmark.tasks.rules import Mix

    return FitConfig(
        **jobs.shared | {"unit": unit, "of_class": of_class}, params={}, paths={}, mix=Mix(),
        extractor="phantom_cxr_v1", extractor_hash="", previews=Previews(), reserve=False,
    )  # fmt: skip


def test_curves_have_the_previews_alone(tmp_path):
    """Of three entries two are previews; a figure that one lacks is None there, and losses are absent."""
    graph, results = fitted(tmp_path, "joint", "")
    assert fit_curves(graph, results, "g") == [{
        "fit": 3, "fold": 0, "of_class": "", "number": 0, "step": [10, 20],
        "figures": {"val_fid_phantom_cxr_v1": [9.0, 7.0], "preview_fid/a": [8.0, None],
                    "preview_ms_ssim/a": [None, 0.5]},
    }]  # fmt: skip
    assert fit_curves(graph, {}, "g") == []


def test_a_curve_of_one_class_names_it(tmp_path):
    """The fit of a class has its name."""
    graph, results = fitted(tmp_path, "per_class", "b")
    assert fit_curves(graph, results, "g")[0]["of_class"] == "b"


def test_picture_shows_every_step(tmp_path):
    """Two steps of two images are a PNG with two lines; without a result there is none."""
    graph, results = fitted(tmp_path, "joint", "")
    picture = Image.open(io.BytesIO(training_picture(graph, results, "g")))
    assert picture.size == (84 + 2 * 56, 20 + 2 * 56)
    assert training_picture(graph, {}, "g") is None
