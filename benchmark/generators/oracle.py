"""Control: unseen real images, the upper bound of the gain from added images."""

from typing import cast

from benchmark.errors import GeneratorError
from benchmark.generators._base import NoParams
from benchmark.generators._image_bank import ImageBank
from benchmark.images.image_set import ImageSet
from benchmark.plugins.contexts import BuiltinContext, FitContext

version = "1"

card = {
    "title": "Oracle: fresh real images",
    "role": "control",
    "description": "Images drawn from the true distribution: fresh draws of phantom data, or real images of "
    "reserved patients. If this row does not beat the one without added images, the task measures nothing.",
    "citation": "",
    "license": "Apache-2.0",
}

Params = NoParams


class Oracle(ImageBank):
    """Return images of the reserve: distinct ones first, then repeats, which the card counts."""

    name = "oracle"

    def source(self, train: ImageSet, context: FitContext) -> ImageSet:
        """Return the reserve.

        Raises:
            GeneratorError: there is no reserve, or it lacks a class of the training images.
        """
        where, reserve = "generator 'oracle'", cast(BuiltinContext, context).reserve
        if reserve is None:
            raise GeneratorError(where, "got no reserve", "Set split.reserve in the task's source.")
        available = reserve.counts()
        for name, count in train.counts().items():
            if count and not available.get(name):
                raise GeneratorError(
                    where,
                    f"the reserve has no image of class '{name}'",
                    "Raise split.reserve, or drop the class.",
                )
        return reserve


Generator = Oracle
