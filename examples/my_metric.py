"""Coverage: the share of real images with a synthetic image nearer than their k-th nearest real one."""

import numpy as np
from pydantic import BaseModel, Field
from scipy.spatial.distance import cdist

from benchmark.plugins.metric import Value

version = "1"  # raise it when a change of code changes results

card = {
    "title": "Coverage",
    "description": "Share of real images with a synthetic image nearer than their k-th nearest real image.",
    "citation": "Naeem et al. 2020, arXiv:2002.09797",
}


class Params(BaseModel, extra="forbid", frozen=True):
    k: int = Field(5, ge=1, description="nearest real neighbor; 5 in Naeem et al. 2020")


class Metric:
    needs = {"features"}
    direction = "maximize"
    sides = "matched"

    def __init__(self, params, device):
        self.k = params.k

    def measure(self, real, fake):
        among_real = np.sort(cdist(real.features, real.features), axis=1)  # the first is the image itself
        radius = among_real[:, min(self.k, len(real) - 1)]
        covered = cdist(real.features, fake.features).min(axis=1) < radius
        classes = {name: covered[real.label == k] for k, name in enumerate(real.classes)}
        return Value(
            value=float(covered.mean()),
            per_class={name: float(own.mean()) for name, own in classes.items() if len(own)},
        )
