"""Real DICOM files of the package pydicom-data, against the display pipeline of pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from benchmark.datasets._readers.dicom_pixels import read_pixels

RADIOGRAPHS = [f"{name}_{code}.dcm" for name in ("RG1", "RG3") for code in ("UNCI", "UNCR", "J2KI", "J2KR")]
WINDOWED = [
    *RADIOGRAPHS, *(f"MR2_{code}.dcm" for code in ("UNCI", "UNCR", "J2KI", "J2KR")),
    "693_UNCI.dcm", "693_UNCR.dcm", "693_J2KR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "vlut_04.dcm",
]  # fmt: skip
COLOR = [
    *(f"US1_{code}.dcm" for code in ("UNCI", "UNCR", "J2KI", "J2KR")), "color-pl.dcm", "color-px.dcm",
    "color3d_jpeg_baseline.dcm", "SC_rgb_16bit.dcm", "SC_rgb_32bit_2frame.dcm",
    "SC_ybr_full_uncompressed.dcm",
]  # fmt: skip
PALETTE = ["OBXXXX1A.dcm", "OBXXXX1A_2frame.dcm", "OBXXXX1A_rle.dcm", "gdcm-US-ALOKA-16.dcm"]
# files without a window, with the values of black and white by the smallest depth that holds their values
BARE = {
    "emri_small.dcm": (0, 1023),  # 10 frames of 12 bits, up to 425
    "emri_small_jpeg_2k_lossless.dcm": (0, 1023),
    "emri_small_big_endian.dcm": (0, 1023),
    "explicit_VR-UN.dcm": (-2048, 2047),  # CT, -1024 to 1186
    "liver.dcm": (0, 1),  # segmentation of 1 bit
}


def located(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("pydicom-data is not installed")
    return Path(str(path))


def difference(name: str, expected: np.ndarray) -> float:
    """Return the largest difference in gray levels between our picture and values of 0 to 255."""
    return float(np.abs(np.asarray(read_pixels(located(name))) - expected).max())


def through_pydicom(data: Any) -> np.ndarray:
    """Return the first frame by pydicom's modality and VOI transformations, 0 black to 255 white."""
    values = apply_voi_lut(apply_modality_lut(pixel_array(data, index=0), data), data)
    low, high = 0.0, 2.0**data.BitsStored - 1  # the range to which apply_windowing maps
    if data.get("VOILUTSequence"):
        high = 2.0 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif data.PixelRepresentation:
        low, high = -(2.0 ** (data.BitsStored - 1)), 2.0 ** (data.BitsStored - 1) - 1
    if "RescaleSlope" in data:
        low, high = (float(data.RescaleSlope) * end + float(data.RescaleIntercept) for end in (low, high))
    share = (values - low) / (high - low)
    return 255 * (1 - share if data.PhotometricInterpretation == "MONOCHROME1" else share)


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_files_agree_with_pydicom(name: str) -> None:
    """Radiographs, CT and MR in four encodings are within half a gray level of pydicom's pipeline."""
    assert difference(name, through_pydicom(dcmread(located(name)))) <= 0.501


@pytest.mark.parametrize("name", COLOR)
def test_color_files_agree_with_pydicom(name: str) -> None:
    """RGB, YBR, planes and frames are within half a gray level of the luminance of pydicom's colors."""
    data = dcmread(located(name))
    colors = pixel_array(data, index=0) / (2.0**data.BitsStored - 1)
    assert difference(name, 255 * colors @ np.array([0.299, 0.587, 0.114])) <= 0.501


@pytest.mark.parametrize("name", PALETTE)
def test_palettes_agree_with_pydicom(name: str) -> None:
    """Palettes of 16 bits are within half a gray level of the luminance of pydicom's colors."""
    data = dcmread(located(name))
    colors = apply_color_lut(pixel_array(data, index=0), data)
    top = np.iinfo(colors.dtype).max
    assert difference(name, 255 / top * colors @ np.array([0.299, 0.587, 0.114])) <= 0.501


def test_a_palette_of_a_big_endian_file_shows_the_same() -> None:
    """The big-endian copy, whose entries pydicom reads in the wrong order, is within a gray level."""
    same = np.asarray(read_pixels(located("OBXXXX1A.dcm"))).astype(int)
    assert difference("OBXXXX1A_expb.dcm", same) <= 1


@pytest.mark.parametrize(("name", "ends"), BARE.items())
def test_files_without_a_window_show_the_smallest_depth(name: str, ends: tuple[int, int]) -> None:
    """Without a window the values of the smallest depth span black to white."""
    data = dcmread(located(name))
    values = apply_modality_lut(pixel_array(data, index=0), data)
    expected = 255.0 * (values - ends[0]) / (ends[1] - ends[0])
    assert difference(name, expected) <= 0.501


def test_the_window_of_a_functional_group_is_used() -> None:
    """The enhanced CT states rescale and window per frame or shared; pydicom gets them at its root."""
    data = dcmread(located("eCT_Supplemental.dcm"))
    groups = [data.SharedFunctionalGroupsSequence[0], data.PerFrameFunctionalGroupsSequence[0]]
    for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
        (item,) = [group[keyword].value[0] for group in groups if keyword in group]
        data.update({element.tag: element for element in item})
    assert difference("eCT_Supplemental.dcm", through_pydicom(data)) <= 0.501


def test_a_modality_table_is_applied() -> None:
    """A modality table of 16 bits spans black to white."""
    data = dcmread(located("mlut_18.dcm"))
    expected = apply_modality_lut(pixel_array(data, index=0), data) / 65535 * 255
    assert difference("mlut_18.dcm", expected) <= 0.501


def test_a_dose_of_32_bits_is_shown() -> None:
    """A dose of 32 bits, 795,000 to 1,254,000, spans the 21 bits that it needs."""
    stored = pixel_array(dcmread(located("rtdose.dcm")), index=0)
    assert difference("rtdose.dcm", 255 * (stored / (2.0**21 - 1))) <= 0.501
