"""A folder of drawn images: PNG files by label, and a table of what was requested."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.experiments.fitted_row import FittedRow
from benchmark.images.image_set import ImageSet

TABLE = "samples.csv"
PROMPTED = "prompt"  # folder of images that a prompt alone decides


def write_images(folder: Path, row: FittedRow, drawn: Iterable[tuple[str, ImageSet]], seed: int) -> int:
    """Write images by label, and ``samples.csv`` with a record per image; return their number.

    Args:
        seed: of the drawing.
    """
    import pandas as pd

    records = [
        _write(folder, row, label, images, k, seed) for label, images in drawn for k in range(len(images))
    ]
    pd.DataFrame(records).to_csv(folder / TABLE, index=False, lineterminator="\n")
    return len(records)


def _write(
    folder: Path, row: FittedRow, label: str, images: ImageSet, number: int, seed: int
) -> dict[str, Any]:
    """Write an image, and its mask if it has one; return its record."""
    path = Path(label, f"{number:06d}.png")
    _write_png(folder / path, images.image[number])
    about: dict[str, Any] = {"image": path.as_posix(), "label": "" if label == PROMPTED else label}
    about |= {"number": number, "row": row.name, "fit_seed": row.fit_seed, "seed": seed}
    if images.mask is not None:
        mask = Path("masks", path)
        _write_png(folder / mask, images.mask[number])
        about["mask"] = mask.as_posix()
    if images.reported_labels is not None:
        states = zip(images.classes, images.reported_labels[number], strict=True)
        about["labels"] = ",".join(name for name, state in states if state == 1)
    for name in sorted((row.conditions | {"source_id"}) - {"mask", "labels"}):
        column = getattr(images, name, None)
        if column is not None:
            about[name] = column[number]
    return about


def _write_png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
