"""Attributes of a DICOM file that state how its first frame is displayed (PS3.3, C.7.6.16, C.11)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.images.gray_levels import bit_depth

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
DISPLAY_TAGS = (SHARED, PER_FRAME, *WINDOW, "VOILUTSequence")  # that decide whether a view is stated


@dataclass(frozen=True)
class Table:
    """A lookup table; values outside of it take its first or last entry.

    pydicom's ``apply_modality_lut`` and ``apply_voi`` are not used: they refuse modality LUTs of 12 bits,
    packed entries of 8 bits, and negative first values of unsigned pixels.

    Attributes:
        first: value that the first entry is for.
        entries: (N,) unsigned.
    """

    first: int
    entries: np.ndarray

    @property
    def white(self) -> int:
        """Largest value of the entries' bit depth, which may be smaller than the declared one."""
        return int(2 ** bit_depth(int(self.entries.max())) - 1)

    def look_up(self, values: np.ndarray) -> np.ndarray:
        index = np.nan_to_num(np.rint(values)).clip(self.first, self.first + len(self.entries) - 1)
        return self.entries[index.astype(np.int64) - self.first]


@dataclass(frozen=True)
class Display:
    """The attributes of one frame, blank ones left out.

    Attributes:
        rescale: slope and intercept.
        modality, voi: lookup tables.
        window: attributes of the first complete window, as pydicom's ``apply_windowing`` expects them.
    """

    rescale: tuple[float, float] | None
    modality: Table | None
    voi: Table | None
    window: dict[str, Any] | None


def read_display(data: Any) -> Display:
    """Read the attributes of the first frame; those of its functional groups replace those of the data set.

    Raises:
        ValueError: a number is not finite, a slope is 0, or a table is shorter than its descriptor states.
    """
    places = list(_places(data))
    slope, intercept = (_first(places, name) for name in ("RescaleSlope", "RescaleIntercept"))
    rescale = None
    if slope is not None and intercept is not None:
        rescale = _finite("RescaleSlope", slope), _finite("RescaleIntercept", intercept)
        if rescale[0] == 0:
            raise ValueError("RescaleSlope is 0")
    return Display(
        rescale=rescale,
        modality=_table(data, "ModalityLUTSequence"),
        voi=_table(data, "VOILUTSequence"),
        window=_window(places),
    )


def states_view(data: Any) -> bool:
    """Return whether a window or a VOI LUT states how the gray values are displayed."""
    return _complete_item(data, "VOILUTSequence") is not None or _window(list(_places(data))) is not None


def _places(data: Any) -> Iterator[Any]:
    """Yield the data sets that may hold an attribute of the first frame, the decisive one first."""
    for keyword in (PER_FRAME, SHARED):
        for group in (data.get(keyword) or ())[:1]:
            for name in GROUPS:
                yield from (group.get(name) or ())[:1]
    yield data


def _blank(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and len(value) == 0)


def _first(places: list[Any], keyword: str) -> Any:
    return next((value for place in places if not _blank(value := place.get(keyword))), None)


def _finite(keyword: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{keyword} is {number}, expected a finite number")
    return number


def _window(places: list[Any]) -> dict[str, Any] | None:
    """Return the first window of which both numbers are given."""
    center, width = (_several(_first(places, name)) for name in WINDOW[:2])
    for pair in zip(center, width, strict=False):
        if not any(map(_blank, pair)):
            for name, value in zip(WINDOW, pair, strict=False):
                _finite(name, value)
            function = str(_first(places, WINDOW[2]) or "LINEAR").strip()
            return dict(zip(WINDOW, (*pair, function), strict=True))
    return None


def _several(value: Any) -> list[Any]:
    """Return the values of an attribute with any number of them."""
    from pydicom.multival import MultiValue

    return [] if value is None else list(value) if isinstance(value, MultiValue) else [value]


def _complete_item(data: Any, keyword: str) -> Any:
    """Return the first lookup table of a sequence that has a descriptor and data."""
    for item in data.get(keyword) or ():
        if not (_blank(item.get("LUTDescriptor")) or _blank(item.get("LUTData"))):
            return item
    return None


def _table(data: Any, keyword: str) -> Table | None:
    """Read a lookup table; a count of 0 is 65,536, and entries of 8 bits may be packed (PS3.3, C.11.1.1)."""
    item = _complete_item(data, keyword)
    if item is None:
        return None
    count, first, bits = (int(value) for value in item.LUTDescriptor)
    count = count or 2**16
    content, little = item.LUTData, True
    if isinstance(content, bytes):
        little = data.file_meta.TransferSyntaxUID.is_little_endian
    else:
        content = (np.array(_several(content), np.int64) & 0xFFFF).astype("<u2").tobytes()
    packed = bits <= 8 and len(content) < 2 * count
    entries = np.frombuffer(content, "u1" if packed else "<u2" if little else ">u2")[:count]
    if len(entries) < count:
        raise ValueError(f"{keyword} has {len(entries)} entries, its descriptor states {count}")
    return Table(first, entries)
