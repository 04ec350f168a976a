"""A generator that draws the public test patients, whose seed and simulator anybody has."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel

from benchmark.datasets.phantom import chest
from benchmark.plugins.generator import Samples

version = "1"
card = {"title": "Test patients", "role": "generator", "description": "", "citation": "", "license": ""}


class Params(BaseModel, extra="forbid", frozen=True):
    """Size of the public test."""

    test_per_class: int = 24


class Generator:
    """Draw test patients of the requested class."""

    conditions = {"label"}

    def __init__(self, params):
        self.params = params

    def fit(self, train, context):
        context.checkpoint(1, 1)

    def sample(self, request, context):
        rng, classes = np.random.default_rng(context.seed), len(request.classes)
        drawn = [
            chest.draw(
                request.classes[k],
                seed=0,
                index=chest.FRESH_TEST + int(k) + classes * int(rng.integers(self.params.test_per_class)),
                size=request.image_size,
            ).image
            for k in request.label
        ]
        return Samples(np.stack(drawn))

    def save(self, folder):
        (folder / "nothing.txt").write_text("")

    @classmethod
    def load(cls, folder, context):
        return cls(Params())
