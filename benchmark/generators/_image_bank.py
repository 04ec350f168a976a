"""Base of the generators that return real images, changed or unchanged."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmark.generators._base import BaseGenerator
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples
from benchmark.utils.draws import spread


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
        self.store(self.source(train, context), context)
        context.checkpoint(1, 1)

    def store(self, images: ImageSet, context: FitContext) -> None:
        """Store these images."""
        self.position = self.record(images, context)
        self.image, self.report = np.ascontiguousarray(images.image), images.reported_labels
        self.image_id = images.image_id.astype(str)

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Return stored images of the requested classes, all equally often, and changed.

        Raises:
            GeneratorError: a class or size that was not fitted.
        """
        drawn = self.drawn(request)
        images = self.change(self.image[drawn], np.random.default_rng([context.seed, 0]))
        labels = None if self.report is None else self.report[drawn]  # a copy has every class of its original
        return Samples(images, source_id=self.image_id[drawn], labels=labels)

    def drawn(self, request: SampleRequest) -> np.ndarray:
        """Return the (N,) position of each requested image among the stored ones."""
        return drawn_equally(self.position, self.class_index(request), request.index, self.seed)

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {"image": self.image, "position": self.position}
        return arrays if self.report is None else {**arrays, "report": self.report}

    def settings(self) -> dict[str, Any]:
        return {"image_id": self.image_id.tolist()}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        self.image, self.position, self.report = arrays["image"], arrays["position"], arrays.get("report")
        self.image_id = np.array(settings["image_id"])


def drawn_equally(position: np.ndarray, label: np.ndarray, index: np.ndarray, seed: int) -> np.ndarray:
    """Return the (N,) image of each request; all images of a class are drawn equally often.

    Args:
        position: (M,) class of each image.
        label: (N,) requested class.
        index: (N,) number of the request among those of its class.
    """
    drawn = np.empty(len(label), np.int64)
    for k in np.unique(label):
        members, rows = np.flatnonzero(position == k), label == k
        drawn[rows] = members[spread(len(members), index[rows], [seed, int(k)])]
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
