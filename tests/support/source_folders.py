"""Small datasets in the layouts that the sources read, one function per source."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.stores import full_set, store


def noise(seed: int, side: int = 24) -> np.ndarray:
    """Return a picture that differs from that of any other seed."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def picture(path: Path, seed: int) -> None:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed)).save(path)


def table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def image_folder(root: Path) -> dict[str, Any]:
    """Twelve images of twelve patients, with view and age but no sex."""
    rows = []
    for k in range(12):
        picture(root / f"{k}.png", k)
        known = {"view": "PA", "age": 40 + k}
        rows.append({"image": f"{k}.png", "label": "ab"[k % 2], "patient_id": f"p{k}", **known})
    table(root / "metadata.csv", rows)
    return {"root": root}


def medmnist(root: Path) -> dict[str, Any]:
    """A file with two labels and 28 images."""
    arrays: dict[str, np.ndarray] = {}
    for part, count in (("train", 12), ("val", 8), ("test", 8)):
        arrays[f"{part}_images"] = np.stack([noise(100 * count + k, 28) for k in range(count)])
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8).reshape(-1, 1)
    np.savez(root / "set.npz", **arrays)
    return {"root": root, "labels": ("a", "b")}


def dicom_folder(root: Path) -> dict[str, Any]:
    """Four files per class."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    for k in range(8):
        meta, data = FileMetaDataset(), Dataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = data.SOPClassUID = DigitalXRayImageStorageForPresentation
        meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"1.2.3.{k}"
        data.file_meta = meta
        data.PatientID, data.Modality, data.PatientAge, data.ViewPosition = f"anon-{k}", "DX", "040Y", "PA"
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.Rows = data.Columns = 24
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.PixelData = noise(k).tobytes()
        path = root / "ab"[k % 2] / f"{k}.dcm"
        path.parent.mkdir(exist_ok=True)
        data.save_as(path, enforce_file_format=True)
    return {"root": root}


def chexpert(root: Path) -> dict[str, Any]:
    """Twelve patients of train and four of valid, with reports of two findings."""
    from benchmark.datasets.chexpert import OBSERVATIONS

    for part, first, many in (("train", 1, 12), ("valid", 64541, 4)):
        rows = []
        for k in range(first, first + many):
            name = f"{part}/patient{k:05d}/study1/view1_frontal.jpg"
            picture(root / name, k)
            known = {"Path": f"CheXpert-v1.0-small/{name}", "Sex": "Female", "Age": "61"}
            known |= {"Frontal/Lateral": "Frontal", "AP/PA": "AP"}
            rows.append({**known, **dict.fromkeys(OBSERVATIONS, "0.0"), "Edema": f"{k % 2}.0"})
        table(root / f"{part}.csv", rows)
    return {"root": root, "test": "from_train"}


def chestxray14(root: Path) -> dict[str, Any]:
    """Twelve patients with one or two findings."""
    rows = []
    for k in range(12):
        name = f"{k:08d}_000.png"
        picture(root / "images" / name, k)
        rows.append(
            {
                "Image Index": name,
                "Finding Labels": ("Effusion", "Mass", "Effusion|Mass", "No Finding")[k % 4],
                "Follow-up #": 0,
                "Patient ID": k,
                "Patient Age": 50,
                "Patient Gender": "M",
                "View Position": "PA",
                "OriginalImage[Width": 24,
                "Height]": 24,
                "OriginalImagePixelSpacing[x": 0.1,
                "y]": 0.1,
            }
        )
    table(root / "Data_Entry_2017.csv", rows)
    return {"root": root, "split": "drawn"}


def parquet_store(root: Path) -> dict[str, Any]:
    """A store with every column."""
    store(root, full_set(20, size=16))
    return {"root": root}


def huggingface(root: Path) -> dict[str, Any]:
    """Twelve images as Parquet, with patients, masks and prompts."""
    import io

    import datasets

    def png(pixels: np.ndarray) -> dict[str, Any]:
        sink = io.BytesIO()
        Image.fromarray(pixels).save(sink, "PNG")
        return {"bytes": sink.getvalue(), "path": None}

    datasets.Dataset.from_dict(
        {
            "image": [png(noise(k)) for k in range(12)],
            "mask": [png((noise(k) > 128).astype(np.uint8)) for k in range(12)],
            "label": [k % 2 for k in range(12)],
            "subject": [f"p{k}" for k in range(12)],
            "prompt": ["a radiograph"] * 12,
        },
        features=datasets.Features(
            image=datasets.Image(),
            mask=datasets.Image(),
            label=datasets.ClassLabel(names=["a", "b"]),
            subject=datasets.Value("string"),
            prompt=datasets.Value("string"),
        ),
    ).to_parquet(root / "train-00000-of-00001.parquet")
    return {"root": root, "columns": {"patient_id": "subject"}}


def my_source(root: Path) -> dict[str, Any]:
    """The NumPy file of docs/add_a_dataset.md."""
    np.savez(
        root / "pictures.npz",
        image=np.stack([noise(k) for k in range(12)]),
        label=np.array(["a", "b"] * 6),
        patient=np.array([f"p{k}" for k in range(12)]),
    )
    return {"root": root}
