"""Base of the generators that return real images, changed or unchanged."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.generators._base import BaseGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext, SampleRequest, synthetic_set


class ImageBank(BaseGenerator):
    """Store images and return them by class; a subclass chooses the images and changes them."""

    report: np.ndarray | None = None

    def source(self, train: ImageSet, context: FitContext) -> ImageSet:
        """Return the images to store."""
        return train

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change (N, S, S) uint8 images; return uint8, or float in [0, 1]."""
        return images

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Store the images; there is nothing to train.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        self.store(self.source(train, context))
        context.report(1, 1, lambda request, seed: self.sample(request, seed=seed))

    def store(self, images: ImageSet) -> None:
        """Store these images."""
        self.position = self.record_classes(images)
        self.image, self.report = np.ascontiguousarray(images.image), images.reported_labels

    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Draw images of the requested classes; the card counts the repeated ones.

        Raises:
            GeneratorError: a class or size that was not fitted.
        """
        requested = self.class_index(request)
        rng = np.random.default_rng([seed, 0])
        drawn = draw_evenly(self.position, requested, rng)
        images = synthetic_set(self.change(self.image[drawn], rng), request, generator=self.name)
        repeats = len(drawn) - len(np.unique(drawn))
        if self.report is not None:  # a copy has every class of its original
            images = replace(images, reported_labels=self.report[drawn])
        return replace(images, card={"generator": self.name, "repeated_source_images": repeats})

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {"image": self.image, "position": self.position}
        return arrays if self.report is None else {**arrays, "report": self.report}

    def restore(self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
        self.image, self.position, self.report = arrays["image"], arrays["position"], arrays.get("report")


def draw_evenly(pool: np.ndarray, requested: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a member of the pool for every requested class, all members equally often, in random order.

    Args:
        pool: (M,) class of every member.
        requested: (N,) classes, each present in the pool.
    Returns:
        (N,) positions in the pool. Within a class, no member repeats before every member has been drawn.
    """
    drawn = np.empty(len(requested), dtype=np.int64)
    for label in np.unique(requested):
        members, places = np.flatnonzero(pool == label), np.flatnonzero(requested == label)
        rounds = -(-len(places) // len(members))
        order = np.concatenate([rng.permutation(members) for _ in range(rounds)])
        drawn[places] = order[: len(places)]
    return drawn


def change_each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change (N, S, S) uint8 images one by one, as floats in [0, 1]; return float32, clipped to [0, 1]."""
    changed = np.empty(images.shape, dtype=np.float32)
    for image, out in zip(images, changed, strict=True):
        out[:] = np.clip(change(image.astype(np.float32) / 255), 0, 1)
    return changed


def affine(
    image: np.ndarray, matrix: np.ndarray, border: str, shift: np.ndarray | tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Resample an image bilinearly, by a matrix (row, column) about its center after a shift in pixels.

    Args:
        matrix: (2, 2), from places of the result to places of the image.
        border: a ``mode`` of ``scipy.ndimage.affine_transform``.
    """
    from scipy import ndimage

    center = (np.array(image.shape) - 1) / 2
    offset = center - matrix @ (center + shift)
    return ndimage.affine_transform(image, matrix, offset, order=1, mode=border)


def rotation_matrix(degrees: float) -> np.ndarray:
    """Return the (2, 2) matrix of a rotation."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
