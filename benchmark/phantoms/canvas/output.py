"""Image sizes that can be drawn, and contact sheets of examples."""

import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from benchmark.errors import DataError


def check_size(size: int, source: str) -> None:
    """Raise a DataError unless ``size`` is from 16 to 1024 pixels."""
    if not 16 <= size <= 1024:
        raise DataError(source, f"cannot draw {size} pixels", "Choose an image size from 16 to 1024.")


def save_contact_sheet(rows: Sequence[Sequence[np.ndarray]]) -> None:
    """Write (S, S) images, row by row, to the PNG that the command line names; gaps at the end stay black."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} OUT.png")
    strips = [np.concatenate(row, 1) for row in rows]
    sheet = np.zeros((len(strips), len(strips[0]), max(s.shape[1] for s in strips)), np.uint8)
    for line, strip in zip(sheet, strips, strict=True):
        line[:, : strip.shape[1]] = strip
    Image.fromarray(np.concatenate(sheet)).save(sys.argv[1], optimize=True)
