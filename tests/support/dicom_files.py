"""Small DICOM files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation as DX
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

from benchmark.datasets._readers.dicom_pixels import read_pixels

RAMP = np.array([[0, 1000], [2000, 4000]], np.uint16)
WINDOW = {"WindowCenter": 2000, "WindowWidth": 4000, "VOILUTFunction": "LINEAR_EXACT"}  # black 0, white 4000
RAMP_SHOWN = [[0, 64], [128, 255]]  # round(255 v / 4000)


def written(path: Path, pixels: np.ndarray, *, bits: int = 0, **attributes: Any) -> Path:
    """Write (H, W) or (frames, H, W) pixels; an attribute of None is written blank, "absent" is removed."""
    syntax = attributes.pop("syntax", ExplicitVRLittleEndian)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID, data.SOPInstanceUID, data.PatientID = DX, generate_uid(), "anon-1"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.BitsAllocated = 8 * pixels.itemsize
    if pixels.dtype.kind == "f":
        keyword = "FloatPixelData" if pixels.itemsize == 4 else "DoubleFloatPixelData"
        setattr(data, keyword, pixels.tobytes())
    else:
        data.BitsStored = bits or data.BitsAllocated
        data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(pixels.dtype.kind == "i")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        data.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        data["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for name, value in attributes.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def item(**attributes: Any) -> Dataset:
    data = Dataset()
    for name, value in attributes.items():
        setattr(data, name, value)
    return data


def table(
    entries: np.ndarray, first: int, bits: int, *, count: int | None = None, kind: str = "OW"
) -> Sequence:
    """Return a lookup table that declares this many bits."""
    data = item(ModalityLUTType="US")
    descriptor = [len(entries) % 2**16 if count is None else count, first, bits]
    data.add_new("LUTDescriptor", "SS" if first < 0 else "US", descriptor)
    data.add_new("LUTData", kind, entries.tobytes() if kind == "OW" else entries.tolist())
    return Sequence([data])


def groups(**sequences: Dataset) -> Sequence:
    return Sequence([item(**{name: Sequence([content]) for name, content in sequences.items()})])


def shown(path: Path) -> list[list[int]]:
    values: list[list[int]] = np.asarray(read_pixels(path)).tolist()
    return values
