"""Parts of the training images that the fits of a row learn from."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from support.generator_jobs import CLASSES, Jobs, small_splits


def test_a_joint_fit_sees_all_classes_and_the_seed_of_the_node(tmp_path):
    """It learns from all training images, and its curve and its saved state are results."""
    jobs = Jobs(tmp_path, small_splits())
    folder, result = jobs.fit("fit", seed=3)
    (call,) = jobs.calls("fit")
    assert call["ids"] == jobs.splits.train.image_id.tolist()
    assert call["seed"] == 3
    assert result.history == [{"step": 1.0, "loss": 0.5}]
    assert result.chosen == {}
    assert json.loads((folder / "fitted" / "m.json").read_text())[1] == 3


def test_a_fit_of_a_class_sees_that_class(tmp_path):
    """Each class is learned from its images alone, and with a different seed."""
    jobs = Jobs(tmp_path, small_splits())
    for k in CLASSES:
        jobs.fit(f"fit-{k}", k, unit="per_class")
    calls, train = jobs.calls("fit"), jobs.splits.train
    assert [c["ids"] for c in calls] == [train.of_class(k).image_id.tolist() for k in range(3)]
    assert len({c["seed"] for c in calls}) == 3


def test_fits_of_images_have_distinct_sources(tmp_path):
    """Each number has another image of the class as its source; after the last there is nothing to fit."""
    jobs = Jobs(tmp_path, small_splits())
    results = [jobs.fit(f"fit-{n}", "c", n, unit="per_image")[1] for n in range(3)]
    assert {r.source_id for r in results[:2]} == set(jobs.splits.train.of_class(2).image_id.tolist())
    assert [c["ids"] for c in jobs.calls("fit")] == [[r.source_id] for r in results[:2]]
    assert not results[2].fitted


def test_still_images_alone(tmp_path):
    """Of a class with videos, frames are left out of a fit on still images."""
    splits = small_splits()
    clip = np.array(["film"] * 4 + [""] * 8)
    jobs = Jobs(tmp_path, replace(splits, train=replace(splits.train, clip=clip)))
    jobs.fit("fit", learn_from="still_images")
    assert jobs.calls("fit")[0]["ids"] == splits.train.image_id[4:].tolist()


def test_a_selection_limits_the_fit(tmp_path):
    """Only the chosen training images are learned."""
    jobs = Jobs(tmp_path, small_splits())
    (tmp_path / "select").mkdir()
    np.save(tmp_path / "select" / "chosen.npy", np.array([1, 7]))
    jobs.fit("fit", inputs={"selection": [tmp_path / "select"]})
    assert jobs.calls("fit")[0]["ids"] == jobs.splits.train.image_id[[1, 7]].tolist()
