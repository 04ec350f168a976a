"""Control: a plausible histogram and spectrum without anatomy, which must rank at the bottom."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.generators._base import BaseGenerator, NoParams
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

version = "1"

card = {
    "title": "Noise: no anatomy",
    "role": "control",
    "description": "Gaussian random fields with the mean spectrum of the training images and random phase, "
    "each given the histogram of a training image of any class: they carry no label.",
    "citation": "",
    "license": "Apache-2.0",
}

Params = NoParams


class Noise(BaseGenerator):
    """Draw random fields with the spectrum and the histograms of the training images, all classes pooled."""

    name = "noise"

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Measure the mean spectrum, and store the sorted gray values of every image.

        All classes weigh the same, so that neither spectrum nor histogram shows the mixture of classes.

        Raises:
            GeneratorError: there are no images, or they are not square.
        """
        position = self.record(train, context)
        count = np.bincount(position)
        self.weight = 1 / (count[position] * len(count))
        self.histogram = np.sort(np.asarray(train.image).reshape(len(train), -1), axis=1)
        power = np.zeros((self.image_size, self.image_size))
        for image, weight in zip(train.image, self.weight, strict=True):
            power += weight * np.abs(np.fft.fft2(image - image.mean())) ** 2
        self.amplitude = np.sqrt(power)
        context.checkpoint(1, 1)

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Draw fields that do not depend on the label.

        Raises:
            GeneratorError: a class or size that was not fitted.
        """
        self.class_index(request)
        rng = np.random.default_rng([context.seed, 1])
        images = np.empty((len(request), self.image_size, self.image_size), dtype=np.uint8)
        for out in images:
            field = np.fft.ifft2(np.fft.fft2(rng.normal(size=out.shape)) * self.amplitude).real
            histogram = self.histogram[rng.choice(len(self.histogram), p=self.weight)]
            # the darkest pixel of the field gets the darkest gray of the image, and so on
            out.reshape(-1)[np.argsort(field, axis=None)] = histogram
        return Samples(images)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"amplitude": self.amplitude, "histogram": self.histogram, "weight": self.weight}

    def restore(
        self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any], context: SampleContext
    ) -> None:
        self.amplitude, self.histogram, self.weight = (
            arrays[k] for k in ("amplitude", "histogram", "weight")
        )


Generator = Noise
