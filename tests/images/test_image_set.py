"""Image sets, splits and their files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import DataError, GeneratorError
from benchmark.images import arrow
from benchmark.images.disjoint import prove_disjoint
from benchmark.images.image_set import concatenate
from benchmark.plugins.generator import SampleRequest, alternate
from support.samples import blobs, synthetic


def test_arrow_round_trip_preserves_every_column(tmp_path):
    """A written set reads back equal, including the content hash."""
    images = replace(
        blobs({"a": 3, "b": 2}),
        age=np.array([1.0, 2, 3, 4, 5]),
        view=np.array(list("APAPA")),
        mask=np.full((5, 16, 16), 255, np.uint8),
        card={"made": "here"},
    )
    arrow.write_images(tmp_path / "x.arrow", images)
    back = arrow.read_images(tmp_path / "x.arrow")
    assert back.content_hash() == images.content_hash()
    assert back.card == {"made": "here"}
    assert back.sex is None


def test_arrow_file_is_opened_by_the_datasets_library(tmp_path):
    """``datasets.Dataset.from_file`` maps the plain Arrow stream."""
    from datasets import Dataset

    images = blobs({"a": 3, "b": 2})
    arrow.write_images(tmp_path / "x.arrow", images)
    table = Dataset.from_file(str(tmp_path / "x.arrow"))
    assert table["label"] == images.label.tolist()
    assert np.array_equal(np.array(table[1]["image"]).reshape(16, 16), images.image[1])


def test_pixels_are_a_view_of_the_file(tmp_path):
    """Reading does not copy the pixels, so they are read-only."""
    arrow.write_images(tmp_path / "x.arrow", blobs({"a": 3}))
    assert not arrow.read_images(tmp_path / "x.arrow").image.flags.writeable


def test_empty_set_round_trips(tmp_path):
    """A set without images keeps its classes and size."""
    empty = blobs({"a": 3, "b": 2}).select(np.zeros(0, int))
    arrow.write_images(tmp_path / "x.arrow", empty)
    assert arrow.read_images(tmp_path / "x.arrow").image.shape == (0, 16, 16)


def test_other_file_is_refused(tmp_path):
    """The error names a file that is not an image set."""
    (tmp_path / "x.arrow").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.arrow"):
        arrow.read_images(tmp_path / "x.arrow")


def test_proof_holds_for_disjoint_splits(splits):
    """The proof counts patients and lists every compared pair: four splits, six pairs."""
    proof = prove_disjoint(splits)
    assert len(proof["disjoint_by_patient"]) == 6
    assert proof["patients"]["train"] == 42


def test_shared_patient_is_an_error(splits):
    """The error names a patient in both train and test."""
    ids = splits.test.patient_id.astype(object)
    ids[0] = splits.train.patient_id[0]
    with pytest.raises(DataError, match="share 1 patients, the first is 'train-00000'"):
        prove_disjoint(replace(splits, test=replace(splits.test, patient_id=ids)))


def test_shared_image_is_an_error(splits):
    """The same pixels under two patient ids are an error."""
    image = splits.val.image.copy()
    image[2] = splits.train.image[5]
    with pytest.raises(DataError, match="the same picture: 'train-00005' and 'val-00002'"):
        prove_disjoint(replace(splits, val=replace(splits.val, image=image)))


@given(st.integers(1, 5), st.integers(2, 5))
def test_every_prefix_of_a_balanced_request_is_balanced(per_class, n_classes):
    """A smaller bracket is the start of a larger one."""
    request = SampleRequest.balanced(per_class, tuple(map(str, range(n_classes))), 16)
    for i in range(per_class):
        prefix = request.label[: (i + 1) * n_classes]
        assert np.bincount(prefix).tolist() == [i + 1] * n_classes


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 16, 16)), "gave image of shape"),
        (np.zeros((4, 8, 8)), "gave image of shape"),
        (np.full((4, 16, 16), np.nan), "NaN"),
        (np.full((4, 16, 16), 1.5), r"pixels in \[1.5, 1.5\]"),
        (np.full((4, 16, 16), -1.0), r"pixels in \[-1, -1\]"),
    ],
)
def test_invalid_samples_are_refused(image, message):
    """For a wrong count, size or range, and for NaN, the error has the expected value."""
    request = SampleRequest.balanced(2, ("a", "b"), 16)
    with pytest.raises(GeneratorError, match=message):
        synthetic(image, request)


def test_floats_become_bytes():
    """0, 0.5 and 1 become 0, 128 and 255."""
    request = SampleRequest(np.array([0, 0, 0]), ("a",), 1)
    drawn = synthetic(np.array([0, 0.502, 1.0]).reshape(3, 1, 1), request)
    assert drawn.image.ravel().tolist() == [0, 128, 255]


def test_concatenate_drops_partial_columns():
    """A column survives only if every part has it."""
    a, b = blobs({"a": 2}, prefix="a"), blobs({"a": 1}, prefix="b")
    both = concatenate([replace(a, sex=np.array(["f", "m"])), b])
    assert len(both) == 3
    assert both.sex is None


def test_selected_classes_are_renumbered():
    """Of three classes the last is dropped; the others keep their images and columns."""
    images = blobs({"a": 3, "b": 2, "c": 4})
    images = replace(images, soft=np.eye(3, dtype=np.float32)[images.label])
    chosen = images.only(("a", "b"))
    assert chosen.counts() == {"a": 3, "b": 2}
    assert chosen.soft.shape == (5, 2)
    assert images.only(("a", "b", "c", "d")) is images


def test_single_label_view_takes_the_rarest_class():
    """An image of a common and a rare class counts as the rare one; one without a class is left out."""
    images = blobs({"a": 4, "b": 0})
    label = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], np.uint8)
    single = replace(images, label=label).to_single_label()
    assert single.label.tolist() == [0, 1, 0]
    assert single.reported_labels.tolist() == [[1, 0], [1, 1], [1, 0]]


def test_multi_label_and_optional_columns_round_trip(tmp_path):
    """Label matrices, reports, soft labels, boxes and clips round-trip, also over several batches."""
    images = blobs({"a": 4, "b": 3})
    images = replace(
        images,
        label=np.eye(2, dtype=np.uint8)[images.label],
        reported_labels=np.full((7, 2), -1, np.int8),
        soft=np.full((7, 2), 0.5, np.float32),
        box=np.full((7, 4), np.nan, np.float32),
        clip=np.array(["", "film", "", "", "", "", "film"]),
    )
    for batch in (2**28, 600):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arrow, "BATCH_BYTES", batch)
            arrow.write_images(tmp_path / "x.arrow", images)
        again = arrow.read_images(tmp_path / "x.arrow")
        assert again.content_hash() == images.content_hash()
        assert np.array_equal(again.image[np.array([6, 0])], images.image[[6, 0]])
        assert isinstance(again.image, np.ndarray) == (batch == 2**28)


def test_request_of_counts_is_interleaved():
    """Every prefix is as balanced as the counts allow."""
    assert alternate({"a": 3, "c": 1}, ("a", "b", "c")).tolist() == [0, 2, 0, 0]
