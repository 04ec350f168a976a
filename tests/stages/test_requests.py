"""Conditions of requested images against the rules that draw them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import GeneratorError
from benchmark.stages.requests import Conditions
from benchmark.tasks.requests import Template, Values
from support.samples import blobs

CLASSES = ("a", "b", "c")
COUNTS = {"a": 5, "b": 3, "c": 2}


def train():
    """Return images whose view, age and mask tell their number."""
    images = blobs(COUNTS)
    number = np.arange(10)
    mask = (number[:, None, None] * np.ones((16, 16))).astype(np.uint8)
    return replace(images, view=np.array([f"v{i}" for i in number]), age=number + 20.0, mask=mask)


def conditions(*names, **rules):
    return Conditions(frozenset({"label", *names}), rules, train())


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=20))
def test_empirical_columns_are_of_one_image_of_the_class(wanted):
    """View, age, mask and source of an image are those of a single training image, of its class."""
    label, index = (np.array(column) for column in zip(*wanted, strict=True))
    request = conditions("view", "age", "mask", "source_id").request(label, index, CLASSES, 16)
    rows = [int(view[1:]) for view in request.view]
    assert train().label[rows].tolist() == label.tolist()
    assert request.age.tolist() == [row + 20.0 for row in rows]
    assert request.mask[:, 3, 3].tolist() == rows
    assert request.source_id.tolist() == train().image_id[rows].tolist()


def test_every_training_image_is_the_source_equally_often():
    """Ten images of a class with five take each twice; 13 take none less than twice."""
    for count, least in ((10, 2), (13, 2)):
        request = conditions("source_id").request(np.zeros(count, int), np.arange(count), CLASSES, 16)
        times = np.unique(request.source_id, return_counts=True)[1]
        assert len(times) == 5
        assert times.min() == least


def test_a_request_does_not_depend_on_the_others():
    """Images 6 to 9 of a class have the same conditions alone as among twenty."""
    made = conditions("view", "sex", sex=Values(values=("f", "m", "x")))
    alone = made.request(np.ones(4, int), np.arange(6, 10), CLASSES, 16)
    whole = made.request(np.ones(20, int), np.arange(20), CLASSES, 16)
    for name in ("view", "sex"):
        assert getattr(alone, name).tolist() == getattr(whole, name)[6:10].tolist()


def test_values_are_drawn_equally_often_and_by_class():
    """Six images of each class have each of three values twice, and a class has values of its own."""
    rule = Values(values=("x", "y", "z"), by_class={"b": ("u", "v")})
    label = np.repeat([0, 1, 2], 6)
    request = conditions("severity", severity=rule).request(label, np.tile(np.arange(6), 3), CLASSES, 16)
    for k, expected in ((0, "xxyyzz"), (1, "uuuvvv"), (2, "xxyyzz")):
        assert "".join(sorted(request.severity[label == k])) == expected


def test_two_conditions_of_equal_values_are_not_drawn_together():
    """With the same four values, view and severity agree in about a quarter of the images."""
    rule = Values(values=("1", "2", "3", "4"))
    made = conditions("view", "severity", view=rule, severity=rule)
    request = made.request(np.zeros(400, int), np.arange(400), CLASSES, 16)
    assert (request.view == request.severity).mean() == pytest.approx(0.25, abs=0.08)


def test_numbers_stay_numbers():
    """Ages of a list are floats, those of the training images too."""
    listed = conditions("age", age=Values(values=(30, 70))).request(
        np.zeros(4, int), np.arange(4), CLASSES, 16
    )
    assert sorted(listed.age.tolist()) == [30.0, 30.0, 70.0, 70.0]


def test_a_template_is_filled_with_the_class_and_the_conditions_of_the_image():
    """A placeholder may be a condition that the generator does not read; it is no column then."""
    rule = Template(template="X-ray, {class}, {view}, {age:.0f} years")
    request = conditions("prompt", prompt=rule).request(np.array([0, 2]), np.array([0, 0]), CLASSES, 16)
    number = [int(text.split(", ")[2][1:]) for text in request.prompt]
    assert request.prompt.tolist() == [
        f"X-ray, {name}, v{i}, {i + 20} years" for name, i in zip("ac", number, strict=True)
    ]
    assert number[0] < 5 <= 8 <= number[1]
    assert request.view is None
    assert request.age is None


def test_a_class_without_images_is_named():
    """The error names the class that no training image has, or the column that the data lack."""
    empty = Conditions(frozenset({"view"}), {}, train().of_class(0))
    with pytest.raises(GeneratorError, match="class 'b'"):
        empty.request(np.array([1]), np.array([0]), CLASSES, 16)
    with pytest.raises(GeneratorError, match="condition 'sex'"):
        conditions("sex").request(np.array([1]), np.array([0]), CLASSES, 16)


def test_what_a_training_image_lacks_is_unknown_in_a_template():
    """A blank view and a missing age give the word; a whole number has no point, whatever its format."""
    images = replace(train(), view=np.full(10, ""), age=np.where(np.arange(10) < 5, np.nan, 63.0))
    rule = Template(template="{class}, {view}, {age}, {age:.0f}")
    drawn = Conditions(frozenset({"label", "prompt"}), {"prompt": rule}, images)
    request = drawn.request(np.array([0, 1]), np.zeros(2, int), CLASSES, 16)
    assert request.prompt.tolist() == ["a, unknown, unknown, unknown", "b, unknown, 63, 63"]
