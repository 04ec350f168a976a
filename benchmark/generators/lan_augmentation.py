"""The traditional augmentations of Lan 2023, each applied to a training image with probability 0.5."""

from typing import Any, Literal, get_args

import numpy as np
from pydantic import BaseModel, Field, field_validator

from benchmark.generators._image_bank import ImageBank, affine, change_each, rotation_matrix

version = "1"

SECTION = "Lan 2023, section 4.4"
WIDTH, HEIGHT = 389, 320  # pixels of the thesis's images, section 4.3; its lengths are relative to them

Operation = Literal[
    "rotation", "flipping", "translation", "shearing", "cropping", "noise", "blurring", "coloring"
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
FINAL: tuple[Operation, ...] = ("rotation", "flipping", "shearing", "noise", "blurring")

card = {
    "title": "Traditional augmentation of Lan",
    "role": "generator",
    "description": "A training image of the class, to which each operation is applied with probability 0.5. "
    "By default those of the thesis's final combination: rotation, flipping, shearing, noise, blurring; it "
    "dropped translation, cropping and coloring. It draws no new patient: its images are changed copies of "
    "training images by nature, and now and then (one in 32) an unchanged one, so the memorization gate is "
    "meant to see them.",
    "citation": "Lan 2023, Traditional augmentation versus deep generative diffusion augmentation for "
    "addressing class imbalance in chest X-ray classification (MSc thesis, Utrecht University), sections "
    "4.4, 4.5 and 5.4",
    "license": "Apache-2.0",
}


class Params(BaseModel, extra="forbid", frozen=True):
    """The operations and their limits."""

    operations: tuple[Operation, ...] = Field(
        FINAL,
        min_length=1,
        description="in the order of application; the final five of Lan 2023, section 5.4",
    )
    probability: float = Field(0.5, ge=0, le=1, description="of each operation; Lan 2023, section 4.5")
    rotate: float = Field(90.0, ge=0, le=180, description=f"degrees either way; {SECTION}, rotation")
    flip: float = Field(0.5, ge=0, le=1, description=f"vertical, else horizontal; {SECTION}, flipping")
    shift: float = Field(0.2, ge=0, le=0.5, description=f"share of the side; {SECTION}, translation")
    shear: int = Field(30, ge=0, le=90, description=f"largest intensity, half degrees; {SECTION}, shearing")
    crop: tuple[float, float] = Field(
        (256 / HEIGHT, 256 / WIDTH),
        description=f"share of height and width that stays, 256 of {HEIGHT} and {WIDTH} pixels; {SECTION}",
    )
    noise_variance: float = Field(0.5, ge=0, description=f"of the Gaussian noise; {SECTION}, adding noise")
    noise_amplitude: float = Field(30.0, ge=0, description=f"largest, in gray levels of 255; {SECTION}")
    pepper: float = Field(
        0.05, ge=0, le=1, description="share of pixels; the thesis gives none: skimage.util.random_noise"
    )
    blur: tuple[int, float] = Field(
        (11, 10.0), description=f"kernel and deviation in pixels of {HEIGHT}; {SECTION}, blurring"
    )
    brighten: tuple[float, float] = Field((1.0, 2.0), description=f"factor; {SECTION}, coloring")
    contrast: tuple[float, float] = Field((1.0, 2.0), description=f"factor; {SECTION}, coloring")

    @field_validator("operations")
    @classmethod
    def _each_once(cls, names: tuple[Operation, ...]) -> tuple[Operation, ...]:
        if len(set(names)) != len(names):
            raise ValueError("names an operation twice")
        return names

    @field_validator("crop")
    @classmethod
    def _shares(cls, shares: tuple[float, float]) -> tuple[float, float]:
        if not all(0 < share <= 1 for share in shares):
            raise ValueError("expected two shares above 0 and up to 1")
        return shares


def search_space(trial: Any) -> dict[str, Any]:
    """Suggest limits of the operations that the thesis tuned."""
    return {
        "rotate": trial.suggest_float("rotate", 5, 90),
        "shear": trial.suggest_int("shear", 5, 40),
        "noise_amplitude": trial.suggest_float("noise_amplitude", 5, 40),
        "probability": trial.suggest_float("probability", 0.2, 0.9),
    }


class LanAugmentation(ImageBank):
    """Return training images, changed by the operations of the thesis."""

    name = "lan_augmentation"
    params_type = Params

    def change(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change every (S, S) uint8 image by its own draws; return (N, S, S) float32 in [0, 1]."""
        return change_each(images, lambda image: self._change_one(image, rng))

    def _change_one(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for name in self.params.operations:
            if rng.random() < self.params.probability:
                image = np.clip(getattr(self, f"_{name}")(image, rng), 0, 1)
        return image

    def _rotation(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rotate about the center; the border repeats the edge."""
        return affine(image, rotation_matrix(rng.uniform(-self.params.rotate, self.params.rotate)), "nearest")

    def _flipping(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Flip upside down, or left to right."""
        return image[::-1] if rng.random() < self.params.flip else image[:, ::-1]

    def _translation(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Shift; the border is black."""
        shift = rng.uniform(-self.params.shift, self.params.shift, 2) * image.shape
        return affine(image, np.eye(2), "constant", shift)

    def _shearing(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Slide rows along themselves about the middle; the border repeats the edge."""
        angle = np.deg2rad(rng.integers(0, self.params.shear + 1) / 2)
        return affine(image, np.array([[1, 0], [np.tan(angle), 1]]), "nearest")

    def _cropping(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Enlarge a random window to the image's size, which all images of a task share."""
        from scipy import ndimage

        share = np.array(self.params.crop)
        room = (1 - share) * (np.array(image.shape) - 1)
        return ndimage.affine_transform(image, np.diag(share), rng.uniform(0, room), order=1, mode="nearest")

    def _noise(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add Gaussian noise, or black pixels."""
        if rng.random() < 0.5:
            amplitude = rng.uniform(0, self.params.noise_amplitude) / 255
            return image + amplitude * rng.normal(0, np.sqrt(self.params.noise_variance), image.shape)
        return np.where(rng.random(image.shape) < self.params.pepper, 0, image)

    def _blurring(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Blur with a Gaussian of the truncated kernel's deviation, scaled to the image's size."""
        from scipy import ndimage

        deviation = kernel_deviation(*self.params.blur) * image.shape[0] / HEIGHT
        return ndimage.gaussian_filter(image, deviation, mode="mirror")

    def _coloring(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Raise brightness, then contrast about the mean."""
        bright = np.clip(image * rng.uniform(*self.params.brighten), 0, 1)
        mean = bright.mean()
        return mean + (bright - mean) * rng.uniform(*self.params.contrast)


def kernel_deviation(width: int, sigma: float) -> float:
    """Return the standard deviation of a Gaussian kernel that is cut off at ``width`` pixels.

    >>> round(kernel_deviation(11, 10.0), 2), round(kernel_deviation(11, 0.5), 2)
    (3.09, 0.5)
    """
    place = np.arange(width) - (width - 1) / 2
    weight = np.exp(-(place**2) / (2 * sigma**2))
    return float(np.sqrt((weight * place**2).sum() / weight.sum()))


Generator = LanAugmentation
