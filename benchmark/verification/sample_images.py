"""The images that a bundle shows, read as data from a stranger."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bundles.io import PREVIEWS, Bundle
from benchmark.errors import SubmissionError

MAX_PICTURE_BYTES = 5_000_000


@dataclass(frozen=True, eq=False)
class SampleImages:
    """The sample images of a bundle: (n, H, W) uint8, their class indices, their folds."""

    image: np.ndarray
    label: np.ndarray
    fold: np.ndarray


def read_sample_images(bundle: Bundle, folder: Path) -> SampleImages:
    """Read the images that a bundle shows: gray PNGs of the task's size.

    Raises:
        SubmissionError: another size or format, or a damaged picture; names the image.
    """
    manifest, table = bundle.manifest, bundle.previews
    assert table is not None
    where, size = str(folder / PREVIEWS), manifest.image_size
    pictures = [
        read_picture(content, size, f"{where}: image {k}") for k, content in enumerate(table["image"])
    ]
    label = np.array([manifest.classes.index(c) for c in table["class"]])
    return SampleImages(np.stack(pictures), label, table["fold"].to_numpy())


def read_picture(content: Any, size: int, where: str) -> np.ndarray:
    """Return (size, size) uint8; checks the size before it decodes a pixel."""
    from PIL import Image

    if not isinstance(content, bytes) or len(content) > MAX_PICTURE_BYTES:
        raise SubmissionError(where, f"expected bytes of a PNG, at most {MAX_PICTURE_BYTES}")
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if picture.size == (size, size) and picture.mode == "L":
                return np.asarray(picture)
            problem = f"is {picture.mode} of {picture.size}, expected gray of {size} by {size}"
    except Exception as error:  # a damaged picture raises many kinds
        problem = f"cannot be decoded: {type(error).__name__}"
    raise SubmissionError(where, problem)
