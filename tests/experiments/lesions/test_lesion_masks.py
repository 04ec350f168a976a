"""Masks of requested lesions: side, zone and area as requested, and impossible requests refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import GeneratorError
from benchmark.experiments.lesions.lesion_masks import LesionShapes
from benchmark.experiments.lesions.lesion_request import LesionRequest, read_lesion
from benchmark.experiments.lesions.lungs import find_lungs
from benchmark.metrics._lesions import side_of
from support.chests import SIZE, chests, disc

SHAPES = LesionShapes(chests())


def test_the_lungs_are_the_two_dark_fields() -> None:
    """The lungs of drawn chests are their ellipses, and the zones are thirds of their height."""
    lungs = SHAPES.lungs
    expected = disc(9, 15, 5, 10) | disc(22, 15, 5, 10)
    shared = (lungs.inside & expected).sum()
    assert 2 * shared / (lungs.inside.sum() + expected.sum()) > 0.85
    for down, zone in ((7, "upper"), (15, "middle"), (23, "lower"), (31, "lower"), (0, "upper")):
        assert lungs.zone(disc(9, down, 1, 1)) == zone
        assert lungs.of_zone(zone)[down].all()


@settings(max_examples=30, deadline=None)
@given(
    side=st.sampled_from([None, "left", "right"]),
    zone=st.sampled_from([None, "upper", "middle", "lower"]),
    size=st.one_of(st.sampled_from([None, "small", "moderate", "large"]), st.floats(0.006, 0.018)),
    seed=st.integers(0, 1000),
)
def test_a_mask_agrees_with_its_request(side: str, zone: str, size: str | float, seed: int) -> None:
    """Any side, zone and area of a spot: the mask lies there in the lungs, and a stated area is exact."""
    lesion = LesionRequest(finding="spot", side=side, zone=zone, size=size)
    mask = SHAPES.draw(lesion, np.random.default_rng(seed))
    assert side is None or side_of(mask * np.uint8(255)) == side
    assert zone is None or SHAPES.lungs.zone(mask) == zone
    if isinstance(size, float):
        assert mask.sum() == max(1, round(size * SIZE**2))
    elif size is not None:
        areas = np.sort(SHAPES.finding("spot").areas)
        third = np.array_split(areas, 3)[("small", "moderate", "large").index(size)]
        assert third[0] <= mask.sum() <= third[-1]


def test_without_attributes_a_mask_is_a_training_mask() -> None:
    """Attributes without a request follow the training images, mirrored where the finding has both sides."""
    mask = SHAPES.draw(LesionRequest(finding="heart"), np.random.default_rng(0))
    assert any(np.array_equal(mask, own) for own in SHAPES.finding("heart").masks)
    assert not SHAPES.finding("heart").mirrored
    assert SHAPES.finding("crescent").mirrored


def test_severity_alone_chooses_the_third_of_the_areas() -> None:
    """A severe lesion without a size is as large as a large one."""
    severe, large = (
        SHAPES.draw(LesionRequest(finding="spot", **request), np.random.default_rng(1)).sum()
        for request in ({"severity": "severe"}, {"size": "large"})
    )
    assert severe == large


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "finding=crescent,zone=upper",
            "zone: 'upper' does not occur in training images\n.*Choose of: lower",
        ),
        ("finding=heart,side=left", "side: 'left' does not occur in training images\n.*Choose of: both"),
        ("finding=spot,size=0.5", "size: 0.5 of the image is no size of this finding\n.*Expected 0.0"),
        ("finding=normal", "has no mask in any training image"),
        ("finding=mass", "'mass': is unknown\n.*Choose of: normal, spot, crescent, heart"),
    ],
)
def test_an_impossible_lesion_is_refused(text: str, words: str) -> None:
    """A side, zone or size that the finding never has names the field and what it has."""
    with pytest.raises(GeneratorError, match=f"(?s){words}"):
        SHAPES.draw(read_lesion(text), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("finding=spot,side=medial", "side is 'medial', expected left, right, both"),
        ("finding=spot,zone=apex", "zone is 'apex', expected upper, middle, lower"),
        ("finding=spot,size=2", "size is '2', expected small, moderate, large, or a share"),
        ("finding=spot,severity=bad", "severity is 'bad', expected mild, moderate, severe"),
        ("finding=spot,finding=heart", "'finding=heart' is not one of"),
        ("finding=spot,color=red", "'color=red' is not one of finding=..., side=..."),
        ("side=left", "names no finding"),
    ],
)
def test_a_wrong_field_is_named(text: str, words: str) -> None:
    """A misspelled field or value names the values that it takes."""
    with pytest.raises(GeneratorError, match=words):
        read_lesion(text)


def test_a_stated_area_is_read_as_a_number() -> None:
    """A size is a word or a share of the image."""
    assert read_lesion("finding=spot, size=0.02 ,side=left") == LesionRequest(
        finding="spot", size=0.02, side="left"
    )


def test_images_without_lungs_have_no_zones() -> None:
    """Without two dark fields, or without lesion-free images, a zone is refused and a side is not."""
    train = chests(12)
    noise = replace(train, image=np.random.default_rng(0).integers(0, 255, train.image.shape, dtype=np.uint8))
    lesions_alone = train.select(np.flatnonzero(train.label > 0))
    for images, words in ((noise, "no two dark fields"), (lesions_alone, "only 0 of the training images")):
        shapes = LesionShapes(images)
        with pytest.raises(GeneratorError, match=words):
            shapes.draw(LesionRequest(finding="spot", zone="upper"), np.random.default_rng(0))
        mask = shapes.draw(LesionRequest(finding="spot", side="left"), np.random.default_rng(0))
        assert side_of(mask * np.uint8(255)) == "left"
    with pytest.raises(GeneratorError, match="only 3"):
        find_lungs(train.image[:3])
