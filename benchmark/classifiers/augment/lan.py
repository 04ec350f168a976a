"""The eight operations of Lan 2023, section 4.4, each on an image with probability 0.5 (section 4.5)."""

import torch
from torch import Generator, Tensor

from benchmark.classifiers.augment import tone, warp
from benchmark.classifiers.augment.draws import Pipeline, changed, coin, uniform
from benchmark.classifiers.augment.kernels import convolve, gaussian

WIDTH, HEIGHT = 389, 320  # pixels of the thesis's images, section 4.3; its lengths are relative to them
PROBABILITY = 0.5  # of each operation, section 4.5
PEPPER = 0.05  # share of pixels; the thesis gives none: the default of skimage.util.random_noise


def rotation(batch: Tensor, rng: Generator) -> Tensor:
    """Rotate by up to 90 degrees either way; the border repeats the edge."""
    return warp.rotate(batch, uniform(len(batch), -90, 90, rng), "edge")


def flipping(batch: Tensor, rng: Generator) -> Tensor:
    """Flip upside down, or left to right, with equal probability."""
    upside = coin(len(batch), 0.5, rng)
    return changed(changed(batch, upside, warp.flip_down), ~upside, warp.flip_across)


def translation(batch: Tensor, rng: Generator) -> Tensor:
    """Shift by up to a fifth of width and height; the border is black."""
    return warp.translate(batch, uniform(2 * len(batch), -0.2, 0.2, rng).view(-1, 2), "black")


def shearing(batch: Tensor, rng: Generator) -> Tensor:
    """Shear by a whole number of half degrees from 0 to 15 degrees; the border repeats the edge."""
    return warp.shear(batch, uniform(len(batch), 0, 31, rng).floor() / 2, "edge")


def cropping(batch: Tensor, rng: Generator) -> Tensor:
    """Enlarge a random window of 256 of the thesis's 389 by 320 pixels to the size of all images."""
    start = uniform(2 * len(batch), 0, 1, rng).view(-1, 2)
    return warp.crop(batch, (256 / WIDTH, 256 / HEIGHT), start)


def noise(batch: Tensor, rng: Generator) -> Tensor:
    """Add Gaussian noise of variance 0.5 times up to 30 gray levels of 255; or blacken pixels, as likely."""
    gaussian = coin(len(batch), 0.5, rng)

    def add(images: Tensor, rows: Tensor) -> Tensor:
        field = torch.randn(images.shape, generator=rng) * 0.5**0.5
        return tone.add(images, field, uniform(len(rows), 0, 30 / 255, rng))

    def blacken(images: Tensor, rows: Tensor) -> Tensor:
        return tone.blacken(images, torch.rand(images.shape, generator=rng) < PEPPER)

    return changed(changed(batch, gaussian, add), ~gaussian, blacken)


def blurring(batch: Tensor, rng: Generator) -> Tensor:
    """Blur by a Gaussian of deviation 10 on 11 by 11 pixels, at the scale of the image."""
    return convolve(batch, gaussian(11, 10.0).expand(len(batch), -1, -1), batch.shape[-2] / HEIGHT)


def coloring(batch: Tensor, rng: Generator) -> Tensor:
    """Raise brightness, then contrast about the mean, each up to doubled."""
    n = len(batch)
    return tone.contrast(tone.brightness(batch, uniform(n, 1, 2, rng)), uniform(n, 1, 2, rng))


# In the order of application, which the thesis does not give: geometry first.
OPERATIONS: tuple[Pipeline, ...] = (
    rotation, flipping, translation, shearing, cropping, noise, blurring, coloring,
)  # fmt: skip
# The final combination of the thesis, section 5.4.
FINAL: tuple[Pipeline, ...] = (rotation, flipping, shearing, noise, blurring)


def pipeline(operations: tuple[Pipeline, ...]) -> Pipeline:
    """Return a pipeline of one operation after the other, each on images that a coin chooses."""

    def apply(batch: Tensor, rng: Generator) -> Tensor:
        for operation in operations:
            batch = _sometimes(operation, batch, rng)
        return batch

    return apply


def _sometimes(operation: Pipeline, batch: Tensor, rng: Generator) -> Tensor:
    chosen = coin(len(batch), PROBABILITY, rng)
    return changed(batch, chosen, lambda images, rows: operation(images, rng))


PIPELINES: dict[str, Pipeline] = {
    **{f"lan_{operation.__name__}": pipeline((operation,)) for operation in OPERATIONS},
    "lan_all": pipeline(OPERATIONS),
    "lan": pipeline(FINAL),
}
