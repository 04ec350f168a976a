"""Draw synthetic images from exported training images, with NumPy and Pillow only.

    synththorax data export --task cxr_pneumonia --profile demo --out training
    python make_samples.py training samples 100

A Gaussian per class in the space of its principal components (Tipping and Bishop 1999), once per fold.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

COMPONENTS = 30


def read(folder: Path) -> np.ndarray:
    """Return a folder's pictures, (N, H, W) in [0, 1]."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]) / 255.0


def draw(real: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw (count, H, W) uint8 from a Gaussian with the mean and principal axes of ``real``."""
    flat = real.reshape(len(real), -1)
    mean = flat.mean(0)
    _, scale, axes = np.linalg.svd(flat - mean, full_matrices=False)
    axes = axes[:COMPONENTS] * scale[:COMPONENTS, None] / np.sqrt(max(len(flat) - 1, 1))
    drawn = mean + np.random.default_rng(seed).normal(size=(count, len(axes))) @ axes
    return np.round(drawn.clip(0, 1) * 255).astype(np.uint8).reshape(count, *real.shape[1:])


def main(export: Path, out: Path, count: int) -> None:
    """Fit on each fold's ``train/`` separately, and write a folder per class."""
    for k, train in enumerate(sorted(export.glob("**/train"))):
        for folder in sorted(train.iterdir()):
            place = out / train.parent.relative_to(export) / folder.name
            place.mkdir(parents=True)
            for i, picture in enumerate(draw(read(folder), count, seed=k)):
                Image.fromarray(picture).save(place / f"{i:05d}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
