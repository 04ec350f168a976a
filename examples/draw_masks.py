"""Draw every mask of the scenario rules on phantoms: python examples/draw_masks.py OUT.png."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from benchmark.phantoms.radiograph import thorax
from benchmark.protocol.rules.mask import Shape, shown_by

SHAPES: tuple[Shape, ...] = ("square", "separate", "joint", "inverted_joint")


def draw_masks(path: str, *, size: int = 128, seed: int = 3) -> None:
    """Write a PNG of two phantoms, unmasked and under every mask."""
    rows = []
    for index, site in enumerate(thorax.SITES[:2]):
        image = thorax.draw((), seed=seed, index=index, size=size, view="PA", site=site).image
        rows.append(np.hstack([image, *(image * shown_by(shape, size, size) for shape in SHAPES)]))
    Image.fromarray(np.vstack(rows)).save(path, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/draw_masks.py OUT.png")
    draw_masks(sys.argv[1])
