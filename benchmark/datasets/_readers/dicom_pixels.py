"""Pixels of a DICOM file as a viewer would display them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.datasets._readers.dicom import REPLACE, parse, reason
from benchmark.datasets._readers.dicom_display import Display, read_display
from benchmark.errors import DataError
from benchmark.images.decoding import MAX_PIXELS
from benchmark.images.gray_levels import bit_depth, luminance

if TYPE_CHECKING:
    from PIL.Image import Image

GRAY = ("MONOCHROME1", "MONOCHROME2")
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PLUGINS = "pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or python-gdcm"


def read_pixels(path: Path) -> Image:
    """Read the first frame as a viewer displays it, in 8-bit gray at its original size.

    Modality LUT or rescale slope and intercept, then VOI LUT or the first window (DICOM PS3.3, C.11.1 and
    C.11.2); without either the range of the smallest bit depth that holds the values. MONOCHROME1 is
    inverted, color becomes luminance (ITU-R 601).

    Returns:
        Pillow image of mode L.
    Raises:
        DataError: not DICOM, no pixel data, a compression that no installed plug-in reads (named), more
            than ``MAX_PIXELS``, corrupt, or of one gray value throughout.
    """
    from PIL import Image
    from pydicom.pixels import pixel_array

    data = parse(path)
    _check_pixels(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values of the wrong type; errors that matter raise
            stored = pixel_array(data, index=0)
            shown = _displayed(stored, data)
    except Exception as error:  # on malformed files pydicom and its plug-ins raise nearly anything
        raise DataError(str(path), f"has pixel data that cannot be read: {reason(error)}", REPLACE) from None
    if shown.min() == shown.max():
        value = int(shown.min())
        raise DataError(str(path), f"has one gray value ({value}) throughout, expected an image", REPLACE)
    return Image.fromarray(shown)


def _check_pixels(path: Path, data: Any) -> None:
    from pydicom.pixels import get_decoder

    if not any(keyword in data for keyword in PIXELS):
        kind = str(data.get("Modality", "")) or "unknown"
        raise DataError(
            str(path), f"has no pixel data (modality {kind})", "Remove it, or leave out its record."
        )
    rows, columns = int(data.get("Rows", 0) or 0), int(data.get("Columns", 0) or 0)
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 10**6} million"
        raise DataError(str(path), f"has {columns} x {rows} pixels, expected at most {limit}", REPLACE)
    syntax = data.file_meta.get("TransferSyntaxUID")
    try:
        decoder = get_decoder(syntax)
    except Exception:  # a syntax that pydicom does not know, or none
        name = getattr(syntax, "name", None) or "none"
        raise DataError(str(path), f"has transfer syntax '{name}', which cannot be read", REPLACE) from None
    if not decoder.is_available:
        problem = f"is compressed as '{syntax.name}' ({syntax}), which no installed plug-in reads"
        raise DataError(str(path), problem, f"Install {PLUGINS}, or decompress the file.")


def _displayed(stored: np.ndarray, data: Any) -> np.ndarray:
    """Convert (H, W) stored values, or (H, W, 3) colors, to (H, W) uint8 for display."""
    from pydicom.pixels import apply_color_lut

    kind = str(data.PhotometricInterpretation)
    bits = 0 if stored.dtype.kind == "f" else int(data.BitsStored)
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
        bits = 8 * stored.dtype.itemsize
    if stored.ndim == 3:
        colors = stored[..., :3]
        return luminance(colors, min(bits, bit_depth(int(colors.max()))))
    if kind not in GRAY:
        raise ValueError(f"photometric interpretation {kind} with one sample per pixel")
    display = read_display(data)
    limits = _limits(stored, data)
    # INVERSE states again what MONOCHROME1 does (PS3.3, C.8.11.1): either, or both, invert once
    inverse = kind == "MONOCHROME1" or str(data.get("PresentationLUTShape") or "").upper() == "INVERSE"

    def gray(values: np.ndarray) -> np.ndarray:
        share = _share(values, display, limits)
        return np.round(np.nan_to_num(1 - share if inverse else share) * 255).astype(np.uint8)

    if stored.dtype.kind == "f" or int(stored.max()) - int(stored.min()) >= 2**16:
        return gray(stored)
    low, high = int(stored.min()), int(stored.max())
    table = gray(np.arange(low, high + 1))  # mostly far fewer entries than pixels
    return table[np.subtract(stored, low, dtype=np.int32 if stored.itemsize <= 2 else np.int64)]


def _limits(stored: np.ndarray, data: Any) -> tuple[int, int] | None:
    """Return the stored values of black and white where no window states them; None for floats.

    They are those of the smallest bit depth that holds all values, as in ``decode_gray``, within BitsStored.
    Pixels of PixelPaddingValue, or from there to PixelPaddingRangeLimit, do not count.
    """
    if stored.dtype.kind == "f":
        return None
    padding = data.get("PixelPaddingValue")
    if isinstance(padding, int):
        limit = data.get("PixelPaddingRangeLimit")
        ends = np.array([padding, limit if isinstance(limit, int) else padding], np.int64)
        first, last = np.sort(ends.astype(stored.dtype))
        shown = stored[(stored < first) | (stored > last)]
        stored = shown if shown.size else stored
    low, high, bits = int(stored.min()), int(stored.max()), int(data.BitsStored)
    if low >= 0:
        return 0, 2 ** min(bits - (stored.dtype.kind == "i"), bit_depth(high)) - 1
    half = 2 ** (min(bits, bit_depth(2 * max(high, -1 - low) + 1)) - 1)
    return -half, half - 1


def _share(values: np.ndarray, display: Display, limits: tuple[int, int] | None) -> np.ndarray:
    """Map stored values to [0, 1], 1 for white: modality LUT or rescale, then VOI LUT, window or limits."""
    if display.modality:
        values, limits = display.modality.look_up(values), (0, display.modality.white)
    ends = np.array(limits or (0, 0), np.float64)
    if display.rescale and not display.modality:
        slope, intercept = display.rescale
        values, ends = values * slope + intercept, np.sort(ends * slope + intercept)
    if display.voi:
        return display.voi.look_up(values) / display.voi.white
    if display.window:
        return window(values, display.window)
    if limits is None:
        raise ValueError("float pixels without a window, so black and white are unknown")
    return ((values - ends[0]) / (ends[1] - ends[0])).clip(0, 1)


def window(values: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Map values to [0, 1], 1 for white, by pydicom's ``apply_windowing``.

    It turns the window around where the slope is negative, so it gets neither slope nor modality LUT here.

    Raises:
        ValueError: a width below what the function admits, or an unknown function.
    """
    from pydicom import Dataset
    from pydicom.pixels import apply_windowing

    view = Dataset()
    view.PhotometricInterpretation, view.BitsStored, view.PixelRepresentation = "MONOCHROME2", 16, 0
    for keyword, value in attributes.items():
        setattr(view, keyword, value)
    return apply_windowing(values, view) / (2**16 - 1)
