"""The eight operations of Lan 2023, section 4.4, each on an image with probability 0.5 (section 4.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmark.classifiers.augment import tone, warp
from benchmark.classifiers.augment.draws import changed, coin, uniform
from benchmark.classifiers.augment.kernels import gaussian_blur

if TYPE_CHECKING:
    from torch import Generator, Tensor

WIDTH, HEIGHT = 389, 320  # pixels of the thesis's images, section 4.3: what its lengths are relative to
PROBABILITY = 0.5  # of each operation, section 4.5
PEPPER = 0.05  # share of pixels; the thesis gives none: the default of skimage.util.random_noise


def rotation(batch: Tensor, rng: Generator) -> Tensor:
    """By up to 90 degrees either way; the border repeats the edge."""
    return warp.rotate(batch, uniform(len(batch), -90, 90, rng), "edge")


def flipping(batch: Tensor, rng: Generator) -> Tensor:
    """Upside down, or left to right, each as likely."""
    upside = coin(len(batch), 0.5, rng)
    turned = changed(batch, upside, lambda images, rows: warp.flip(images, "down"))
    return changed(turned, ~upside, lambda images, rows: warp.flip(images, "across"))


def translation(batch: Tensor, rng: Generator) -> Tensor:
    """By up to a fifth of width and height; the border is black."""
    return warp.translate(batch, uniform(2 * len(batch), -0.2, 0.2, rng).view(-1, 2), "black")


def shearing(batch: Tensor, rng: Generator) -> Tensor:
    """By a whole number of half degrees from 0 to 15 degrees; the border repeats the edge."""
    return warp.shear(batch, uniform(len(batch), 0, 31, rng).floor() / 2, "edge")


def cropping(batch: Tensor, rng: Generator) -> Tensor:
    """A random window of 256 of the thesis's 389 by 320 pixels, enlarged to the size that all images have."""
    start = uniform(2 * len(batch), 0, 1, rng).view(-1, 2)
    return warp.crop(batch, (256 / WIDTH, 256 / HEIGHT), start)


def noise(batch: Tensor, rng: Generator) -> Tensor:
    """Gaussian of variance 0.5, times up to 30 gray levels of 255; or black pixels, as likely."""
    gaussian = coin(len(batch), 0.5, rng)

    def add(images: Tensor, rows: Tensor) -> Tensor:
        import torch

        field = torch.randn(images.shape, generator=rng) * 0.5**0.5
        return tone.add(images, field, uniform(len(rows), 0, 30 / 255, rng))

    def blacken(images: Tensor, rows: Tensor) -> Tensor:
        import torch

        return tone.blacken(images, torch.rand(images.shape, generator=rng) < PEPPER)

    return changed(changed(batch, gaussian, add), ~gaussian, blacken)


def blurring(batch: Tensor, rng: Generator) -> Tensor:
    """A Gaussian of deviation 10 on 11 by 11 pixels, at the scale of the image."""
    return gaussian_blur(batch, 11, 10.0, batch.shape[-2] / HEIGHT)


def coloring(batch: Tensor, rng: Generator) -> Tensor:
    """Brightness, then contrast about the mean, each up to doubled."""
    n = len(batch)
    return tone.contrast(tone.brightness(batch, uniform(n, 1, 2, rng)), uniform(n, 1, 2, rng))


Step = Callable[["Tensor", "Generator"], "Tensor"]
# In the order in which they are applied, which the thesis does not give: geometry first.
OPERATIONS: tuple[Step, ...] = (
    rotation,
    flipping,
    translation,
    shearing,
    cropping,
    noise,
    blurring,
    coloring,
)
# What the thesis composed at the end, section 5.4.
KEPT: tuple[Step, ...] = (rotation, flipping, shearing, noise, blurring)


def _with(operation: Step, rng: Generator) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, rows: operation(images, rng)


def pipeline(operations: tuple[Step, ...]) -> Step:
    """One operation after the other, each on the images that its coins choose.

    The pipeline takes a batch (N, 1, H, W) float in [0, 1] and a CPU generator, the only source of
    randomness, and returns (N, 1, H, W) float in [0, 1].
    """

    def apply(batch: Tensor, rng: Generator) -> Tensor:
        for operation in operations:
            chosen = coin(len(batch), PROBABILITY, rng)
            batch = changed(batch, chosen, _with(operation, rng))
        return batch

    return apply


PIPELINES: dict[str, Step] = {
    **{f"lan_{operation.__name__}": pipeline((operation,)) for operation in OPERATIONS},
    "lan_all": pipeline(OPERATIONS),
    "lan": pipeline(KEPT),
}
