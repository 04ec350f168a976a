"""Measure the milliseconds per batch of each augmentation, and of Schaudt's table in Albumentations.

    OMP_NUM_THREADS=1 python perf/augment.py [--batch 8] [--sides 32 64 224] [--repeat 100]

Uses one thread, like a worker. The figures are the thread's CPU time, which other load barely affects,
averaged over seeds, since the operations of an image are random.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmark.classifiers.augment import PIPELINES
from benchmark.datasets.phantom import chest

Augment = Callable[[int], object]


def radiographs(count: int, side: int) -> np.ndarray:
    """Draw (N, S, S) uint8 phantoms."""
    return np.stack(
        [chest.draw(chest.CLASSES[i % 5], seed=0, index=i, size=side).image for i in range(count)]
    )


def on_batches(name: str, images: np.ndarray) -> Augment:
    """Return the pipeline of that name on the whole batch, as a function of the seed."""
    batch = torch.from_numpy(images[:, None] / np.float32(255))
    return lambda seed: PIPELINES[name](batch, torch.Generator().manual_seed(seed))


def one_by_one(images: np.ndarray, channels: int) -> Augment:
    """Return Schaudt et al. 2023, Table 4, without resizing and normalization, in Albumentations."""
    import albumentations as a
    import cv2

    cv2.setNumThreads(0)
    table = a.Compose(
        [
            a.ShiftScaleRotate(0.1, 0.5, 10, border_mode=cv2.BORDER_REFLECT_101, p=1),
            a.OneOf([a.CLAHE(4.0, (8, 8), p=1), a.RandomBrightnessContrast(p=1), a.RandomGamma(p=1)], p=0.9),
            a.OneOf([a.Sharpen(p=1), a.Blur(7, p=1), a.MotionBlur(7, p=1)], p=0.9),
            a.OneOf([a.RandomBrightnessContrast(p=1), a.HueSaturationValue(p=1)], p=0.9),
        ]
    )
    given = np.repeat(images[..., None], channels, -1) if channels > 1 else images

    def augment(seed: int) -> object:
        table.set_random_seed(seed)
        return [table(image=image)["image"] for image in given]

    return augment


def milliseconds(augment: Augment, repeat: int) -> float:
    """Return the mean processor time over ``repeat`` seeds, after a warm-up."""
    for seed in range(5):
        augment(seed)
    began = time.thread_time()
    for seed in range(repeat):
        augment(seed)
    return (time.thread_time() - began) / repeat * 1000


def main() -> None:
    """Time every pipeline at every size; print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 224])
    parser.add_argument("--repeat", type=int, default=100, help="number of seeds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = {side: radiographs(options.batch, side) for side in options.sides}
    rows: dict[str, Callable[[np.ndarray], Augment]] = {
        name: lambda batch, name=name: on_batches(name, batch) for name in PIPELINES
    }
    try:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # otherwise it looks up its newest release online
        import albumentations
    except ImportError:
        print("Albumentations is not installed (extra 'dev'): only the suite's pipelines are timed")
    else:
        title = f"schaudt in Albumentations {albumentations.__version__}"
        rows[f"{title}, gray"] = lambda batch: one_by_one(batch, 1)
        rows[f"{title}, three channels"] = lambda batch: one_by_one(batch, 3)
    print(f"{platform.machine()}, torch {torch.__version__}; milliseconds for a batch of {options.batch}")
    print(f"{'':52}" + "".join(f"{side:>6} px" for side in options.sides))
    for name, prepare in rows.items():
        figures = [milliseconds(prepare(images[side]), options.repeat) for side in options.sides]
        print(f"{name:52}" + "".join(f"{figure:9.2f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
