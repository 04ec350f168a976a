"""Figures of the papers' measures of generated images."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Annotation
from PIL import Image

from benchmark.reporting.figures import draw, shapes
from benchmark.reporting.figures.classes import class_distances, rotated, scaled
from benchmark.reporting.figures.prevalence import label_prevalence
from benchmark.reporting.figures.training import samples, training
from benchmark.reporting.tables.record import LeftOut
from support.measured_rows import CLASSES, matrix, measure, run_with

PLACES = dict(zip(CLASSES, (0.0, 1.0, 6.0, 2.0), strict=True))


def of_distances(places=PLACES):
    own = measure("class_distances", 0.9, 0.95, "x", matrix=matrix(places), floor_matrix=matrix(PLACES))
    return {"measures": {"class_distances_x": own}}


def test_scaling_recovers_distances_in_a_plane():
    """Five places give their distances back, with the first one on the left."""
    points = np.random.default_rng(0).normal(size=(5, 2))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    places = scaled(distances)
    np.testing.assert_allclose(np.linalg.norm(places[:, None] - places, axis=2), distances, atol=0.02)
    assert places[0, 0] == places[0].min() < 0
    assert places[0, 1] == pytest.approx(0, abs=1e-9)


def test_other_images_are_rotated_to_the_real_classes():
    """Places that are turned and mirrored lie on the real ones again."""
    real = np.random.default_rng(1).normal(size=(4, 2))
    turned = real @ np.array([[0.0, 1.0], [1.0, 0.0]])
    names = list("abcd")
    np.testing.assert_allclose(rotated(turned, names, dict(zip(names, real, strict=True))), real, atol=1e-9)


def test_class_distances_have_a_line_for_real_images_and_for_each_generator():
    """Real images and two generators have two panels each; the tree joins the nearest classes first."""
    with draw.style():
        drawn = class_distances(
            run_with(gan=of_distances(), other=of_distances(dict(zip(CLASSES, (0, 5, 6, 9), strict=True))))
        )
    axes = drawn.figure.axes
    assert len(axes) == 6
    named = {child.get_text() for child in axes[0].get_children() if isinstance(child, Annotation)}
    assert named == set(CLASSES)
    order = [tick.get_text() for tick in axes[1].get_yticklabels()]
    assert {order.index("none"), order.index("nodule")} in ({0, 1}, {1, 2}, {2, 3})
    assert "Figure 5" in drawn.caption


def prevalence(shares, intervals=0.02):
    per_class = {
        c: {
            "value": s,
            "floor": 0.2,
            "interval": [s - intervals, s + intervals],
            "floor_interval": [0.19, 0.21],
        }
        for c, s in zip(CLASSES, shares, strict=True)
    }
    return {"measures": {"label_prevalence": measure("label_prevalence", 0.1, 0.0, per_class=per_class)}}


def test_prevalence_of_real_images_and_generators():
    """Real labels are at 20 %, those of the generator at 30, 20, 10 and 5 %."""
    with draw.style():
        drawn = label_prevalence(run_with(gan=prevalence((0.3, 0.2, 0.1, 0.05))))
    (axes,) = drawn.figure.axes
    series = {c.get_label(): c.lines[0].get_xdata() for c in axes.containers}
    assert series["real"] == pytest.approx([20, 20, 20, 20])
    assert series["gan"] == pytest.approx([30, 20, 10, 5])
    assert [t.get_text() for t in axes.get_yticklabels()] == list(CLASSES)


def test_curves_along_the_training():
    """Each generator has a panel with a line per class at its steps; a missing value is left out."""
    figures = {"val_fid_x": [9, 8, 7], "preview_fid/none": [5, None, 3], "preview_fid/mass": [6, 5, 4]}
    figures["preview_ms_ssim/none"] = [0.2, 0.3, 0.4]
    with draw.style():
        fid, alike = training(
            run_with(gan={"fit_curves": [{"fit": 0, "step": [10, 20, 30], "figures": figures}]})
        )
    lines = {line.get_label(): line.get_xydata().tolist() for line in fid.figure.axes[0].get_lines()}
    assert lines == {"none": [[10, 5], [30, 3]], "mass": [[10, 6], [20, 5], [30, 4]]}
    assert [line.get_ydata().tolist() for line in alike.figure.axes[0].get_lines()] == [[0.2, 0.3, 0.4]]
    assert ("features of x" in fid.caption, "Figure 4" in alike.caption) == (True, True)


def test_samples_along_the_training_are_shown():
    """The PNG of a bundle becomes a figure with its pixels; without any there is a reason."""
    out, pixels = io.BytesIO(), np.arange(200, dtype=np.uint8).reshape(10, 20)
    Image.fromarray(pixels).save(out, "PNG")
    run = replace(run_with(gan={}), training={"gan": out.getvalue()})
    with draw.style():
        (drawn,) = samples(run)
    np.testing.assert_array_equal(drawn.figure.axes[0].get_images()[0].get_array(), pixels)
    assert drawn.name == "training_samples_gan"
    assert isinstance(samples(run_with(gan={}))[0], LeftOut)


def test_runs_without_these_measures_have_reasons():
    """All four figures are left out with a reason, and the others are drawn."""
    left_out = {f.name for f in shapes.of_run(run_with(gan={"measures": {}})) if isinstance(f, LeftOut)}
    assert {"class_distances", "label_prevalence", "training_fid", "training_ms_ssim"} <= left_out
