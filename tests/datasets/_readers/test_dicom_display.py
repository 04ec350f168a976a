"""Every way in which a DICOM file states its display, with gray values by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian

from benchmark.datasets._readers.dicom import read_header
from benchmark.errors import DataError
from support.dicom_files import RAMP, RAMP_SHOWN, WINDOW, groups, item, shown, table, written


@pytest.mark.parametrize("place", ["shared", "per frame", "per frame over root"])
def test_functional_groups_state_window_and_rescale(tmp_path: Path, place: str) -> None:
    """Rescale 2 v - 100 and the window 0 to 4000 of the first frame map 50 to black, 2050 to white."""
    frame = np.array([[50, 1050], [2050, 300]], np.uint16)
    rescale = item(RescaleSlope=2, RescaleIntercept=-100, RescaleType="US")
    here, there = groups(FrameVOILUTSequence=item(**WINDOW)), groups(PixelValueTransformationSequence=rescale)
    other = groups(FrameVOILUTSequence=item(WindowCenter=9, WindowWidth=2))[0]
    shared, per_frame = (here, there) if place == "shared" else (there, Sequence([here[0], other]))
    root = {"WindowCenter": 7, "WindowWidth": 7} if place == "per frame over root" else {}
    path = written(
        tmp_path / "a.dcm",
        np.stack([frame, frame]),
        SharedFunctionalGroupsSequence=shared,
        PerFrameFunctionalGroupsSequence=per_frame,
        **root,
    )
    assert shown(path) == [[0, 128], [255, 32]]
    assert read_header(path).window


@pytest.mark.parametrize(
    "blank",
    [
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"RescaleSlope": None, "RescaleIntercept": -1024},
        {"VOILUTSequence": Sequence([])},
        {"VOILUTSequence": Sequence([item(LUTDescriptor=None)])},
        {"VOILUTSequence": Sequence([item(LUTDescriptor=[4, 0, 16])])},
        {"ModalityLUTSequence": Sequence([item(LUTDescriptor=None)])},
        {"PixelPaddingValue": None},
        {"SharedFunctionalGroupsSequence": Sequence([])},
        {"SharedFunctionalGroupsSequence": Sequence([item(FrameVOILUTSequence=Sequence([]))])},
        {"PresentationLUTShape": None},
    ],
)
def test_blank_attributes_read_as_absent(tmp_path: Path, blank: dict[str, Any]) -> None:
    """An attribute that is there and blank changes nothing beside a good window."""
    assert shown(written(tmp_path / "a.dcm", RAMP, **WINDOW, **blank)) == RAMP_SHOWN


def test_the_first_complete_window_is_used(tmp_path: Path) -> None:
    """Of several centers and widths, the first pair without a blank is used; without one there is none."""
    several = {**WINDOW, "WindowCenter": ["", "2000", "5"], "WindowWidth": ["9", "4000", "5"]}
    assert shown(written(tmp_path / "a.dcm", RAMP, **several)) == RAMP_SHOWN
    half = written(tmp_path / "b.dcm", RAMP, WindowCenter=["5", ""], WindowWidth=["", "5"])
    assert not read_header(half).window
    assert shown(half) == [[0, 62], [125, 249]]  # round(255 v / 4095)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope is 0"),
        ({"RescaleSlope": "nan", "RescaleIntercept": 0}, "RescaleSlope is nan, expected a finite number"),
        ({"WindowCenter": "nan"}, "WindowCenter is nan"),
        ({"WindowWidth": "inf"}, "WindowWidth is inf"),
        ({"WindowWidth": 0}, "Window Width must be greater than 0"),
        ({"VOILUTFunction": "CUBIC"}, "CUBIC"),
        (
            {"VOILUTSequence": table(np.zeros(4, "<u2"), 0, 16, count=5)},
            "has 4 entries, .* states 5",
        ),
    ],
)
def test_numbers_that_state_no_display_are_named(tmp_path: Path, wrong: dict[str, Any], problem: str) -> None:
    """A slope of 0, a number that is not finite, a width of 0 and a short table are errors that name them."""
    with pytest.raises(DataError, match=problem):
        shown(written(tmp_path / "a.dcm", RAMP, **{**WINDOW, **wrong}))


def test_a_window_that_is_no_number_is_an_error_of_the_header(tmp_path: Path) -> None:
    """The error names the file when its header is read."""
    path = written(tmp_path / "a.dcm", RAMP, WindowCenter="12345", WindowWidth="54321")
    path.write_bytes(path.read_bytes().replace(b"12345", b"abcde"))
    with pytest.raises(DataError, match=r"a\.dcm: has a window that cannot be read"):
        read_header(path)


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("kind", ["OW", "US"])
def test_entries_narrower_than_declared_are_shown_over_their_range(
    tmp_path: Path, keyword: str, bits: int, kind: str
) -> None:
    """A table up to 4095 shows 4000 as 249 (255 * 4000 / 4095), whether it declares 12 or 16 bits."""
    lut = table(np.arange(4096, dtype="<u2"), 0, bits, kind=kind)
    assert shown(written(tmp_path / "a.dcm", RAMP, bits=12, **{keyword: lut})) == [[0, 62], [125, 249]]


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_tables_begin_at_a_negative_value(tmp_path: Path, keyword: str) -> None:
    """A table for -2 to 1 gives values below and above it its first and last entry."""
    lut = table(np.array([0, 85, 170, 255], "<u2"), -2, 8)
    signed = np.array([[-300, -2, -1], [0, 1, 300]], np.int16)
    assert shown(written(tmp_path / "a.dcm", signed, **{keyword: lut})) == [[0, 0, 85], [170, 255, 255]]
    unsigned = np.array([[0, 1], [1, 65535]], np.uint16)
    assert shown(written(tmp_path / "b.dcm", unsigned, **{keyword: lut})) == [[170, 255], [255, 255]]


def test_a_count_of_zero_is_65536(tmp_path: Path) -> None:
    """A table of 65,536 entries states 0 of them, since its count has 16 bits."""
    lut = table(np.arange(65535, -1, -1).astype("<u2"), 0, 16)
    assert shown(written(tmp_path / "a.dcm", np.array([[0, 65535]], np.uint16), VOILUTSequence=lut)) == [
        [255, 0]
    ]


def test_entries_of_8_bits_may_be_packed(tmp_path: Path) -> None:
    """Four entries in four bytes are read one by one."""
    lut = table(np.array([255, 170, 85, 0], np.uint8), 0, 8, count=4)
    pixels = np.array([[0, 1], [2, 3]], np.uint8)
    assert shown(written(tmp_path / "a.dcm", pixels, VOILUTSequence=lut)) == [[255, 170], [85, 0]]


def test_tables_of_big_endian_files(tmp_path: Path) -> None:
    """The entries have the byte order of the file."""
    lut = table(np.array([0, 256, 512, 1023], ">u2"), 0, 10)
    path = written(
        tmp_path / "a.dcm",
        np.array([[0, 1], [2, 3]], np.uint16),
        VOILUTSequence=lut,
        syntax=ExplicitVRBigEndian,
    )
    assert shown(path) == [[0, 64], [128, 255]]


def test_a_window_applies_to_the_values_of_a_modality_table(tmp_path: Path) -> None:
    """A modality table that doubles, then the window 0 to 4000, maps 1000 to half and 2000 to white."""
    lut = table(2 * np.arange(4096, dtype="<u2"), 0, 16)
    assert shown(written(tmp_path / "a.dcm", RAMP, ModalityLUTSequence=lut, **WINDOW)) == [
        [0, 128],
        [255, 255],
    ]


def test_a_negative_slope_turns_the_values_not_the_window(tmp_path: Path) -> None:
    """With slope -1 and intercept 4000, the stored 0 has the value 4000, which the window maps to white."""
    turned = {"RescaleSlope": -1, "RescaleIntercept": 4000}
    expected = [[255, 191], [128, 0]]
    assert shown(written(tmp_path / "a.dcm", RAMP, **turned, **WINDOW)) == expected
    assert shown(written(tmp_path / "b.dcm", RAMP, **turned))[0][0] == 255
