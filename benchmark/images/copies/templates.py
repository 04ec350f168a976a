"""The pose of an image relative to the mean anatomy.

A copy that was rotated, zoomed, cropped or moved has another pose than its original, but the same one
relative to the mean image of all patients. In that canonical frame the two look alike.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.images.copies.appearance import SIDE, blurred
from benchmark.images.copies.pose import SMOOTH, aligned, inverse, similarity, warped

ROTATIONS = tuple(range(-18, 19, 4))  # degrees
ZOOMS = (0.78, 0.85, 0.92, 1.0, 1.08, 1.17, 1.28)
SHIFTS = tuple(0.1 * k for k in range(-3, 4))  # half widths of the image
COARSE = 16  # pixels; the grid of poses is searched at this size
TEMPLATES = 6  # mean images, of clusters of patients
LEARNED = 600  # images from which they are learned, at most
ROUNDS = 2  # of alternation between poses and mean images
BLOCK = 128  # images at once


@dataclass(frozen=True, eq=False)
class Templates:
    """Mean images, each in its canonical frame.

    Attributes:
        mean: (K, 32, 32).
        seen: (K * P, 256) the mean images as every pose of the grid shows them, of length 1.
    """

    mean: Tensor
    seen: Tensor

    @classmethod
    def learned(cls, images: Tensor) -> "Templates":
        """Alternate between the poses of (N, 32, 32) images and the mean images of their clusters."""
        some = images[torch.linspace(0, len(images) - 1, min(LEARNED, len(images))).long()]
        templates = cls.of(some.mean(0, keepdim=True))
        for _ in range(ROUNDS):
            frames = warped(some, templates.poses(some, 1)[:, 0])
            templates = cls.of(torch.stack([frames[rows].mean(0) for rows in _clusters(frames)]))
        return templates

    @classmethod
    def of(cls, mean: Tensor) -> "Templates":
        """Prepare (K, 32, 32) mean images for the search."""
        grid = inverse(_grid())
        seen = [warped(one.expand(len(grid), COARSE, COARSE), grid).flatten(1) for one in _reduced(mean)]
        return cls(mean, F.normalize(torch.cat(seen)))

    def poses(self, images: Tensor, count: int) -> Tensor:
        """Return the (N, C, 2, 3) poses of (N, 32, 32) images relative to the ``count`` best mean images."""
        return self._each_block(images, count, signed=False)[0]

    def signed_poses(self, images: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return ``poses`` of images or of their inverted forms, and (N,) 1, or -1 where inverted.

        An image counts as inverted if its inverted form resembles a mean image more.
        """
        return self._each_block(images, count, signed=True)

    def _each_block(self, images: Tensor, count: int, signed: bool) -> tuple[Tensor, Tensor]:
        count = min(count, len(self.mean))
        poses, sign = zip(*(self._poses(block, count, signed) for block in images.split(BLOCK)), strict=True)
        return torch.cat(poses), torch.cat(sign)

    def _poses(self, images: Tensor, count: int, signed: bool) -> tuple[Tensor, Tensor]:
        grid = _grid()
        fit = _reduced(images).flatten(1) @ self.seen.T
        sign = torch.ones(len(images))
        if signed:
            sign[fit.amax(1) < -fit.amin(1)] = -1
            fit, images = fit * sign[:, None], images * sign[:, None, None]
        best, place = fit.view(len(images), -1, len(grid)).max(2)
        chosen = best.topk(count, 1).indices
        start = grid[place.gather(1, chosen)].flatten(0, 1)
        sharp, smooth = (x.repeat_interleave(count, 0) for x in (images, blurred(images, SMOOTH)))
        target, smooth_target = (mean[chosen.flatten()] for mean in (self.mean, blurred(self.mean, SMOOTH)))
        return aligned(sharp, smooth, target, smooth_target, start).view(-1, count, 2, 3), sign


def _grid() -> Tensor:
    rotations = torch.deg2rad(torch.tensor(ROTATIONS, dtype=torch.float32))
    shifts = torch.tensor(SHIFTS)
    return similarity(*torch.cartesian_prod(rotations, torch.tensor(ZOOMS), shifts, shifts).T)


def _reduced(images: Tensor) -> Tensor:
    return F.avg_pool2d(images[:, None], SIDE // COARSE)[:, 0]


def _clusters(frames: Tensor) -> list[Tensor]:
    """Return the rows of each of at most ``TEMPLATES`` clusters."""
    from sklearn.cluster import KMeans

    few = min(TEMPLATES, len(frames))
    label = KMeans(few, n_init=1, random_state=0).fit_predict(_reduced(frames).flatten(1).numpy())
    return [torch.from_numpy((label == k).nonzero()[0]) for k in range(few) if (label == k).any()]
