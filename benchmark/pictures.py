"""Small pictures for people: grids of images, confusion matrices. Pillow only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.records import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image

LABEL_WIDTH = 84


def sample_grid(images: ImageSet, path: Path, columns: int = 10, side: int = 72) -> None:
    """A row per class with its first images, written as PNG.

    Args:
        images: the set; a class with fewer images leaves gaps.
        path: of the PNG.
        columns: images per class.
        side: of one image in the picture, in pixels; enlarged images keep their pixels visible.
    """
    from PIL import Image, ImageDraw

    left = _label_width(images.classes)
    canvas = Image.new("L", (left + columns * side, len(images.classes) * side), 16)
    draw = ImageDraw.Draw(canvas)
    for k, name in enumerate(images.classes):
        draw.text((6, k * side + side // 2 - 6), name, fill=230)
        for i, row in enumerate(np.flatnonzero(images.label == k)[:columns]):
            kind = Image.Resampling.LANCZOS if images.size > side else Image.Resampling.BICUBIC
            tile = Image.fromarray(np.ascontiguousarray(images.image[row])).resize((side, side), kind)
            canvas.paste(tile, (left + i * side, k * side))
    _save(canvas, path)


def confusion_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path, side: int = 64) -> None:
    """Confusion matrix as PNG: rows true, columns predicted, shaded by the share of the row."""
    from PIL import Image, ImageDraw

    k, left = len(classes), _label_width(classes)
    canvas = Image.new("RGB", (left + k * side, 24 + k * side), "white")
    draw = ImageDraw.Draw(canvas)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for i in range(k):
        draw.text((6, 24 + i * side + side // 2 - 6), classes[i], fill="black")
        draw.text((left + i * side + 4, 6), classes[i], fill="black")
        for j in range(k):
            x, y = left + j * side, 24 + i * side
            shade = int(255 - 200 * share[i, j])
            draw.rectangle((x, y, x + side - 2, y + side - 2), fill=(shade, shade, 255))
            ink = "white" if share[i, j] > 0.6 else "black"
            draw.text((x + 6, y + side // 2 - 12), f"{counts[i, j]}\n{100 * share[i, j]:.0f} %", fill=ink)
    _save(canvas, path)


def _label_width(names: tuple[str, ...]) -> int:
    """Room for the longest name, and for short ones as much as ever."""
    from PIL import ImageFont

    font = ImageFont.load_default()
    return max(LABEL_WIDTH, *(int(font.getlength(name)) + 12 for name in names))


def _save(canvas: Image, path: Path) -> None:
    canvas.save(path, format="PNG", optimize=True)
