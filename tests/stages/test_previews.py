"""Previews: the FID that decides, the figures of each class, and the images that figures show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmark.images.image_set import ImageSet
from benchmark.metrics.extractor.features import features
from benchmark.metrics.fid import fid
from benchmark.metrics.ms_ssim import pairwise
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import Samples
from benchmark.stages.preview_images import PreviewImages, add_preview
from benchmark.stages.previews import Preview, PreviewFid
from benchmark.stages.requests import Conditions
from benchmark.tasks.profile import Previews
from benchmark.tasks.requests import Requests
from support.samples import blobs


class Fixed:
    """Draws the images of a set, in the order of the class."""

    def __init__(self, images: ImageSet) -> None:
        self.images = images

    def sample(self, request, context):
        rows = [
            np.flatnonzero(self.images.label == k)[i]
            for k, i in zip(request.label, request.index, strict=True)
        ]
        return Samples(self.images.image[rows])


TRAIN, VAL = blobs({"a": 30, "b": 24}, size=32, seed=1), blobs({"a": 25, "b": 22, "c": 5}, size=32, seed=2)
DRAWN = blobs({"a": 60, "b": 60, "c": 60}, size=32, seed=3)


def preview(choice: str, images: int, train: ImageSet = VAL, val: ImageSet = VAL) -> Preview:
    conditions = Conditions(frozenset({"label"}), Requests(), train)
    settings = Previews(images=images, choice=choice)
    measure = PreviewFid("g", train, val, settings, conditions, 16, "phantom_cxr_v1", "cpu")
    return measure(Fixed(DRAWN), SampleContext())


def of_class(images: ImageSet, k: int, most: int = 10**6) -> np.ndarray:
    return images.image[images.label == k][:most]


def test_figures_of_each_class_equal_their_functions():
    """Class by class, FID is that of 22 against 22 images and MS-SSIM that of all 22; their mean decides."""
    measured = preview("per_class", 22)
    values = {}
    for k, name in enumerate("ab"):
        rows = (
            np.sort(np.random.default_rng(77).permutation(np.flatnonzero(VAL.label == k))[:22])
            if k == 0
            else None
        )
        drawn = of_class(DRAWN, k, 22)
        if rows is not None:
            expected = fid(features(VAL.image[rows], "phantom_cxr_v1"), features(drawn, "phantom_cxr_v1"))
            assert measured.scalars["preview_fid/a"] == pytest.approx(expected, rel=1e-4)
        assert measured.scalars[f"preview_ms_ssim/{name}"] == pytest.approx(
            pairwise(drawn, 2).mean(), rel=1e-5
        )
        values[name] = measured.scalars[f"preview_fid/{name}"]
    assert measured.fid > max(values.values())  # class c has five real images, a larger bias


def test_a_class_with_few_real_images_has_no_fid():
    """Of five real images FID is noise, so class c has its MS-SSIM alone."""
    assert set(preview("per_class", 22).scalars) == {
        "preview_fid/a", "preview_fid/b", "preview_ms_ssim/a", "preview_ms_ssim/b", "preview_ms_ssim/c"
    }  # fmt: skip


def test_one_fid_against_val_is_measured_by_class_too():
    """With one preview for all classes, 104 images in val's proportions give classes a and b a FID."""
    measured = preview("val", 104)
    assert {"preview_fid/a", "preview_fid/b"} < set(measured.scalars)
    assert "preview_fid/c" not in measured.scalars


def test_first_images_of_each_class_are_shown():
    """Four images of each class go into the figure."""
    measured = preview("per_class", 22)
    assert measured.label.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    np.testing.assert_array_equal(measured.image[4:8], of_class(DRAWN, 1, 4))


def shown(step: int) -> Preview:
    image = np.full((4, 160, 160), step, np.uint8)
    return Preview(1.0, {}, image, np.array([0, 0, 2, 2]))


def test_previews_are_stored_small_and_replaced_after_a_crash(tmp_path):
    """Of steps 10, 20 and 30, 20 is drawn again after a crash: 10 and the new 20 are there, at 128 px."""
    for step in (10, 20, 30):
        path = add_preview(tmp_path, step, shown(step), ("a", "b", "c"))
    again = shown(20)
    again.image[:] = 99
    add_preview(tmp_path, 20, again, ("a", "b", "c"))
    stored = PreviewImages.load(tmp_path)
    assert stored.step.tolist() == [10, 20]
    assert (stored.image.shape, stored.image[:, 0, 0, 0].tolist()) == ((2, 4, 128, 128), [10, 99])
    assert [(s.name, list(s.steps), s.image.shape[1]) for s in stored.strips()] == [
        ("a", [10, 20], 2), ("c", [10, 20], 2)
    ]  # fmt: skip
    with Image.open(path) as picture:
        assert picture.size == (2 * (84 + 2 * 56), 20 + 2 * 56)


def test_a_damaged_file_of_previews_begins_again(tmp_path):
    """A torn file counts as none."""
    (tmp_path / "previews.npz").write_bytes(b"torn")
    add_preview(tmp_path, 5, shown(5), ("a", "b", "c"))
    assert PreviewImages.load(tmp_path).step.tolist() == [5]
