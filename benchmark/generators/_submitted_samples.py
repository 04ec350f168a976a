"""Samples submitted without their generator; a run treats them like those of any other row."""

from typing import cast

import numpy as np
from pydantic import BaseModel, Field

from benchmark.engine.store import store_root
from benchmark.errors import GeneratorError
from benchmark.generators._image_bank import ImageBank
from benchmark.images.image_set import ImageSet
from benchmark.intake.samples import read_samples
from benchmark.plugins.contexts import BuiltinContext, FitContext, SampleContext
from benchmark.plugins.generator import SampleRequest, Samples

version = "1"

card = {
    "title": "Submitted samples",
    "role": "generator",
    "description": "Images made elsewhere, without their generator.",
    "citation": "",
    "license": "",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """The samples, by the hash of their content; they lie in the store."""

    content: str = Field(pattern="^[0-9a-f]{64}$")


class Submitted(ImageBank):
    """Return each submitted image once, in random order; there is nothing to fit."""

    name = "submitted"
    params_type = Params
    whole_chunks = False

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Read the images of this fold from the store, without a preview: there is no checkpoint to choose.

        Raises:
            SubmissionError: they are missing, or do not match their hash.
        """
        folds, fold = (
            read_samples(self.params.content, store_root()).folds,
            cast(BuiltinContext, context).fold,
        )
        if fold >= len(folds):
            raise GeneratorError(
                "generator 'submitted'", f"has no samples for fold {fold}", "Submit some per fold."
            )
        self.store(folds[fold].only(train.classes), context)

    def sample(self, request: SampleRequest, context: SampleContext) -> Samples:
        """Return images of the requested classes, none twice.

        Raises:
            GeneratorError: a class has fewer images than requested.
        """
        available = dict(zip(self.classes, np.bincount(self.position), strict=True))
        for k in np.unique(request.label):
            name, needed = request.classes[k], int(request.index[request.label == k].max()) + 1
            if needed > available.get(name, 0):
                raise GeneratorError(
                    "generator 'submitted'",
                    f"has {available.get(name, 0)} samples of '{name}', the request is for {needed}",
                    "Submit more; none is used twice.",
                )
        return super().sample(request, context)


Generator = Submitted
