"""A Gaussian per class in the space of its principal components: a complete model in one short file."""

import json

import numpy as np
from pydantic import BaseModel, Field
from safetensors.numpy import load_file, save_file

from benchmark.errors import GeneratorError
from benchmark.plugins.generator import Samples

version = "1"  # raise it when a change of code changes results

card = {
    "title": "Gaussian in principal components",
    "role": "generator",
    "description": "Mean and principal components of each class; coordinates are drawn from a normal law.",
    "citation": "Tipping and Bishop 1999, doi:10.1111/1467-9868.00196",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    components: int = Field(30, ge=1, description="per class at most; demo size")
    spread: float = Field(1.0, gt=0, description="factor of the standard deviations; 1 is the model itself")


def search_space(trial):
    """Suggest fields of Params for `tune`, from an Optuna trial."""
    return {
        "components": trial.suggest_int("components", 5, 100, log=True),
        "spread": trial.suggest_float("spread", 0.7, 1.1),
    }


class MyGenerator:
    conditions = {"label"}

    def __init__(self, params):
        self.params = params

    def fit(self, train, context):
        self.size, self.models = train.size, {}
        for k in np.unique(train.label):
            x = train.image[train.label == k].reshape(-1, train.size**2) / 255.0
            mean = x.mean(0)
            _, scale, axes = np.linalg.svd(x - mean, full_matrices=False)
            n = self.params.components
            axes = axes[:n] * scale[:n, None] / np.sqrt(max(len(x) - 1, 1))
            self.models[train.classes[k]] = {"mean": mean, "axes": axes}
        context.checkpoint(1, 1)

    def sample(self, request, context):
        rng = np.random.default_rng(context.seed)
        images = np.empty((len(request), self.size, self.size))
        for out, k in zip(images, request.label, strict=True):
            name = request.classes[k]
            if name not in self.models:
                raise GeneratorError(
                    "my_generator", f"was not fitted on class '{name}'", "Fit it on that class."
                )
            mean, axes = self.models[name]["mean"], self.models[name]["axes"]
            draw = mean + self.params.spread * rng.normal(size=len(axes)) @ axes
            out[:] = draw.clip(0, 1).reshape(self.size, self.size)
        return Samples(images)

    def save(self, folder):
        names = list(self.models)
        tensors = {f"{i}.{part}": a for i, c in enumerate(names) for part, a in self.models[c].items()}
        save_file(tensors, folder / "model.safetensors")
        meta = {"params": self.params.model_dump(), "size": self.size, "classes": names}
        (folder / "model.json").write_text(json.dumps(meta))

    @classmethod
    def load(cls, folder, context):
        meta, tensors = (
            json.loads((folder / "model.json").read_text()),
            load_file(folder / "model.safetensors"),
        )
        model = cls(Params(**meta["params"]))
        model.size = meta["size"]
        model.models = {
            c: {p: tensors[f"{i}.{p}"] for p in ("mean", "axes")} for i, c in enumerate(meta["classes"])
        }
        return model


Generator = MyGenerator
