"""Figures: grids of images, previews along a training, confusion matrices, scatter plots of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.images.image_set import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image

LABEL_WIDTH, HEAD = 84, 20


def sample_grid(images: ImageSet, path: Path, columns: int = 10, side: int = 72) -> None:
    """Write a PNG with one line per class of its first images.

    Args:
        images: the set; a class with fewer images leaves gaps.
        path: of the PNG.
        columns: images per class.
        side: of one image in the figure, in pixels.
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


@dataclass(frozen=True, eq=False)
class Strip:
    """Images of one class along a training: (P, M, S, S) uint8, a line per step."""

    name: str
    steps: Sequence[int]
    image: np.ndarray


def training_grid(strips: Sequence[Strip], path: Path, side: int = 56, most: int = 12) -> None:
    """Write a PNG with a block of lines per class: the same images at every preview of a training.

    Args:
        strips: one per class.
        path: of the PNG.
        side: of one image in the figure, in pixels.
        most: lines of a block; of more previews some are shown, the first and the last among them.
    """
    from PIL import Image, ImageDraw

    chosen = [np.unique(np.linspace(0, len(s.steps) - 1, min(most, len(s.steps))).round().astype(int))
              for s in strips]  # fmt: skip
    width = LABEL_WIDTH + side * max(s.image.shape[1] for s in strips)
    # blocks beside each other, all of one height
    canvas = Image.new("L", (width * len(strips), HEAD + side * max(map(len, chosen))), 16)
    draw = ImageDraw.Draw(canvas)
    for k, (strip, rows) in enumerate(zip(strips, chosen, strict=True)):
        draw.text((k * width + LABEL_WIDTH, 4), strip.name, fill=230)
        for line, row in enumerate(rows):
            top = HEAD + line * side
            draw.text((k * width + 6, top + side // 2 - 6), f"step {strip.steps[row]}", fill=230)
            for i, image in enumerate(strip.image[row]):
                kind = Image.Resampling.LANCZOS if len(image) > side else Image.Resampling.BICUBIC
                tile = Image.fromarray(np.ascontiguousarray(image)).resize((side, side), kind)
                canvas.paste(tile, (k * width + LABEL_WIDTH + i * side, top))
    _save(canvas, path)


def confusion_picture(counts: np.ndarray, classes: tuple[str, ...], path: Path, side: int = 64) -> None:
    """Write a confusion matrix as PNG: true classes down, predicted ones across."""
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


def boundary_picture(
    points: np.ndarray,
    logits: Callable[[np.ndarray], np.ndarray],
    label: np.ndarray,
    chosen: np.ndarray,
    classes: tuple[str, ...],
    title: str,
    path: Path,
) -> None:
    """Write a PNG of the plane of features: images, the classes' regions, and the chosen images.

    After Figure 20 of Lan 2023.

    Args:
        points: (N, 2) coordinates of the images.
        logits: of the K classes at any points (..., 2).
        label: (N,) class index.
        chosen: (N,) bool, True for a chosen image, which gets a black edge.
        classes: names of the classes.
        title: above the picture.
        path: of the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    axes = FigureCanvasAgg(figure).figure.add_subplot()
    margin = 0.05 * np.ptp(points, axis=0)
    low, high = points.min(0) - margin, points.max(0) + margin
    x, y = np.meshgrid(*(np.linspace(a, b, 300) for a, b in zip(low, high, strict=True)))
    region = logits(np.stack([x, y], 2)).argmax(2)
    palette = [f"C{k % 10}" for k in range(len(classes))]
    axes.contourf(x, y, region, np.arange(len(classes) + 1) - 0.5, colors=palette, alpha=0.15)
    for k, name in enumerate(classes):
        for near in (False, True):
            rows = (label == k) & (chosen == near)
            size, edge = (22, "black") if near else (8, "none")
            axes.scatter(
                points[rows, 0], points[rows, 1], s=size, color=palette[k], linewidths=0.7, edgecolors=edge,
                label=None if near else name,
            )  # fmt: skip
    axes.scatter([], [], s=22, color="none", edgecolors="black", label="chosen")
    axes.set(xlabel="first component", ylabel="second component")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={"Software": None})


def _label_width(names: tuple[str, ...]) -> int:
    """Return the width of the longest name, at least ``LABEL_WIDTH``."""
    from PIL import ImageFont

    font = ImageFont.load_default()
    return max(LABEL_WIDTH, *(int(font.getlength(name)) + 12 for name in names))


def _save(canvas: Image, path: Path) -> None:
    canvas.save(path, format="PNG", optimize=True)
