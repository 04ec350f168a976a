"""The model behind the copy detector: mean anatomies, and what tells patients apart.

One model serves every search among images of one kind, so that images are described once, and small sets of
references are described as well as large ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.images.copies.appearance import read
from benchmark.images.copies.pose import filled, warped
from benchmark.images.copies.templates import Templates
from benchmark.images.copies.windows import Window, learned_windows
from benchmark.images.lazy import select

LEARNED = 2000  # images
POSES = 2  # canonical frames of an image


@dataclass(frozen=True, eq=False)
class CopyModel:
    """Mean anatomies, and the windows of three views of an image.

    Attributes:
        mean: (32, 32) image, beyond the border of a view.
        canonical_mean: the same for canonical frames.
        templates: the mean anatomies.
        unmoved: windows of images as they are, ``canonical`` of those in their canonical frame, and ``whole``
            those that see all of either.
    """

    mean: Tensor
    canonical_mean: Tensor
    templates: Templates
    unmoved: list[Window]
    canonical: list[Window]
    whole: list[Window]

    @classmethod
    def learned(cls, images: np.ndarray) -> "CopyModel":
        """Learn from (N, H, W) uint8 real images, N >= 2; at most ``LEARNED`` of them, evenly spread."""
        with torch.inference_mode():
            few = np.unique(np.linspace(0, len(images) - 1, min(LEARNED, len(images))).astype(int))
            seen = read(select(images, few))
            templates, mean = Templates.learned(seen), seen.mean(0)
            poses = templates.poses(seen, POSES)
            frames = warped(seen, poses[:, 0], "bicubic")
            inside = warped(torch.ones_like(seen), poses[:, 0]).sum(0)
            canonical_mean = frames.sum(0) / inside.clamp_min(1)
            canonical = filled(seen, poses[:, 0], canonical_mean, "bicubic")
            views = [filled(seen, poses[:, k], mean) for k in range(poses.shape[1])]
            whole = learned_windows(torch.cat([*views, seen]), whole=True)
            unmoved, posed = learned_windows(seen), learned_windows(canonical)
            return cls(mean, canonical_mean, templates, unmoved, posed, whole)

    def frames(self, images: Tensor, poses: Tensor) -> Tensor:
        """Return the (N, P, 32, 32) views of (N, 32, 32) images in frames ``poses`` (N, P, 2, 3)."""
        return torch.stack([filled(images, poses[:, k], self.mean) for k in range(poses.shape[1])], 1)

    def in_canonical_frame(self, images: Tensor, pose: Tensor) -> Tensor:
        """Return (N, 32, 32) images in canonical frames, all interpolated: equally sharp."""
        return filled(images, pose, self.canonical_mean, "bicubic")

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as arrays by name."""
        images = {"mean": self.mean, "canonical_mean": self.canonical_mean, "templates": self.templates.mean}
        stored = {name: image.numpy() for name, image in images.items()}
        for name in ("unmoved", "canonical", "whole"):
            for k, window in enumerate(getattr(self, name)):
                stored |= {f"{name}.{k}.{part}": array for part, array in window.arrays().items()}
        return stored

    @classmethod
    def of_arrays(cls, stored: Mapping[str, np.ndarray]) -> "CopyModel":
        """Return the model whose ``arrays`` are stored."""

        def windows(name: str) -> list[Window]:
            count = len({key.split(".")[1] for key in stored if key.startswith(f"{name}.")})
            parts = ("place", "mean", "projection")
            return [Window.of_arrays(*(stored[f"{name}.{k}.{part}"] for part in parts)) for k in range(count)]

        mean, canonical_mean, templates = (
            torch.from_numpy(stored[name]) for name in ("mean", "canonical_mean", "templates")
        )
        return cls(
            mean,
            canonical_mean,
            Templates.of(templates),
            windows("unmoved"),
            windows("canonical"),
            windows("whole"),
        )
