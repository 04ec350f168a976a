"""Images of a fit's previews, stored so that figures show how they change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.images.decoding import resized
from benchmark.images.plots import Strip, training_grid
from benchmark.stages.previews import Preview
from benchmark.utils.files import atomic_path

STORED, GRID = "previews.npz", "previews.png"
SIDE = 128  # largest stored side in pixels


@dataclass(frozen=True, eq=False)
class PreviewImages:
    """The same few images of each class at several steps.

    Attributes:
        step: (P,) steps of the previews.
        image: (P, M, S, S) uint8.
        name: (M,) str, class.
    """

    step: np.ndarray
    image: np.ndarray
    name: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> PreviewImages | None:
        """Read what ``save`` wrote; None where there is nothing, or nothing readable after a crash."""
        try:
            with np.load(folder / STORED, allow_pickle=False) as stored:
                return cls(stored["step"], stored["image"], stored["name"])
        except (OSError, ValueError, KeyError, EOFError):
            return None

    def save(self, folder: Path) -> None:
        """Write the images, atomically."""
        with atomic_path(folder / STORED) as part, part.open("wb") as file:
            np.savez(file, step=self.step, image=self.image, name=self.name)

    def before(self, step: int) -> PreviewImages:
        """Return the previews before a step."""
        early = self.step < step
        return replace(self, step=self.step[early], image=self.image[early])

    def strips(self) -> list[Strip]:
        """Return a strip of images for each class, a line per step."""
        steps = [int(step) for step in self.step]
        return [Strip(n, steps, self.image[:, self.name == n]) for n in dict.fromkeys(self.name.tolist())]


def add_preview(folder: Path, step: int, preview: Preview, classes: tuple[str, ...]) -> Path:
    """Add a preview's images to those of a fit, draw all of them, and return the figure's path.

    Previews of this step and later ones, from before a crash, are replaced.
    """
    assert preview.image is not None
    assert preview.label is not None
    image = resized(preview.image, min(SIDE, preview.image.shape[1]))[None]
    own = PreviewImages(np.array([step]), image, np.array(classes)[preview.label])
    earlier = PreviewImages.load(folder)
    if earlier is not None and np.array_equal(earlier.name, own.name):
        old = earlier.before(step)
        own = PreviewImages(np.append(old.step, step), np.concatenate([old.image, image]), own.name)
    own.save(folder)
    with atomic_path(folder / GRID) as part:
        training_grid(own.strips(), part)
    return folder / GRID
