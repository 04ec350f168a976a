"""Control: real images that nobody else has seen. The ceiling of what added images can give."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel

from benchmark.errors import GeneratorError
from benchmark.generators._bank import ImageBank
from benchmark.images.image_set import ImageSet
from benchmark.plugins.generator import FitContext

version = "1"

card = {
    "title": "Oracle: fresh real images",
    "role": "control",
    "description": "Images drawn from the true distribution: fresh draws of phantom data, or real images of "
    "patients kept aside. If this row does not beat the one without added images, the task measures nothing.",
    "citation": "",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Nothing to set."""


class Oracle(ImageBank):
    """Hands out the reserve: distinct images while they last, then again, with the repeats counted."""

    name: ClassVar[str] = "oracle"
    params_type: ClassVar[type[BaseModel]] = Params

    def source(self, train: ImageSet, context: FitContext) -> ImageSet:
        """The reserve.

        Raises:
            GeneratorError: there is no reserve, or it lacks a class that the training images have.
        """
        where, reserve = "generator 'oracle'", context.reserve
        if reserve is None:
            raise GeneratorError(where, "was given no reserve", "Set split.reserve in the task's source.")
        have = reserve.counts()
        for name, count in train.counts().items():
            if count and not have.get(name):
                raise GeneratorError(
                    where,
                    f"the reserve has no image of class '{name}'",
                    "Raise split.reserve, or drop the class.",
                )
        return reserve


Generator = Oracle
