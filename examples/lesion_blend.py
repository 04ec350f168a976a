"""Blend lesion textures of a base checkpoint into one deformed patient image: every part of the contract."""

import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field
from safetensors.numpy import load_file, save_file
from scipy import ndimage

from benchmark.plugins.generator import Asset, Samples

version = "1"

card = {
    "title": "Lesions blended into one image",
    "role": "generator",
    "description": "One training image, smoothly deformed; a texture of the base checkpoint in the mask.",
    "citation": "",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    base: Path = Field(Path("lesion_textures"), description="folder of the base checkpoint")
    warp: float = Field(0.03, ge=0, description="largest shift, share of the side; own choice")


def assets(params):
    """Base checkpoints: the suite hashes them when it plans a run, and refuses a missing one."""
    return (Asset("textures", folder=params.base),)


class LesionBlend:
    conditions = {"label", "mask", "prompt"}
    fit_unit = "per_image"

    def __init__(self, params):
        self.warp = params.warp

    def fit(self, train, context):
        self.image, self.source = np.array(train.image[0]), str(train.image_id[0])
        self.base = context.asset_hashes["textures"]
        textures = load_file(context.assets["textures"] / "textures.safetensors")["textures"]
        error = [np.abs(texture.std() - self.image.std()) for texture in textures]
        self.chosen = int(np.argmin(error))
        context.log(1, texture_error=min(error))
        context.checkpoint(1, 1)

    def sample(self, request, context):
        textures = load_file(context.assets["textures"] / "textures.safetensors")["textures"]
        rng, side = np.random.default_rng(context.seed), request.image_size
        texture = np.resize(textures[self.chosen], (side, side)) / 255
        images = np.empty((len(request), side, side))
        for i, (mask, prompt) in enumerate(zip(request.mask, request.prompt, strict=True)):
            shift = ndimage.gaussian_filter(rng.normal(size=(2, side, side)), (0, side / 8, side / 8))
            shift *= self.warp * side / np.abs(shift).max()
            places = np.indices((side, side)) + shift
            body = ndimage.map_coordinates(self.image / 255, places, order=1, mode="nearest")
            alpha = (0.6 if "large" in prompt else 0.3) * ndimage.gaussian_filter(mask / 255, side / 32)
            images[i] = (1 - alpha) * body + alpha * texture
        return Samples(
            images.clip(0, 1), mask=np.asarray(request.mask), source_id=np.full(len(request), self.source)
        )

    def save(self, folder):
        # what was learned beside the base: a difference that names its hash
        save_file({"image": self.image}, folder / "image.safetensors")
        meta = {"warp": self.warp, "source": self.source, "chosen": self.chosen, "base": self.base}
        (folder / "model.json").write_text(json.dumps(meta))

    @classmethod
    def load(cls, folder, context):
        meta = json.loads((folder / "model.json").read_text())
        if meta["base"] != context.asset_hashes["textures"]:
            raise ValueError("the base checkpoint is another one")
        model = cls(Params(warp=meta["warp"]))
        model.source, model.chosen, model.base = meta["source"], meta["chosen"], meta["base"]
        model.image = load_file(folder / "image.safetensors")["image"]
        return model


Generator = LesionBlend
