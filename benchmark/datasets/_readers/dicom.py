"""Reads DICOM files safely: the header without the pixels, and the picture as a reader would display it."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.errors import DataError
from benchmark.images.decoding import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE = 2 * 2**30  # bytes; a file is read whole
GRAY = ("MONOCHROME1", "MONOCHROME2")
PLUGINS = "pylibjpeg with pylibjpeg-libjpeg and pylibjpeg-openjpeg, or python-gdcm"
TAGS = (
    "SOPInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex",
    "ViewPosition", "BurnedInAnnotation", "PatientIdentityRemoved", "OtherPatientIDs",
    "PatientAddress", "PatientTelephoneNumbers", "NumberOfFrames",
    "WindowCenter", "WindowWidth", "VOILUTSequence",
)  # fmt: skip
IDENTITY = (
    "PatientName", "PatientBirthDate", "PatientID", "OtherPatientIDs", "PatientAddress",
    "PatientTelephoneNumbers",
)  # fmt: skip

_ANONYMOUS = re.compile(
    r"(?i)(|[\W_]*(anon\w*|unknown|none|removed|de-?id\w*|pseudo\w*|patient|subject|case|sub|pat|x+)?[\W_\d]*"
    r"|[0-9a-f-]{16,})"
)
_REPLACE = "Replace the file by the original, or remove its row."


@dataclass(frozen=True)
class Header:
    """What is taken from a file's header; all texts but ``patient_id`` and ``uid`` may be shown.

    Attributes:
        uid, patient_id: identifiers as written, to be hashed before they leave the adapter.
        view: ``PA``, ``AP``, ``LATERAL`` or empty.
        age: years, NaN where unknown.
        sex: ``male``, ``female`` or empty.
        frames: number of frames.
        window: the file says how its gray values are to be shown, by a window or a VOI LUT.
        burned_in: BurnedInAnnotation is YES.
        identity: names of the attributes that do not look anonymous, never their values.
        label: text of the attribute that was asked for.
    """

    uid: str
    patient_id: str
    view: str
    age: float
    sex: str
    frames: int
    window: bool
    burned_in: bool
    identity: tuple[str, ...]
    label: str = ""


def is_dicom(path: Path) -> bool:
    """Whether a file has the mark of a DICOM file, 128 bytes from its begin."""
    try:
        with open(path, "rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path, label_from: str | None = None) -> Header:
    """The attributes that are used, without the pixels.

    Args:
        label_from: keyword of an attribute that holds the label, such as ``StudyDescription``.
    Raises:
        DataError: missing, empty, or no DICOM file.
    """
    tags: list[str] = [*TAGS, *([label_from] if label_from else [])]
    data = _parse(path, stop_before_pixels=True, specific_tags=tags)

    def text(keyword: str) -> str:
        value = data.get(keyword)
        return "" if value is None else str(value).strip()

    removed = text("PatientIdentityRemoved").upper() == "YES"
    return Header(
        uid=text("SOPInstanceUID"),
        patient_id=text("PatientID"),
        view=_view(text("ViewPosition")),
        age=_years(text("PatientAge")),
        sex={"M": "male", "F": "female"}.get(text("PatientSex").upper(), ""),
        frames=_whole(text("NumberOfFrames")),
        window=_has_window(data),
        burned_in=text("BurnedInAnnotation").upper() == "YES",
        identity=tuple(
            name
            for name in IDENTITY
            if not _looks_anonymous(name, text(name)) and not (removed and name == "PatientID")
        ),
        label=text(label_from) if label_from else "",
    )


def read_picture(path: Path) -> Image:
    """The first frame as a reader displays it, in 8-bit gray at its own size.

    Modality LUT or rescale slope and intercept, then VOI LUT or the first window (DICOM PS3.3, C.11.1 and
    C.11.2); without either the whole range of the stored bits. MONOCHROME1 is inverted, color becomes
    luminance (ITU-R 601).

    Returns:
        Pillow image of mode L.
    Raises:
        DataError: no DICOM file, no pixel data, a compression that no installed plug-in reads (named), more
            than ``MAX_PIXELS``, corrupt, or of one gray value throughout.
    """
    from PIL import Image
    from pydicom.pixels import pixel_array

    data = _parse(path)
    _check_pixels(path, data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values out of their type; what matters raises
            stored = pixel_array(data, index=0)
            shown = _displayed(stored, data)
    except Exception as error:  # on malformed files pydicom and its plug-ins raise nearly anything
        raise DataError(
            str(path), f"has pixel data that cannot be read: {_reason(error)}", _REPLACE
        ) from None
    if shown.min() == shown.max():
        value = int(shown.min())
        raise DataError(str(path), f"has one gray value ({value}) throughout, expected a picture", _REPLACE)
    return Image.fromarray(shown)


def _parse(path: Path, **options: Any) -> Any:
    """The data set of a file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    if not path.is_file():
        raise DataError(str(path), "no such file, expected DICOM", _REPLACE)
    if path.stat().st_size == 0:
        raise DataError(str(path), "is empty (0 bytes), expected DICOM", _REPLACE)
    if path.stat().st_size > MAX_FILE:
        raise DataError(str(path), f"is larger than {MAX_FILE // 2**30} GB", "Split it into single frames.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, **options)
    except InvalidDicomError:
        raise DataError(str(path), "is not a DICOM file", _REPLACE) from None
    except Exception as error:  # as above
        raise DataError(str(path), f"is corrupt or truncated: {_reason(error)}", _REPLACE) from None


def _check_pixels(path: Path, data: Any) -> None:
    from pydicom.pixels import get_decoder

    if "PixelData" not in data:
        kind = str(data.get("Modality", "")) or "unknown"
        raise DataError(str(path), f"has no pixel data (modality {kind})", "Remove it, or leave its row out.")
    rows, columns = int(data.get("Rows", 0) or 0), int(data.get("Columns", 0) or 0)
    if rows < 1 or columns < 1 or rows * columns > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 10**6} million"
        raise DataError(str(path), f"has {columns} x {rows} pixels, expected at most {limit}", _REPLACE)
    syntax = data.file_meta.get("TransferSyntaxUID")
    try:
        decoder = get_decoder(syntax)
    except Exception:  # a syntax that pydicom does not know, or none
        name = getattr(syntax, "name", None) or "none"
        raise DataError(str(path), f"has transfer syntax '{name}', which cannot be read", _REPLACE) from None
    if not decoder.is_available:
        raise DataError(
            str(path),
            f"is compressed as '{syntax.name}' ({syntax}), which no installed plug-in reads",
            f"Install {PLUGINS}, or decompress the file.",
        )


def _displayed(stored: np.ndarray, data: Any) -> np.ndarray:
    """(H, W) uint8 for the display of (H, W) stored values, or of (H, W, 3) colors."""
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
    share = _voi(apply_modality_lut(every, data), data, stored.dtype)
    if kind == "MONOCHROME1":
        share = 1 - share
    table = np.round(share * 255).astype(np.uint8)  # far fewer entries than pixels, or as many
    return table.take(stored.astype(np.int32) - low, mode="clip")


def _voi(values: np.ndarray, data: Any, stored: np.dtype) -> np.ndarray:
    """Modality values to shares of white in [0, 1]: VOI LUT, else the first window, else the stored range."""
    from pydicom.pixels import apply_voi

    if data.get("VOILUTSequence"):
        bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
        return apply_voi(values, data, index=0).astype(np.float32) / (2**bits - 1)
    center, width = (_first(data.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        low, high = _range(data, stored)
        return ((values.astype(np.float32) - low) / (high - low)).clip(0, 1)
    return window(values, center, width, str(data.get("VOILUTFunction") or "LINEAR"))


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Shares of white in [0, 1] by a window, DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3.

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


def _has_window(data: Any) -> bool:
    """Whether a data set says how its gray values are to be shown."""
    center, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    return bool(data.get("VOILUTSequence")) or None not in (center, width)


def _range(data: Any, stored: np.dtype) -> tuple[float, float]:
    """Least and greatest modality value that the stored bits can hold."""
    if data.get("ModalityLUTSequence"):
        return 0.0, float(2 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1)
    bits = int(data.BitsStored)
    low = -(2 ** (bits - 1)) if stored.kind == "i" else 0
    slope, intercept = float(data.get("RescaleSlope", 1) or 1), float(data.get("RescaleIntercept", 0) or 0)
    ends = (low * slope + intercept, (low + 2**bits - 1) * slope + intercept)
    return min(ends), max(ends)


def _first(value: Any) -> float | None:
    """A number, or the first of several."""
    if value is None or value == "":
        return None
    return float(value if isinstance(value, (int, float, str)) else value[0])


def _looks_anonymous(name: str, text: str) -> bool:
    """Whether an attribute is blank or holds what de-identification puts in its place.

    A birth date on the first of January and a short number as id are such; a long number is as likely
    the one that a hospital gave.
    """
    if not text:
        return True
    if name == "PatientBirthDate":
        return text.endswith("0101")
    if name != "PatientName" and re.fullmatch(r"\d{5,}", text):
        return False
    return bool(_ANONYMOUS.fullmatch(text))


def _view(text: str) -> str:
    name = text.upper()
    return "LATERAL" if name in ("LL", "RL", "LATERAL") else name if name in ("PA", "AP") else ""


def _years(text: str) -> float:
    """Years of a DICOM age string such as 058Y, 011M, 003W, 010D."""
    parts = re.fullmatch(r"(\d{1,3})([YMWD])", text.upper())
    if not parts:
        return float("nan")
    return int(parts[1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[parts[2]]


def _whole(text: str) -> int:
    return int(text) if text.isdigit() and int(text) > 0 else 1


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
