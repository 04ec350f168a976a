"""Pixels of a DICOM file as a viewer would display them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.datasets._readers.dicom import REPLACE, first_number, parse, reason
from benchmark.errors import DataError
from benchmark.images.decoding import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

GRAY = ("MONOCHROME1", "MONOCHROME2")
PLUGINS = "pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or python-gdcm"


def read_pixels(path: Path) -> Image:
    """Read the first frame as a viewer displays it, in 8-bit gray at its original size.

    Modality LUT or rescale slope and intercept, then VOI LUT or the first window (DICOM PS3.3, C.11.1 and
    C.11.2); without either the whole range of the stored bits. MONOCHROME1 is inverted, color becomes
    luminance (ITU-R 601).

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

    if "PixelData" not in data:
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
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    kind = str(data.PhotometricInterpretation)
    bits = int(data.BitsStored)
    if kind == "PALETTE COLOR":
        stored = apply_color_lut(stored, data)
        bits = 8 * stored.dtype.itemsize
    if stored.ndim == 3:
        light = stored[..., :3] @ np.array([0.299, 0.587, 0.114]) * (255 / (2**bits - 1))
        return np.round(light).clip(0, 255).astype(np.uint8)
    if kind not in GRAY:
        raise ValueError(f"photometric interpretation {kind} with one sample per pixel")
    low = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
    every = np.arange(low, low + 2**bits, dtype=np.int32).astype(stored.dtype)
    share = _voi(apply_modality_lut(every, data), data)
    if kind == "MONOCHROME1":
        share = 1 - share
    table = np.round(share * 255).astype(np.uint8)  # at most as many entries as pixels, mostly far fewer
    return table.take(stored.astype(np.int32) - low, mode="clip")


def _voi(values: np.ndarray, data: Any) -> np.ndarray:
    """Map modality values to [0, 1], 1 for white, by VOI LUT, first window, or their whole range."""
    from pydicom.pixels import apply_voi

    if data.get("VOILUTSequence"):
        bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return apply_voi(values, data, index=0).astype(np.float32) / (2**bits - 1)
    center, width = (first_number(data.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        low, high = float(values.min()), float(values.max())  # of all that the stored bits can hold
        if data.get("ModalityLUTSequence"):
            low, high = 0.0, float(2 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
        return ((values.astype(np.float32) - low) / (high - low)).clip(0, 1)
    return window(values, center, width, str(data.get("VOILUTFunction") or "LINEAR"))


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Map values to [0, 1], 1 for white, by a window, DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

    Raises:
        ValueError: a width below what the function admits, or an unknown function.
    """
    from scipy.special import expit

    x = values.astype(np.float32)
    if function == "LINEAR":
        if width < 1:
            raise ValueError(f"window width {width:g} is below 1")
        if width == 1:
            return (x > center - 0.5).astype(np.float32)
        return ((x - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    if width <= 0:
        raise ValueError(f"window width {width:g} is not positive")
    if function == "LINEAR_EXACT":
        return ((x - center) / width + 0.5).clip(0, 1)
    if function == "SIGMOID":
        return expit(4 * (x - center) / width)
    raise ValueError(f"VOI LUT function {function} is not known")
