"""Data source: pictures in one NumPy file, pictures.npz."""

from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel

from benchmark.images.decoding import to_square
from benchmark.images.image_set import ImageSet
from benchmark.images.lazy import LazyImages
from benchmark.utils.hashing import sha256_file

version = "1"  # raise it whenever the code reads other data
conditions: frozenset[str] = frozenset()  # of mask, prompt, view, age, sex, laterality, severity: known here


class Params(BaseModel, extra="forbid", frozen=True):
    root: Path  # a Path is not part of cache keys; the fingerprint stands for it


def fingerprint(params: Params) -> str:
    """Return the SHA-256 of everything that images reads."""
    return sha256_file(params.root / "pictures.npz")


def images(
    params: Params, *, classes: tuple[str, ...], image_size: int, reserve_per_class: int, seed: int
) -> ImageSet:
    """Return every image with its class and its patient; the suite divides them."""
    with np.load(params.root / "pictures.npz", allow_pickle=False) as file:
        pictures, labels, patients = file["image"], file["label"], file["patient"]

    def read(row: int) -> np.ndarray:  # called when an image is read, so a large set costs no memory
        return to_square(Image.fromarray(pictures[row]), image_size)

    return ImageSet(
        image=LazyImages.each(read, len(pictures), image_size),
        label=np.array([classes.index(label) for label in labels]),
        classes=classes,
        image_id=np.array([f"picture-{i}" for i in range(len(pictures))]),
        patient_id=patients,
        origin=np.full(len(pictures), "real:my_source"),
        card={"name": "My arrays", "license": "CC BY 4.0", "notes": []},
    )
