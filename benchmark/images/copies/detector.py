"""Search for the reference image that an image copies, whole or in part, over alterations.

An image is compared with every reference as it is, mirrored, inverted and moved by a pixel, in the windows
of ``windows``. Besides, its pose relative to the mean anatomy gives the references that it resembles most in
a canonical frame; it is aligned with each of these, and compared with them again.

The search runs on the CPU, so that thresholds agree between machines.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.images.copies.appearance import blurred, read
from benchmark.images.copies.model import POSES, CopyModel
from benchmark.images.copies.pose import SMOOTH, aligned, compose, identity, inverse
from benchmark.images.copies.windows import WHOLE, Window

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
class Candidates:
    """References (N, L) to align with views (N, 32, 32) of images, and poses (N, L, 2, 3) to start from."""

    view: Tensor
    row: Tensor
    pose: Tensor


class Closest(NamedTuple):
    """The largest similarities (N,) in a window, and their references (N,)."""

    similarity: Tensor
    reference: Tensor


class CopyDetector:
    """References prepared for the search.

    Args:
        references: (N, H, W) uint8.
        groups: (N,) str, such as patients; an image is not compared with references of the same group.
        model: of images of the same kind; learned from the references if absent.
        poses: as ``poses`` of a detector of the same references and model, to save time.

    Attributes:
        poses: (N, P, 2, 3) canonical frames of the references, the best one first.
    """

    def __init__(
        self,
        references: np.ndarray,
        groups: np.ndarray | None = None,
        model: CopyModel | None = None,
        poses: np.ndarray | None = None,
    ) -> None:
        self.model = model or CopyModel.learned(references)
        with torch.inference_mode():
            self._groups = groups
            self._images = read(references)
            self._smooth = blurred(self._images, SMOOTH)
            self._unmoved = [window.vectors(self._images) for window in self.model.unmoved]
            own = (
                self.model.templates.poses(self._images, POSES) if poses is None else torch.from_numpy(poses)
            )
            self.poses: np.ndarray = own.numpy()
            # An image and its candidate are compared in the candidate's best canonical frame.
            self._canonical = own[:, 0]
            posed = self.model.in_canonical_frame(self._images, self._canonical)
            self._posed = [window.vectors(posed) for window in self.model.canonical]
            # Candidates are searched in the frames of all canonical poses, and in that of the image as it is.
            every = torch.cat([own, identity(len(references))[:, None]], 1)
            self._pose = every.flatten(0, 1)
            self._row = torch.arange(len(references)).repeat_interleave(every.shape[1])
            views = self.model.frames(self._images, every).flatten(0, 1)
            self._whole = [window.vectors(views) for window in self.model.whole]

    def match(self, images: np.ndarray, groups: np.ndarray | None = None) -> Matches:
        """Search for (N, H, W) uint8 images; ``groups`` (N,) as those of the references."""
        comparisons = len(self._unmoved) + len(self._posed)
        similarity = np.zeros((len(images), comparisons), np.float32)
        reference = np.zeros((len(images), comparisons), np.int64)
        with torch.inference_mode():
            for start in range(0, len(images), BLOCK):
                rows = slice(start, start + BLOCK)
                own = None
                if groups is not None and self._groups is not None:
                    own = torch.from_numpy(groups[rows, None] == self._groups[None])
                similarity[rows], reference[rows] = self._match(read(images[rows]), own)
        return Matches(similarity, reference)

    def _match(self, images: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        both = (images, images.flip(-1))
        views = torch.stack([sign * view for view in both for sign in (1, -1)])
        views = torch.cat([views, views.flip(-2)])
        unmoved, closest, row = self._compare(views, own)
        view = views[closest, torch.arange(len(images))]
        candidates = [Candidates(view, row[:, None], identity(len(view))[:, None])]
        candidates += [self._search(view, own) for view in both]
        posed = self._align(candidates)
        similarity, reference = zip(*unmoved, *posed, strict=True)
        return torch.stack(similarity, 1), torch.stack(reference, 1)

    def _compare(self, views: Tensor, own: Tensor | None) -> tuple[list[Closest], Tensor, Tensor]:
        """Compare (8, N, 32, 32) views with every reference: the first four in all windows, moved where they
        see the whole, and their upside-down forms only where they do.

        Returns:
            For every window the largest similarity (N,) and its reference; and, in the finest window that
            sees the whole, the closest view (N,) and its reference (N,).
        """
        upright, upside_down = views.chunk(2)
        moved = torch.cat([upside_down, *(torch.roll(upright, move, (2, 3)) for move in MOVES)])
        best: list[Closest] = []
        for k, (window, vectors) in enumerate(zip(self.model.unmoved, self._unmoved, strict=True)):
            cosine = _cosines(window, moved if k < WHOLE else upright, vectors)
            if own is not None:
                cosine.masked_fill_(own, -1)
            best.append(Closest(*cosine.amax(0).max(1)))
            if k == WHOLE - 1:
                closest = cosine.amax(2).argmax(0)
                closest = torch.where(closest < 4, closest + 4, closest % 4)
                row = best[-1].reference
        return best, closest, row

    def _search(self, view: Tensor, own: Tensor | None) -> Candidates:
        """Return the references that a view (N, 32, 32) resembles in one of its canonical frames."""
        poses, sign = self.model.templates.signed_poses(view, POSES)
        view = view * sign[:, None, None]
        count = poses.shape[1]
        frames = self.model.frames(view, poses).transpose(0, 1)
        moved = torch.stack([torch.roll(frames, move, (2, 3)) for move in MOVES], 1).flatten(0, 1)
        each = torch.arange(len(view))[:, None]
        places, starts = [], []
        for window, vectors in zip(self.model.whole, self._whole, strict=True):
            cosine = _cosines(window, moved, vectors).unflatten(0, (count, len(MOVES))).amax(1)
            highest = cosine.amax(0)
            if own is not None:
                highest.masked_fill_(own[:, self._row], -1)
            place = highest.topk(min(CANDIDATES, highest.shape[1]), 1).indices
            pose = poses[each, cosine[:, each, place].argmax(0)]
            start = compose(pose.flatten(0, 1), inverse(self._pose[place.flatten()]))
            places.append(place)
            starts.append(start.view(*place.shape, 2, 3))
        return Candidates(view, self._row[torch.cat(places, 1)], torch.cat(starts, 1))

    def _align(self, candidates: list[Candidates]) -> list[Closest]:
        """Align images with their candidates, and compare them again, in the candidates' canonical frames.

        Returns:
            For every window the largest similarity (N,) and its reference.
        """
        rows = torch.cat([c.row for c in candidates], 1)
        flat = rows.flatten()
        repeated = []
        for c in candidates:
            both = torch.stack([c.view, blurred(c.view, SMOOTH)])
            repeated.append(both[:, :, None].expand(-1, -1, c.row.shape[1], -1, -1))
        views, smooth = torch.cat(repeated, 2).flatten(1, 2)
        start = torch.cat([c.pose for c in candidates], 1).flatten(0, 1)
        pose = aligned(views, smooth, self._images[flat], self._smooth[flat], start)
        frames = self.model.in_canonical_frame(views, compose(pose, self._canonical[flat]))
        best: list[Closest] = []
        for window, vectors in zip(self.model.canonical, self._posed, strict=True):
            value, place = (window.vectors(frames) * vectors[flat]).sum(1).view(rows.shape).max(1)
            best.append(Closest(value, rows.gather(1, place[:, None])[:, 0]))
        return best


def _cosines(window: Window, frames: Tensor, vectors: Tensor) -> Tensor:
    """Return the (F, N, R) similarities of (F, N, 32, 32) frames and R references."""
    return (window.vectors(frames.flatten(0, 1)) @ vectors.T).unflatten(0, frames.shape[:2])
