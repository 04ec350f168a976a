"""Measure how fast the adapters of real datasets read from a warm cache, per core.

    OMP_NUM_THREADS=1 python perf/read_sources.py [--size 64] [--images 1000] [--only pocus medmnist]

Reads the real packs if they are there (covid-chestxray, pocus). For other sources it writes folders in the
public layout: CheXpert-small (JPEG of 390 x 320 pixels), ChestX-ray14 (PNG of 1024), MedMNIST (28 and 224,
compressed and stored), DICOM (512 and 1024, 12 bits, plain and RLE), a folder of PNG (320). Every source is
read several times: listing, then all pictures in order. The result is the fastest pass after the first, in
CPU seconds, which other load barely affects. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.images.image_set import ImageSet
from benchmark.plugins.registry import find

PACKS = Path(os.environ.get("SYNTHTHORAX_PACKS", Path(__file__).parents[2] / "shared/data"))
TARGET = 500  # images per second and core


@dataclass(frozen=True)
class Case:
    """A dataset to read: its description, source, classes and parameters."""

    what: str
    source: str
    classes: tuple[str, ...]
    params: dict[str, Any]


def picture(side: int, seed: int) -> np.ndarray:
    """Return (side, side) uint8, smooth with some noise, which compresses about like a radiograph."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + rng.normal(0, 4, (side, side)), 0, 255).astype(np.uint8)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def image_folder(root: Path, count: int) -> Iterator[Case]:
    """Write PNG files of 320 pixels in two class folders."""
    for k in range(count):
        path = root / f"{'ab'[k % 2]}/{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(320, k)).save(path)
    yield Case("PNG of 320 px", "image_folder", ("a", "b"), {"root": root})


def chexpert(root: Path, count: int) -> Iterator[Case]:
    """Write CheXpert-v1.0-small: JPEG of 390 x 320 pixels, train.csv and valid.csv."""
    from benchmark.datasets import chexpert as source

    base = root / "CheXpert-v1.0-small"
    for part, many, first in (("train", count, 1), ("valid", 10, 64541)):
        rows = []
        for k in range(many):
            name = f"{part}/patient{first + k:05d}/study1/view1_frontal.jpg"
            path = base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(390, k)[:320]).save(path, quality=90)
            about = {"Path": f"CheXpert-v1.0-small/{name}", "Sex": "Male", "Age": 60,
                     "Frontal/Lateral": "Frontal", "AP/PA": "AP"}  # fmt: skip
            rows.append({**about, **dict.fromkeys(source.OBSERVATIONS, "1.0")})
        write_csv(base / f"{part}.csv", rows)
    yield Case(
        "JPEG of 390 x 320 px", "chexpert", ("Edema", "Pneumothorax"), {"root": base, "test": "from_train"}
    )


def chestxray14(root: Path, count: int) -> Iterator[Case]:
    """Write ChestX-ray14: PNG of 1024 pixels, Data_Entry_2017.csv."""
    rows = []
    (root / "images").mkdir(parents=True)
    for k in range(count):
        name = f"{k + 1:08d}_000.png"
        Image.fromarray(picture(1024, k)).save(root / "images" / name, compress_level=1)
        about = {"Finding Labels": "Effusion|Mass", "Follow-up #": 0, "Patient Age": "058Y"}
        about |= {"Patient Gender": "M", "View Position": "PA"}
        rows.append({"Image Index": name, "Patient ID": k + 1, **about})
    write_csv(root / "Data_Entry_2017.csv", rows)
    yield Case("PNG of 1024 px", "chestxray14", ("Effusion", "Mass"), {"root": root, "split": "drawn"})


def medmnist(root: Path, count: int) -> Iterator[Case]:
    """Write PneumoniaMNIST of 28 and 224 pixels, compressed as published and uncompressed."""
    root.mkdir(parents=True)
    for side in (28, 224):
        arrays: dict[str, np.ndarray] = {}
        for part, many in (("train", count), ("val", 50), ("test", 50)):
            seed = {"train": 0, "val": 10**6, "test": 2 * 10**6}[part]
            arrays[f"{part}_images"] = np.stack([picture(side, seed + k) for k in range(many)])
            arrays[f"{part}_labels"] = (np.arange(many) % 2).astype(np.uint8)[:, None]
        savers: dict[str, Any] = {"compressed": np.savez_compressed, "stored": np.savez}
        for kind, save in savers.items():
            path = root / f"{kind}_{side}.npz"
            save(path, **arrays)
            yield Case(f"{side} px, {kind}", "medmnist", ("a", "b"), {"root": path, "labels": ("a", "b")})


def dicom_folder(root: Path, count: int) -> Iterator[Case]:
    """Write DICOM files of 12 bits with a window, of 512 and 1024 pixels, plain and RLE."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

    for side, kind in ((512, "plain"), (1024, "plain"), (512, "RLE")):
        for k in range(min(count, 300)):
            meta = FileMetaDataset()
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
            meta.MediaStorageSOPInstanceUID = generate_uid()
            data = Dataset()
            data.file_meta, data.SOPClassUID = meta, meta.MediaStorageSOPClassUID
            data.SOPInstanceUID, data.PatientID = meta.MediaStorageSOPInstanceUID, f"anon-{k}"
            data.Rows = data.Columns = side
            data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
            data.WindowCenter, data.WindowWidth = 2048, 4096
            data.PixelData = (picture(side, k).astype("<u2") * 16).tobytes()
            data["PixelData"].VR = "OW"
            if kind == "RLE":
                data.compress(RLELossless, generate_instance_uid=False)
            path = root / f"{kind}_{side}/{'ab'[k % 2]}/{k}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            data.save_as(path, enforce_file_format=True)
        yield Case(
            f"{side} px, 12 bits, {kind}", "dicom_folder", ("a", "b"), {"root": root / f"{kind}_{side}"}
        )


def covid_chestxray(packs: Path) -> Iterator[Case]:
    """Return the real pack."""
    root, classes = packs / "covid-chestxray", ("healthy", "fungal", "covid19", "bacterial")
    yield Case("real pack", "covid_chestxray", classes, {"root": root})


def pocus(packs: Path) -> Iterator[Case]:
    """Return the real pack with videos and images."""
    classes = ("covid19", "pneumonia", "healthy")
    yield Case("real pack, videos at 3 Hz", "pocus", classes, {"root": packs / "pocus"})


WRITTEN: dict[str, Callable[[Path, int], Iterator[Case]]] = {
    "image_folder": image_folder,
    "chexpert": chexpert,
    "chestxray14": chestxray14,
    "medmnist": medmnist,
    "dicom_folder": dicom_folder,
}
REAL = {"covid_chestxray": covid_chestxray, "pocus": pocus}


def timed(case: Case, size: int, passes: int) -> tuple[float, float, ImageSet]:
    """Return the least seconds of several passes to list and to read all pictures of a case, without the
    first pass."""
    module = find("sources", [case.source])[0].load()
    params = module.Params(**case.params)
    listing, reading = [], []
    for _ in range(passes + 1):
        began = time.process_time()
        listed = module.images(params, classes=case.classes, image_size=size, reserve_per_class=1, seed=0)
        middle = time.process_time()
        for start in range(0, len(listed), 512):
            listed.image[start : start + 512]
        listing.append(middle - began)
        reading.append(time.process_time() - middle)
    return min(listing[1:]), min(reading[1:]), listed


def decoded_frames(packs: Path) -> str:
    """Return decoded frames per second; about one frame in eight is used."""
    from benchmark.datasets._readers.video import read_clip

    began, frames = time.process_time(), 0
    for path in sorted((packs / "pocus/pocus_videos/convex").iterdir()):
        frames += read_clip(path).decoded
    return f"{frames / (time.process_time() - began):.0f} decoded frames/s"


def main() -> None:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--passes", type=int, default=3, help="number of passes; the fastest is reported")
    parser.add_argument("--packs", type=Path, default=PACKS)
    parser.add_argument("--only", nargs="*", choices=[*WRITTEN, *REAL])
    options = parser.parse_args()
    print(f"| source | pictures | images | listing s | reading s | images/s at {options.size} px | |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only or [*WRITTEN, *REAL]:
        if name in REAL and not (options.packs / name.replace("_", "-")).is_dir():
            print(f"| {name} | no pack in {options.packs} | | | | | |")
            continue
        folder = Path(tempfile.mkdtemp(prefix="synththorax-read-"))
        for case in (
            REAL[name](options.packs) if name in REAL else WRITTEN[name](folder / "t", options.images)
        ):
            listing, reading, arrays = timed(case, options.size, options.passes)
            rate = len(arrays) / (listing + reading)
            note = "" if rate >= TARGET else f"below {TARGET}"
            if name == "pocus":
                note = decoded_frames(options.packs)
            times = f"{listing:.2f} | {reading:.2f} | {rate:.0f} | {note}"
            print(f"| {case.source} | {case.what} | {len(arrays)} | {times} |", flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
