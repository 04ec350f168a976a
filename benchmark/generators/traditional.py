"""Control: classical augmentation of real training images, the gain to be had without a generator."""

import numpy as np
from pydantic import BaseModel, Field

from benchmark.generators._image_bank import ImageBank, affine, change_each, rotation_matrix

version = "1"

TABLE = "Schaudt et al. 2023, Table 4"
TABLE_SIDE = 224  # the table's blur lengths are pixels of images of this side

card = {
    "title": "Classical augmentation",
    "role": "control",
    "description": "Training images of the class, moved, scaled, turned, brightened, blurred within the "
    f"limits of {TABLE}. No flips: the heart lies on the left. CLAHE is left out, and hue and saturation, "
    "which gray images lack.",
    "citation": "Schaudt et al. 2023, Bioengineering 10, 1421: augmentation pipeline of Table 4",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """Limits of the changes."""

    shift: float = Field(0.1, ge=0, le=0.5, description=f"share of the side; {TABLE}, shift_limit")
    scale: float = Field(0.5, ge=0, lt=1, description=f"relative; {TABLE}, scale_limit")
    rotate: float = Field(10.0, ge=0, le=180, description=f"degrees; {TABLE}, rotate_limit")
    brightness: float = Field(0.2, ge=0, le=1, description=f"of the full range; {TABLE}, brightness_limit")
    contrast: float = Field(0.2, ge=0, lt=1, description=f"relative; {TABLE}, contrast_limit")
    gamma: float = Field(0.2, ge=0, lt=1, description=f"relative; {TABLE}, gamma_limit (80, 120) percent")
    sharpen: tuple[float, float] = Field((0.2, 0.5), description=f"weight of the sharp image; {TABLE}, alpha")
    blur: tuple[int, int] = Field((3, 7), description=f"width in pixels at 224 px; {TABLE}, blur_limit")
    probability: float = Field(0.9, ge=0, le=1, description=f"of each group of changes; {TABLE}")


class Traditional(ImageBank):
    """Return training images, changed by classical augmentation."""

    name = "traditional"
    params_type = Params

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change every (S, S) uint8 image by its own draws; return (N, S, S) float32 in [0, 1]."""
        return change_each(images, lambda image: self._change_one(image, rng))

    def _change_one(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        image = self._affine(image, rng)
        if rng.random() < self.params.probability:
            image = self._tone(image, rng, gamma=rng.random() < 0.5)
        if rng.random() < self.params.probability:
            image = self._focus(image, rng, sharpen=rng.random() < 1 / 3)
        if rng.random() < self.params.probability:
            image = self._tone(image, rng, gamma=False)
        return image

    def _affine(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift, scale and rotate about the center; the border is mirrored."""
        limit = self.params
        rotation = rotation_matrix(rng.uniform(-limit.rotate, limit.rotate))
        scale = 1 + rng.uniform(-limit.scale, limit.scale)
        shift = rng.uniform(-limit.shift, limit.shift, 2) * image.shape[0]
        return affine(image, rotation / scale, "mirror", shift)

    def _tone(self, image: np.ndarray, rng: np.random.Generator, *, gamma: bool) -> np.ndarray:
        """Apply a gamma curve, or brightness and contrast."""
        limit = self.params
        if gamma:
            return np.clip(image, 0, 1) ** rng.uniform(1 - limit.gamma, 1 + limit.gamma)
        gain = 1 + rng.uniform(-limit.contrast, limit.contrast)
        return np.clip(image * gain + rng.uniform(-limit.brightness, limit.brightness), 0, 1)

    def _focus(self, image: np.ndarray, rng: np.random.Generator, *, sharpen: bool) -> np.ndarray:
        """Sharpen, or blur with the standard deviation of a box of the table's width."""
        from scipy import ndimage

        pixel = image.shape[0] / TABLE_SIDE
        width = rng.uniform(*self.params.blur)
        blurred = ndimage.gaussian_filter(image, pixel * np.sqrt((width**2 - 1) / 12), mode="mirror")
        if not sharpen:
            return blurred
        soft = ndimage.gaussian_filter(image, 1.0, mode="mirror")
        return image + rng.uniform(*self.params.sharpen) * (image - soft)


Generator = Traditional
