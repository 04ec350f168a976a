"""Control: near-copies of training images, which the memorization gate must catch."""

import numpy as np
from pydantic import BaseModel, Field

from benchmark.generators._image_bank import ImageBank

version = "1"

card = {
    "title": "Copycat: near-copies of training images",
    "role": "control",
    "description": "Each image is a training image of the class, moved by 1/32 of its side at most, "
    "slightly brighter or darker, with light noise. It stands for a generator that memorizes its patients.",
    "citation": "",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Limits of the changes; no paper gives them, they are the suite's own choice."""

    shift: float = Field(1 / 32, ge=0, le=0.1, description="largest per axis, share of the side; own choice")
    brightness: float = Field(0.02, ge=0, le=0.2, description="most added gray, of the range; own choice")
    contrast: float = Field(0.05, ge=0, le=0.5, description="largest relative change of contrast; own choice")
    noise: float = Field(0.01, ge=0, le=0.1, description="deviation, share of the range; own choice")


class Copycat(ImageBank):
    """Return training images, barely changed."""

    name = "copycat"
    params_type = Params

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift, brighten, add contrast and noise to (N, S, S) uint8 images; return float32 in [0, 1]."""
        from scipy import ndimage

        limit, side = self.params, images.shape[1]
        moved = np.empty(images.shape, dtype=np.float32)
        for image, out in zip(images, moved, strict=True):
            shift = rng.uniform(-limit.shift, limit.shift, 2) * side
            ndimage.shift(image.astype(np.float32) / 255, shift, output=out, order=1, mode="nearest")
        each = (len(images), 1, 1)
        mean = moved.mean((1, 2), keepdims=True)
        gain = 1 + rng.uniform(-limit.contrast, limit.contrast, each)
        moved = (moved - mean) * gain + mean + rng.uniform(-limit.brightness, limit.brightness, each)
        return np.clip(moved + rng.normal(0, limit.noise, moved.shape), 0, 1).astype(np.float32)


Generator = Copycat
