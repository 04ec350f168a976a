"""Pixels of DICOM files of every kind, with gray values by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from benchmark.datasets._readers.dicom import read_header
from benchmark.errors import DataError
from support.dicom_files import RAMP, RAMP_SHOWN, WINDOW, shown, table, written


@pytest.mark.parametrize(
    ("photometric", "shape", "inverse"),
    [
        ("MONOCHROME2", "IDENTITY", False), ("MONOCHROME1", "INVERSE", True), ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True), ("MONOCHROME1", "IDENTITY", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("lut", [False, True])
def test_the_picture_is_inverted_once(
    tmp_path: Path, photometric: str, shape: str | None, inverse: bool, lut: bool
) -> None:
    """MONOCHROME1 and the shape INVERSE, which states it again, invert once, also after a lookup table."""
    view = {"VOILUTSequence": table(np.arange(4001, dtype="<u2"), 0, 12)} if lut else WINDOW
    path = written(
        tmp_path / "a.dcm", RAMP, PhotometricInterpretation=photometric, PresentationLUTShape=shape, **view
    )
    upright = [[0, 62], [125, 249]] if lut else RAMP_SHOWN
    turned = [[255, 193], [130, 6]] if lut else [[255, 191], [128, 0]]
    assert shown(path) == (turned if inverse else upright)


@pytest.mark.parametrize(
    ("pixels", "bits", "expected"),
    [
        (np.array([[0, 1000], [2000, 3000]], np.uint16), 16, [[0, 62], [125, 187]]),  # 12 bits
        (np.array([[0, 30000]], np.uint16), 15, [[0, 233]]),  # 15 stored bits, fewer than 16
        (np.array([[0, 1]], np.uint8), 1, [[0, 255]]),
        (np.array([[0, 6]], np.uint8), 4, [[0, 102]]),  # 255 * 6 / 15
        (np.array([[0, 3000]], np.uint32), 32, [[0, 187]]),
        (np.array([[0, 100000]], np.uint32), 32, [[0, 195]]),  # 17 bits: 255 * 100000 / 131071
        (np.array([[0, 4294967295]], np.uint32), 32, [[0, 255]]),
        (np.array([[-1024, 1023]], np.int16), 16, [[64, 191]]),  # 12 bits: 255 * (v + 2048) / 4095
        (np.array([[-1, 127]], np.int16), 16, [[127, 255]]),  # 8 bits
        (np.array([[0, 2047]], np.int16), 12, [[0, 255]]),  # no sign is used, so 11 bits remain
        (np.array([[-100000, 0]], np.int32), 32, [[30, 128]]),  # 18 bits: 255 * 31072 / 262143
    ],
)  # fmt: skip
def test_without_a_window_the_smallest_depth_is_shown(
    tmp_path: Path, pixels: np.ndarray, bits: int, expected: list[list[int]]
) -> None:
    """Black to white is the smallest of 8, 10, 12, 14, 16 bits that holds the values, within BitsStored."""
    path = written(tmp_path / "a.dcm", pixels, bits=bits)
    assert shown(path) == expected
    assert not read_header(path).window


def test_padding_does_not_count_for_the_depth(tmp_path: Path) -> None:
    """Padding of 65,535 beside 12 bits leaves them 12; a range of padding too."""
    pixels = np.array([[0, 3000], [65535, 65000]], np.uint16)
    path = written(tmp_path / "a.dcm", pixels, PixelPaddingValue=65535, PixelPaddingRangeLimit=65000)
    assert shown(path) == [[0, 187], [255, 255]]
    signed = np.array([[-2000, 0], [50, 100]], np.int16)
    assert shown(written(tmp_path / "b.dcm", signed, PixelPaddingValue=-2000)) == [[0, 0], [50, 100]]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_float_pixels_are_shown_by_their_window(tmp_path: Path, kind: type) -> None:
    """Float pixels map through their window, NaN is black; without one they are refused by name."""
    pixels = np.array([[0.25, 0.5], [np.nan, 2]], kind)
    view = {"WindowCenter": "0.5", "WindowWidth": "1", "VOILUTFunction": "LINEAR_EXACT"}
    assert shown(written(tmp_path / "a.dcm", pixels, **view)) == [[64, 128], [0, 255]]
    with pytest.raises(DataError, match="float pixels without a window"):
        shown(written(tmp_path / "b.dcm", pixels))


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("depth", [8, 12, 16])
def test_color_has_the_depth_of_its_content(tmp_path: Path, planar: int, depth: int) -> None:
    """Colors of 12 bits in 16 become as bright as in 8, in either order of the planes."""
    high = 2**depth - 1
    colors = np.array([[[high, 0, 0], [0, high, 0]], [[0, 0, high], [high, high, high]]])
    colors = colors.astype(np.uint8 if depth == 8 else np.uint16)
    content = colors.transpose(2, 0, 1) if planar else colors
    path = written(
        tmp_path / "a.dcm", colors[..., 0], SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=planar, PixelData=content.tobytes(),
    )  # fmt: skip
    assert shown(path) == [[76, 150], [29, 255]]


def test_the_reason_of_a_decoder_is_in_the_message(tmp_path: Path) -> None:
    """The plug-in's reason, which pydicom puts in a second line, is in the first line of the error."""
    path = written(
        tmp_path / "a.dcm", RAMP.astype(np.uint8), syntax=JPEGBaseline8Bit,
        PixelData=encapsulate([b"\xff\xd8\xff\xe0" + b"broken" * 20]),
    )  # fmt: skip
    with pytest.raises(DataError) as error:
        shown(path)
    assert "plugins: pillow: " in str(error.value).splitlines()[0]


@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (4, 0)])
def test_frames_without_pixels_are_refused(tmp_path: Path, rows: int, columns: int) -> None:
    """The error states the size."""
    with pytest.raises(DataError, match=f"has {columns} x {rows} pixels"):
        shown(written(tmp_path / "a.dcm", RAMP, Rows=rows, Columns=columns))
