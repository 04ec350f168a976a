"""Headers of DICOM files, read safely and without the pixels."""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.datasets._readers.dicom_display import DISPLAY_TAGS, states_view
from benchmark.errors import DataError

MAX_FILE = 2 * 2**30  # bytes; a file is read whole
IDENTITY = (
    "PatientName", "PatientBirthDate", "PatientID", "OtherPatientIDs", "PatientAddress",
    "PatientTelephoneNumbers",
)  # fmt: skip
TAGS = (
    *IDENTITY, "SOPInstanceUID", "PatientAge", "PatientSex", "ViewPosition", "BurnedInAnnotation",
    "PatientIdentityRemoved", "NumberOfFrames", "StudyDate", *DISPLAY_TAGS,
)  # fmt: skip

_ANONYMOUS = re.compile(
    r"(?i)(|[\W_]*(anon\w*|unknown|none|removed|de-?id\w*|pseudo\w*|patient|subject|case|sub|pat|x+)?[\W_\d]*"
    r"|[0-9a-f-]{16,})"
)
VIEWS = {"PA": "PA", "AP": "AP", "LL": "LATERAL", "RL": "LATERAL", "LATERAL": "LATERAL"}
REPLACE = "Replace the file by the original, or remove its record."


@dataclass(frozen=True)
class Header:
    """Attributes of a file's header; all texts but ``patient_id`` and ``uid`` may be shown.

    Attributes:
        uid, patient_id: identifiers as written, to be hashed before they leave the adapter.
        view: ``PA``, ``AP``, ``LATERAL`` or empty.
        age: years, NaN where unknown.
        sex: ``male``, ``female`` or empty.
        frames: number of frames.
        window: a window or a VOI LUT states how the gray values are to be shown.
        burned_in: BurnedInAnnotation is YES.
        identity: names of the attributes that do not look anonymous, never their values.
        label: text of the requested attribute.
        study_date: as written, for a check alone.
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
    study_date: str = ""


def is_dicom(path: Path) -> bool:
    """Return whether a file has the mark of a DICOM file at byte 128."""
    try:
        with open(path, "rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path, label_from: str | None = None) -> Header:
    """Read the attributes that are used, without the pixels.

    Args:
        label_from: keyword of an attribute that holds the label, such as ``StudyDescription``.
    Raises:
        DataError: missing, empty, or not DICOM.
    """
    tags: list[str] = [*TAGS, *([label_from] if label_from else [])]
    data = parse(path, stop_before_pixels=True, specific_tags=tags)

    def text(keyword: str) -> str:
        with warnings.catch_warnings():  # of values that break the standard; they read as other texts
            warnings.simplefilter("ignore")
            value = data.get(keyword)
        return "" if value is None else str(value).strip()

    try:
        window = states_view(data)
    except Exception as error:  # on malformed files pydicom raises nearly anything
        raise DataError(str(path), f"has a window that cannot be read: {reason(error)}", REPLACE) from None
    removed = text("PatientIdentityRemoved").upper() == "YES"
    return Header(
        uid=text("SOPInstanceUID"),
        patient_id=text("PatientID"),
        view=VIEWS.get(text("ViewPosition").upper(), ""),
        age=_years(text("PatientAge")),
        sex={"M": "male", "F": "female"}.get(text("PatientSex").upper(), ""),
        frames=_whole(text("NumberOfFrames")),
        window=window,
        burned_in=text("BurnedInAnnotation").upper() == "YES",
        identity=tuple(
            name
            for name in IDENTITY
            if not _looks_anonymous(name, text(name)) and not (removed and name == "PatientID")
        ),
        label=text(label_from) if label_from else "",
        study_date=text("StudyDate"),
    )


def parse(path: Path, **options: Any) -> Any:
    """Read the data set of a file."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    if not path.is_file():
        raise DataError(str(path), "no such file, expected DICOM", REPLACE)
    if path.stat().st_size == 0:
        raise DataError(str(path), "is empty (0 bytes), expected DICOM", REPLACE)
    if path.stat().st_size > MAX_FILE:
        raise DataError(str(path), f"is larger than {MAX_FILE // 2**30} GB", "Split it into single frames.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, **options)
    except InvalidDicomError:
        raise DataError(str(path), "is not a DICOM file", REPLACE) from None
    except Exception as error:  # on malformed files pydicom raises nearly anything
        raise DataError(str(path), f"is corrupt or truncated: {reason(error)}", REPLACE) from None


def _looks_anonymous(name: str, text: str) -> bool:
    """Return whether an attribute is blank or holds a typical replacement of de-identification.

    These include a birth date on the first of January and a short number as id; a long number may well be
    the hospital's.
    """
    if not text:
        return True
    if name == "PatientBirthDate":
        return text.endswith("0101")
    if name != "PatientName" and re.fullmatch(r"\d{5,}", text):
        return False
    return bool(_ANONYMOUS.fullmatch(text))


def _years(text: str) -> float:
    """Return the years of a DICOM age string such as 058Y, 011M, 003W, 010D."""
    parts = re.fullmatch(r"(\d{1,3})([YMWD])", text.upper())
    if not parts:
        return float("nan")
    return int(parts[1]) / {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}[parts[2]]


def _whole(text: str) -> int:
    return int(text) if text.isdigit() and int(text) > 0 else 1


def reason(error: Exception) -> str:
    """Return an error's message in one line; pydicom lists its plug-ins' reasons in further lines."""
    return " ".join(str(error).split()) or type(error).__name__
