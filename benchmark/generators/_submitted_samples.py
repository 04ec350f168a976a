"""Samples submitted without their generator; a run treats them like those of any other row."""

import numpy as np
from pydantic import BaseModel, Field

from benchmark.engine.store import store_root
from benchmark.errors import GeneratorError
from benchmark.generators._image_bank import ImageBank
from benchmark.images.image_set import ImageSet
from benchmark.intake.samples import read_samples
from benchmark.plugins.generator import FitContext, SampleRequest

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

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Read the images of this fold from the store, without a preview: there is no checkpoint to choose.

        Raises:
            SubmissionError: they are missing, or do not match their hash.
        """
        folds = read_samples(self.params.content, store_root()).folds
        if context.fold >= len(folds):
            raise GeneratorError(
                "generator 'submitted'",
                f"has no samples for fold {context.fold}",
                "Submit some per fold.",
            )
        self.store(folds[context.fold].only(train.classes))
        context.report(1, 1)

    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Draw images of the requested classes, none twice.

        Raises:
            GeneratorError: a class has fewer images than requested.
        """
        available = dict(zip(self.classes, np.bincount(self.position), strict=True))
        for k, count in enumerate(np.bincount(request.label)):
            name = request.classes[k]
            if count > available.get(name, 0):
                raise GeneratorError(
                    "generator 'submitted'",
                    f"has {available.get(name, 0)} samples of '{name}', the request is for {count}",
                    "Submit more; none is used twice.",
                )
        return super().sample(request, seed=seed)


Generator = Submitted
