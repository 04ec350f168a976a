"""Control: a plausible histogram and spectrum without anatomy. Must rank at the bottom."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel

from benchmark.generators._store import (
    class_positions,
    load_folder,
    requested_positions,
    save_folder,
    square_size,
    trained_classes,
)
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext, SampleRequest, synthetic_set

version = "1"

card = {
    "title": "Noise: no anatomy",
    "role": "control",
    "description": "Gaussian random fields with the mean spectrum of the training images and random phase, "
    "each given the histogram of a training image of any class: they carry no label.",
    "citation": "",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Nothing to set."""


class Noise:
    """Random fields with the spectrum and the histograms of the training images, all classes pooled."""

    conditions: ClassVar[set[str]] = {"label"}

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Measure the mean spectrum and keep the sorted gray values of every image.

        Every class counts the same, so that the mixture of classes shows neither in spectrum nor histogram.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        self.image_size, self.classes = square_size(train, "noise"), trained_classes(train)
        position = class_positions(train)
        count = np.bincount(position)
        self.weight = 1 / (count[position] * len(count))
        flat = np.asarray(train.image).reshape(len(train), -1)
        self.histogram = np.sort(flat, axis=1)
        power = np.zeros((self.image_size, self.image_size))
        for image, weight in zip(train.image, self.weight, strict=True):
            power += weight * np.abs(np.fft.fft2(image - image.mean())) ** 2
        self.amplitude = np.sqrt(power)
        context.report(1, 1, lambda request, seed: self.sample(request, seed=seed))

    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Fields that do not depend on the label.

        Raises:
            GeneratorError: a class or size that it was not fitted on.
        """
        requested_positions(request, self.classes, self.image_size, "noise")
        rng = np.random.default_rng([seed, 1])
        images = np.empty((len(request.label), self.image_size, self.image_size), dtype=np.uint8)
        for out in images:
            field = np.fft.ifft2(np.fft.fft2(rng.normal(size=out.shape)) * self.amplitude).real
            histogram = self.histogram[rng.choice(len(self.histogram), p=self.weight)]
            # the darkest pixel of the field gets the darkest gray of the image, and so on
            out.reshape(-1)[np.argsort(field, axis=None)] = histogram
        return synthetic_set(images, request, generator="noise")

    def save(self, folder: Path) -> None:
        """Write the spectrum and histograms."""
        tensors = {"amplitude": self.amplitude, "histogram": self.histogram, "weight": self.weight}
        meta = {"generator": "noise", "classes": list(self.classes), "image_size": self.image_size}
        save_folder(Path(folder), tensors, meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The generator that ``save`` wrote.

        Raises:
            GeneratorError: the folder cannot be read.
        """
        tensors, meta = load_folder(Path(folder), "noise")
        noise = cls(Params())
        noise.classes, noise.image_size = tuple(meta["classes"]), int(meta["image_size"])
        noise.amplitude, noise.histogram = tensors["amplitude"], tensors["histogram"]
        noise.weight = tensors["weight"]
        return noise


Generator = Noise
