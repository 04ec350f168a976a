"""Checks of what a generator draws."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.errors import GeneratorError
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.stages.samples import check_samples, image_set

REQUEST = SampleRequest(np.array([0, 0, 1]), ("a", "b"), 16)
GOOD = np.zeros((3, 16, 16), np.uint8)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (GOOD, "ndarray, expected Samples"),
        (Samples(GOOD[:2]), r"image of shape \(2, 16, 16\), expected \(3, 16, 16\)"),
        (Samples(GOOD, patient_id=np.array(["p"])), r"patient_id of shape \(1,\), expected \(3,\)"),
        (Samples(GOOD, source_id=np.array([["p"]] * 3)), r"source_id of shape \(3, 1\)"),
        (Samples(GOOD, mask=GOOD[:, :8]), r"mask of shape \(3, 8, 16\)"),
        (Samples(GOOD, mask=GOOD > 0), "mask of type bool, expected uint8"),
        (Samples(GOOD, mask=GOOD / 1.0), "mask of type float64, expected uint8"),
        (Samples(GOOD, labels=np.zeros((3, 3))), r"labels of shape \(3, 3\), expected \(3, 2\)"),
    ],
)
def test_columns_that_do_not_fit_the_request_are_refused(drawn, message):
    """The one line names the generator, the column, its shape and the expected one."""
    with pytest.raises(GeneratorError, match=rf"generator 'g': sample\(\) gave {message}"):
        check_samples(drawn, REQUEST, "g")


@pytest.mark.parametrize("pair", [[1], [2, 1], [-1, 2], [0.5, 1], "12", {"n": 1}])
def test_a_share_is_two_counts(pair):
    """Anything else is refused with the name of the share."""
    with pytest.raises(
        GeneratorError, match=r"generator 'g': sample\(\) gave the share 'there' as .* \[n, of\]"
    ):
        check_samples(Samples(GOOD, card={"shares": {"there": pair}}), REQUEST, "g")


def test_requested_conditions_are_columns_of_the_set():
    """Mask, prompt, view, age and labels of the request stay unless the samples have others."""
    columns = {"prompt": np.array(["p", "q", "r"]), "view": np.array(["PA"] * 3), "age": np.arange(3.0)}
    mask = np.full((3, 16, 16), 255, np.uint8)
    request = SampleRequest(
        REQUEST.label, REQUEST.classes, 16, mask=mask, labels=np.eye(2, dtype=np.uint8)[[0, 0, 1]],
        source_id=np.array(["s", "t", "u"]), **columns,
    )  # fmt: skip
    made = image_set(check_samples(Samples(GOOD), request, "g"), request, "g", 8)
    for name, column in columns.items():
        assert getattr(made, name).tolist() == column.tolist()
    assert (made.mask == 255).all()
    assert made.mask.shape == (3, 8, 8)
    assert made.reported_labels.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert made.source_id.tolist() == ["s", "t", "u"]
    assert made.origin.tolist() == ["synthetic:g"] * 3
    own = Samples(GOOD, mask=GOOD, source_id=np.array(["x"] * 3), labels=np.ones((3, 2)))
    made = image_set(check_samples(own, request, "g"), request, "g", 16)
    assert not made.mask.any()
    assert made.reported_labels.tolist() == [[1, 1]] * 3
    assert made.source_id.tolist() == ["x"] * 3
