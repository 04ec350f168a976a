"""Search for the reference image that an image copies, whole or in part, over alterations.

An image is compared with every reference as it is, mirrored, inverted and moved by a pixel, in the windows
of ``windows``. Besides, its pose relative to the mean anatomy gives the references that it resembles most in
a canonical frame; it is aligned with each of these, and compared with them again.

The search runs on the CPU, so that thresholds agree between machines.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.images.copies.appearance import blurred, read
from benchmark.images.copies.pose import SMOOTH, aligned, compose, filled, identity, inverse, warped
from benchmark.images.copies.templates import Templates
from benchmark.images.copies.windows import WHOLE, Window, learned_windows

POSES = 2  # canonical frames of an image
CANDIDATES = 2  # references aligned with an image, for each window that sees the whole, mirrored and not
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))  # pixels down and right
BLOCK = 64  # images at once


@dataclass(frozen=True, eq=False)
class Matches:
    """The most similar reference of N images, for each of C comparisons: a window, before or after alignment.

    Attributes:
        similarity: (N, C) cosine, -1 to 1.
        reference: (N, C) row of the reference.
    """

    similarity: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True, eq=False)
class Gallery:
    """References in one frame each, and their vectors (N, K) in every window."""

    windows: list[Window]
    vectors: list[Tensor]

    @classmethod
    def of(cls, frames: Tensor) -> "Gallery":
        """Learn the windows from (N, 32, 32) frames."""
        windows = learned_windows(frames)
        return cls(windows, [window.vectors(frames) for window in windows])


@dataclass(frozen=True, eq=False)
class Candidates:
    """References (N, L) to align with views (N, 32, 32) of images, and poses (N, L, 2, 3) to start from."""

    view: Tensor
    row: Tensor
    pose: Tensor


@dataclass(frozen=True, eq=False)
class Poses:
    """Mean images (K, 32, 32) and the canonical frames (N, P, 2, 3) of the references."""

    templates: Tensor
    canonical: Tensor

    @classmethod
    def of(cls, images: Tensor) -> "Poses":
        """Learn both from (N, 32, 32) references."""
        templates = Templates.learned(images)
        return cls(templates.mean, templates.poses(images, POSES))


class Best:
    """The largest similarities so far, and their references."""

    def __init__(self, images: int, comparisons: int) -> None:
        self.similarity = torch.full((images, comparisons), -1.0)
        self.reference = torch.zeros((images, comparisons), dtype=torch.long)

    def update(self, comparison: int, similarity: Tensor, reference: Tensor) -> None:
        """Keep the larger of two similarities (N,)."""
        better = similarity > self.similarity[:, comparison]
        self.similarity[better, comparison] = similarity[better]
        self.reference[better, comparison] = reference[better]


class CopyDetector:
    """References prepared for the search.

    Args:
        references: (N, H, W) uint8, N >= 2.
        groups: (N,) str, such as patients; an image is not compared with references of the same group.
        poses: as ``poses`` of a detector of the same references, to save time.
    """

    def __init__(
        self, references: np.ndarray, groups: np.ndarray | None = None, poses: Poses | None = None
    ) -> None:
        with torch.inference_mode():
            self._groups = groups
            self._images = read(references)
            self._smooth = blurred(self._images, SMOOTH)
            self._mean = self._images.mean(0)
            self._unmoved = Gallery.of(self._images)
            self.poses = poses or Poses.of(self._images)
            self._templates = Templates.of(self.poses.templates)
            # The best canonical frame, in which an image and its candidate are compared once aligned: both
            # are interpolated there, so that neither is sharper.
            canonical = self.poses.canonical
            self._canonical = canonical[:, 0]
            frames = warped(self._images, self._canonical, "bicubic")
            inside = warped(torch.ones_like(self._images), self._canonical).sum(0)
            self._canonical_mean = frames.sum(0) / inside.clamp_min(1)
            self._posed = Gallery.of(self._in_canonical_frame(self._images, self._canonical))
            # All frames in which candidates are searched.
            every = torch.arange(len(references))
            self._row = torch.cat([every.repeat_interleave(canonical.shape[1]), every])
            self._pose = torch.cat([canonical.flatten(0, 1), identity(len(references))])
            views = filled(self._images[self._row], self._pose, self._mean)
            self._whole = [(w, w.vectors(views)) for w in learned_windows(views, whole=True)]

    def match(self, images: np.ndarray, groups: np.ndarray | None = None) -> Matches:
        """Search for (N, H, W) uint8 images; ``groups`` (N,) as those of the references."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), BLOCK):
                rows = slice(start, start + BLOCK)
                own = None
                if groups is not None and self._groups is not None:
                    own = torch.from_numpy(groups[rows, None] == self._groups[None])
                parts.append(self._match(read(images[rows]), own))
        similarity, reference = (
            torch.cat([getattr(part, name) for part in parts]).numpy() for name in ("similarity", "reference")
        )
        return Matches(similarity, reference)

    def _match(self, images: Tensor, own: Tensor | None) -> Best:
        best = Best(len(images), 2 * len(self._unmoved.windows))
        both = (images, images.flip(-1))
        views = [sign * view for view in both for sign in (1, -1)]
        like = torch.stack([self._compare(view, best, own) for view in views], 1)
        each = torch.arange(len(images))
        closest = like[..., 0].argmax(1)
        view = torch.stack(views, 1)[each, closest]
        row = like[each, closest, 1].long()[:, None]
        candidates = [Candidates(view, row, identity(len(view))[:, None])]
        candidates += [self._search(view, own) for view in both]
        self._align(candidates, best)
        return best

    def _compare(self, view: Tensor, best: Best, own: Tensor | None) -> Tensor:
        """Compare a view with every reference in all windows.

        Returns:
            (N, 2), the largest similarity in the finest window that sees the whole, and its reference.
        """
        finest = Best(len(view), 1)
        for move in MOVES:
            moved = torch.roll(view, move, (1, 2))
            for k, (window, vectors) in enumerate(
                zip(self._unmoved.windows, self._unmoved.vectors, strict=True)
            ):
                cosine = window.vectors(moved) @ vectors.T
                if own is not None:
                    cosine.masked_fill_(own, -1)
                closest = cosine.max(1)
                best.update(k, *closest)
                if k == WHOLE - 1:
                    finest.update(0, *closest)
        return torch.cat([finest.similarity, finest.reference], 1)

    def _search(self, view: Tensor, own: Tensor | None) -> Candidates:
        """Return the references that a view resembles in one of its canonical frames."""
        view = view * self._templates.sign(view)[:, None, None]
        poses = self._templates.poses(view, POSES)
        highest = [torch.full((len(view), len(self._row)), -1.0) for _ in self._whole]
        which = [torch.zeros(like.shape, dtype=torch.long) for like in highest]
        for j in range(poses.shape[1]):
            frame = filled(view, poses[:, j], self._mean)
            for move in MOVES:
                moved = torch.roll(frame, move, (1, 2))
                for k, (window, vectors) in enumerate(self._whole):
                    cosine = window.vectors(moved) @ vectors.T
                    which[k][cosine > highest[k]] = j
                    highest[k] = torch.maximum(highest[k], cosine)
        places, starts = [], []
        for cosine, by in zip(highest, which, strict=True):
            if own is not None:
                cosine.masked_fill_(own[:, self._row], -1)
            place = cosine.topk(min(CANDIDATES, cosine.shape[1]), 1).indices
            pose = poses[torch.arange(len(view))[:, None], by.gather(1, place)]
            start = compose(pose.flatten(0, 1), inverse(self._pose[place.flatten()]))
            places.append(place)
            starts.append(start.view(*place.shape, 2, 3))
        return Candidates(view, self._row[torch.cat(places, 1)], torch.cat(starts, 1))

    def _align(self, candidates: list[Candidates], best: Best) -> None:
        """Align images with their candidates, and compare them again, in the candidates' canonical frames."""
        rows = torch.cat([c.row for c in candidates], 1)
        flat = rows.flatten()
        views, smooth = (
            torch.cat(
                [v[:, None].expand(-1, c.row.shape[1], -1, -1) for c in candidates for v in [change(c.view)]],
                1,
            ).flatten(0, 1)
            for change in (lambda v: v, lambda v: blurred(v, SMOOTH))
        )
        start = torch.cat([c.pose for c in candidates], 1).flatten(0, 1)
        pose = aligned(views, smooth, self._images[flat], self._smooth[flat], start)
        frames = self._in_canonical_frame(views, compose(pose, self._canonical[flat]))
        for k, (window, vectors) in enumerate(zip(self._posed.windows, self._posed.vectors, strict=True)):
            cosine = (window.vectors(frames) * vectors[flat]).sum(1).view(rows.shape)
            value, place = cosine.max(1)
            best.update(len(self._unmoved.windows) + k, value, rows.gather(1, place[:, None])[:, 0])

    def _in_canonical_frame(self, images: Tensor, pose: Tensor) -> Tensor:
        return filled(images, pose, self._canonical_mean, "bicubic")
