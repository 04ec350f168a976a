"""Samples that were handed in without their generator; they enter a run like those of any other row."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from benchmark.engine.store import store_root
from benchmark.errors import GeneratorError
from benchmark.generators._bank import ImageBank
from benchmark.images.image_set import ImageSet
from benchmark.intake.samples import read_samples
from benchmark.plugins.generator import FitContext, SampleRequest

version = "1"

card = {
    "title": "Submitted samples",
    "role": "generator",
    "description": "Images that were made elsewhere.",
    "citation": "",
    "license": "",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Which samples: they lie in the store under the hash of their content."""

    content: str = Field(pattern="^[0-9a-f]{64}$")


class Submitted(ImageBank):
    """Hands out each submitted image once, in random order; there is nothing to fit."""

    name: ClassVar[str] = "submitted"
    params_type: ClassVar[type[BaseModel]] = Params

    def fit(self, train: ImageSet, context: FitContext) -> None:
        """Take the images of this fold from the store; no preview is drawn, since there is no choice.

        Raises:
            SubmissionError: they are not there, or are not what their hash says.
        """
        folds = read_samples(self.params.content, store_root()).folds
        if context.fold >= len(folds):
            raise GeneratorError(
                "generator 'submitted'", f"has no samples for fold {context.fold}", "Hand in some for each."
            )
        self.hold(folds[context.fold].only(train.classes))
        context.report(1, 1)

    def sample(self, request: SampleRequest, *, seed: int) -> ImageSet:
        """Images of the requested classes, none twice.

        Raises:
            GeneratorError: a class has fewer than are requested.
        """
        have = dict(zip(self.classes, np.bincount(self.position), strict=True))
        for k, count in enumerate(np.bincount(request.label, minlength=len(request.classes))):
            if count > have.get(request.classes[k], 0):
                name = request.classes[k]
                raise GeneratorError(
                    "generator 'submitted'",
                    f"has {have.get(name, 0)} samples of '{name}', {count} are asked for",
                    "Hand in more; none is used twice.",
                )
        return super().sample(request, seed=seed)


Generator = Submitted
