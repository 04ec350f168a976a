"""Answer on phantoms: does a mask place the lesion, and does the lesion loss raise its overlap?

    python perf/lesion.py --seeds 3 --steps 600
    python perf/lesion.py --segmenter

Models with the same network, data and seeds: by label, by label and mask, the latter without the lesion loss.
A segmenter of other phantoms finds the lesions; the intervals are paired, over test requests and seeds.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.datasets.phantom import rare_lesion
from benchmark.generators import lesion_diffusion
from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import by_difference, overlap
from benchmark.metrics.segmenter import segmenter
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.stages.segment import held_out_dice

SIZE = 32
NETWORK: dict[str, Any] = {
    "channels": [32, 64], "layers": 1, "attention": 1, "groups": 8, "heads": 4, "modulation": "scale_shift",
    "unshuffle": 2, "prediction": "sample", "snr_gamma": 5, "learning_rate": 2e-3, "warmup": 50, "beta1": 0.9,
    "batch_size": 16, "average": 0.99, "denoising_steps": 20, "lesion_perceptual": 0, "text_width": 64,
}  # fmt: skip
ARMS: dict[str, dict[str, Any]] = {
    "label": {"conditions": ["label"]},
    "label+mask": {"conditions": ["label", "mask"]},
    "label+mask, no lesion loss": {"conditions": ["label", "mask"], "lesion_noise": 0, "lesion_ssim": 0},
}


class Context:
    """A fit's context without a store."""

    device, precision, scratch, classifier = "cpu", "float32", Path("."), None
    assets: dict[str, Path] = {}
    asset_hashes: dict[str, str] = {}
    should_stop = False

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def log(self, step: int, **scalars: float) -> None:
        """Ignore the curves."""

    def checkpoint(self, step: int, total: int, *, first: int = 0) -> None:
        """Draw no preview."""

    def load_state(self) -> None:
        """Start from the beginning."""

    def save_state(self, state: Any) -> None:
        """Save nothing."""


def phantoms(seed: int, positives: int, normals: int) -> ImageSet:
    """Draw the training part of a population into memory."""
    params = rare_lesion.Params(positives=positives, normals=normals, test_per_class=20, site_per_class=20)
    every = rare_lesion.images(
        params, classes=rare_lesion.CLASSES, image_size=SIZE, reserve_per_class=0, seed=seed
    )
    assert every.split is not None
    return drawn(every.select(np.flatnonzero(every.split == "train")))


def figures(
    images: ImageSet, wanted: ImageSet, params: dict[str, Any], seed: int, finder: Any, grid: Path | None
) -> dict[str, np.ndarray]:
    """Fit an arm, draw the requests, and return Dice and IoU of each image with its requested mask."""
    generator = lesion_diffusion.Generator(lesion_diffusion.Params(**NETWORK | params))
    generator.fit(images, Context(seed))  # type: ignore[arg-type]
    masked = "mask" in params["conditions"]
    request = SampleRequest(
        wanted.label, wanted.classes, SIZE, mask=np.asarray(wanted.mask[:]) if masked else None
    )
    images_drawn, twins = (
        generator.sample(request, SampleContext(seed=seed)).image,
        generator.twins(request, SampleContext(seed=seed)),
    )
    masks = np.asarray(wanted.mask[:])
    dice, iou = overlap(finder.find(images_drawn, wanted.label), masks)
    twin_dice, twin_iou = overlap(by_difference(images_drawn, twins), masks)
    if grid is not None:
        show(images_drawn, twins, masks, wanted.label, grid)
    return {"dice": dice, "iou": iou, "twin_dice": twin_dice, "twin_iou": twin_iou}


def show(drawn: np.ndarray, twins: np.ndarray, masks: np.ndarray, label: np.ndarray, path: Path) -> None:
    """Write six images of each class, their twins, and the outline of the requested mask in red."""
    from scipy import ndimage

    lines = []
    for k in np.unique(label):
        rows = np.flatnonzero(label == k)[:6]
        for images, outlined in ((drawn, True), (drawn, False), (twins, False)):
            cells = []
            for row in rows:
                cell = np.repeat(images[row].repeat(3, 0).repeat(3, 1)[..., None], 3, 2)
                inside = masks[row].repeat(3, 0).repeat(3, 1) > 0
                if outlined:
                    cell[inside & ~ndimage.binary_erosion(inside)] = (255, 0, 0)
                cells.append(cell)
            lines.append(np.concatenate(cells, 1))
    Image.fromarray(np.concatenate(lines)).save(path)


def parts(every: ImageSet, lesions: int, normals: int, after: tuple[int, int] = (0, 0)) -> ImageSet:
    """Return images of every class, the first of the training part after some others; drawn into memory."""
    rows = []
    for k, name in enumerate(every.classes):
        own = np.flatnonzero((every.label == k) & (every.split == "train"))
        count, skipped = (normals, after[1]) if name == rare_lesion.NORMAL else (lesions, after[0])
        rows.append(own[skipped : skipped + count])
    return drawn(every.select(np.concatenate(rows)))


def drawn(images: ImageSet) -> ImageSet:
    """Return images with all pixels in memory."""
    return replace(images, image=np.asarray(images.image[:]), mask=np.asarray(images.mask[:]))


def segmenter_alone() -> None:
    """Print the Dice of the segmenter and of the mean mask on phantoms of another population, by class.

    It learns from 50 lesions of each class, as in the task's demo, and 50 others choose the thresholds.
    """
    shared: dict[str, Any] = {"classes": rare_lesion.CLASSES, "image_size": SIZE, "reserve_per_class": 0}
    sizes = {"site_per_class": 20, "test_per_class": 20}
    known = rare_lesion.images(rare_lesion.Params(positives=250, normals=1100, **sizes), seed=2, **shared)
    learned, val = parts(known, 50, 320), parts(known, 50, 60, after=(50, 320))
    sizes["test_per_class"] = 80
    other = rare_lesion.images(rare_lesion.Params(positives=60, normals=400, **sizes), seed=1, **shared)
    assert other.split is not None
    assert other.site is not None
    test = drawn(other.select(np.flatnonzero((other.split == "test") & (other.site == rare_lesion.HOME))))
    trained = segmenter.train(learned, 0, "cpu").calibrated(val)
    dice = held_out_dice(trained.find(test.image, test.label), segmenter.mean_mask(learned), test)
    pixels = (test.mask > 127).sum((1, 2))
    for name, own in dice.items():
        areas = np.quantile(pixels[test.label == test.classes.index(name)], [0.25, 0.5, 0.75])
        print(json.dumps({"class": name, "pixels, quartiles": areas.tolist(), **own.model_dump()}))


def interval(difference: np.ndarray) -> list[float]:
    """Return the 95 % bootstrap interval of the mean over seeds and requests, both resampled; (S, N)."""
    rng = np.random.default_rng(0)
    seeds, n = difference.shape
    means = [
        difference[rng.integers(seeds, size=seeds)][:, rng.integers(n, size=n)].mean() for _ in range(4000)
    ]
    return np.quantile(means, [0.025, 0.975]).round(4).tolist()


def main() -> None:
    """Print the mean figures of each arm and the paired differences as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--positives", type=int, default=60)
    parser.add_argument("--grids", type=Path)
    parser.add_argument("--segmenter", action="store_true", help="measure the segmenter alone")
    args = parser.parse_args()
    if args.segmenter:
        segmenter_alone()
        return
    finder = segmenter.train(phantoms(900, 150, 300), 0, "cpu").calibrated(phantoms(901, 30, 200))
    images, held_out = phantoms(1, args.positives, 300), phantoms(2, 20, 200)
    wanted = held_out.select(
        np.flatnonzero(
            [label > 0 and mask.any() for label, mask in zip(held_out.label, held_out.mask[:], strict=True)]
        )
    )
    dice, iou = overlap(finder.find(wanted.image[:], wanted.label), wanted.mask[:])
    by_class = {
        wanted.classes[k]: round(float(dice[wanted.label == k].mean()), 3) for k in np.unique(wanted.label)
    }
    real = {"dice": dice.mean(), "iou": iou.mean(), "dice by class": by_class, "n": len(wanted)}
    print(json.dumps({"real": real}), flush=True)
    results: dict[str, list[dict[str, np.ndarray]]] = {}
    for seed in range(args.seeds):
        for name, params in ARMS.items():
            grid = args.grids / f"{name.replace(' ', '_')}-{seed}.png" if args.grids else None
            own = figures(images, wanted, {**params, "steps": args.steps}, seed, finder, grid)
            results.setdefault(name, []).append(own)
            print(
                json.dumps(
                    {"arm": name, "seed": seed, **{k: round(float(v.mean()), 4) for k, v in own.items()}}
                ),
                flush=True,
            )
    for other in ("label", "label+mask, no lesion loss"):
        for figure in ("iou", "twin_iou"):
            a, b = (np.stack([own[figure] for own in results[name]]) for name in ("label+mask", other))
            print(
                json.dumps(
                    {
                        "label+mask minus": other,
                        "figure": figure,
                        "mean": round(float((a - b).mean()), 4),
                        "interval": interval(a - b),
                    }
                )
            )


if __name__ == "__main__":
    main()
