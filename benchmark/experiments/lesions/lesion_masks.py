"""Masks of requested lesions, from the shapes of the training masks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from scipy import ndimage

from benchmark.errors import GeneratorError
from benchmark.experiments.lesions.lesion_request import Laterality, LesionRequest
from benchmark.experiments.lesions.lungs import Lungs, find_lungs
from benchmark.images.image_set import ImageSet
from benchmark.metrics._lesions import INSIDE, side_of

ATTEMPTS = 60  # shapes that are tried for a request
NEAREST = 12  # shapes of similar area among which chance decides
ACROSS = 0.1  # share of the masks on each side, from which a finding may be mirrored


class LesionShapes:
    """The training masks of each finding, and the masks that follow from them.

    Args:
        train: images with masks, one class each.
    """

    def __init__(self, train: ImageSet) -> None:
        self.train = train
        self.masks = np.asarray(train.mask[:]) > INSIDE
        self.empty = ~self.masks.any((1, 2))

    @cached_property
    def lungs(self) -> Lungs:
        """The lungs of the lesion-free training images."""
        return find_lungs(np.asarray(self.train.image[np.flatnonzero(self.empty)[:200]]))

    def finding(self, name: str) -> FindingShapes:
        """Return the shapes of a finding.

        Raises:
            GeneratorError: no such finding, or none of its training images has a mask.
        """
        where = f"lesion: finding '{name}'"
        if name not in self.train.classes:
            raise GeneratorError(where, "is unknown", f"Choose of: {', '.join(self.train.classes)}.")
        rows = np.flatnonzero((self.train.label == self.train.classes.index(name)) & ~self.empty)
        if not len(rows):
            problem = "has no mask in any training image, so that it is no lesion"
            raise GeneratorError(where, problem, "Draw it by --label.")
        return FindingShapes(name, self.masks[rows], self)

    def described(self, lesion: LesionRequest, mask: np.ndarray) -> LesionRequest:
        """Return the request with side and zone of its mask, where it has none."""
        zone = lesion.zone
        with suppress(GeneratorError):  # other images than frontal radiographs have no zones
            zone = zone or self.lungs.zone(mask)
        side = cast(Laterality, side_of(mask * np.uint8(255)))
        return replace(lesion, side=lesion.side or side, zone=zone)

    def draw(self, lesion: LesionRequest, rng: np.random.Generator) -> np.ndarray:
        """Return an (S, S) bool mask with the requested side, zone and area.

        Raises:
            GeneratorError: the finding does not occur so in the training images, or does not fit there.
        """
        return self.finding(lesion.finding).draw(lesion, rng)


@dataclass(frozen=True, eq=False)
class FindingShapes:
    """The masks (n, S, S) bool of one finding."""

    name: str
    masks: np.ndarray
    every: LesionShapes

    @cached_property
    def sides(self) -> np.ndarray:
        """(n,) side of each mask, as ``side_of``."""
        return np.array([side_of(mask * np.uint8(255)) for mask in self.masks])

    @cached_property
    def areas(self) -> np.ndarray:
        """(n,) pixels of each mask."""
        return self.masks.sum((1, 2))

    @cached_property
    def zones(self) -> np.ndarray:
        """(n,) zone of each mask."""
        return np.array([self.every.lungs.zone(mask) for mask in self.masks])

    @property
    def mirrored(self) -> bool:
        """True if the finding occurs on both sides, so that a mirrored mask is as likely."""
        return min((self.sides == side).mean() for side in ("left", "right")) >= ACROSS

    @cached_property
    def place(self) -> np.ndarray:
        """(S, S) bool, the pixels that the finding may cover.

        They are the lungs for a finding that lies mostly in them, else all pixels that a training mask or its
        mirror image covers.
        """
        cover: np.ndarray = np.logical_or.reduce(self.masks)
        cover = cover | cover[:, ::-1] if self.mirrored else cover
        try:
            lungs = self.every.lungs.inside
        except GeneratorError:  # other images than frontal radiographs
            return cover
        share = ((self.masks & lungs).sum((1, 2)) / self.areas).mean()
        return lungs if share > 0.5 else cover

    def draw(self, lesion: LesionRequest, rng: np.random.Generator) -> np.ndarray:
        """Return a mask: a training mask of the side, of similar area, moved and scaled as far as needed.

        Raises:
            GeneratorError: as ``LesionShapes.draw``.
        """
        self._check(lesion)
        pixels = self._pixels(lesion)
        for number, mask in enumerate(self._candidates(lesion, pixels, rng)):
            moved = self._moved(mask, lesion, pixels, rng)
            if moved is not None and self._agrees(moved, lesion):
                return moved
            if number >= ATTEMPTS:
                break
        raise self._refusal(
            "the lesion", f"of {pixels or 'any number of'} pixels does not fit there", "Request less."
        )

    def _agrees(self, mask: np.ndarray, lesion: LesionRequest) -> bool:
        """Return whether a mask has the requested side and zone."""
        right_side = lesion.side is None or side_of(mask * np.uint8(255)) == lesion.side
        return right_side and (lesion.zone is None or self.every.lungs.zone(mask) == lesion.zone)

    def _check(self, lesion: LesionRequest) -> None:
        """Refuse a side or a zone that no training mask of the finding has."""
        for name in ("side", "zone"):
            wanted = getattr(lesion, name)
            if wanted is None:
                continue
            known = sorted(set((self.sides if name == "side" else self.zones).tolist()))
            if wanted not in known:
                problem = f"'{wanted}' does not occur in training images"
                raise self._refusal(name, problem, f"Choose of: {', '.join(known)}.")

    def _refusal(self, field: str, problem: str, remedy: str) -> GeneratorError:
        return GeneratorError(f"lesion: finding '{self.name}': {field}", problem, remedy)

    def _pixels(self, lesion: LesionRequest) -> int | None:
        """Return the requested area in pixels: as stated, or the median of the third; None for any."""
        if isinstance(lesion.size, float):
            pixels = round(lesion.size * self.masks[0].size)
            low, high = int(self.areas.min()), int(self.areas.max())
            if not low <= pixels <= high:
                shares = [f"{edge / self.masks[0].size:.2g}" for edge in (low, high)]
                problem = f"{lesion.size:g} of the image is no size of this finding"
                raise self._refusal("size", problem, f"Expected {shares[0]} to {shares[1]}.")
            return max(1, pixels)
        if lesion.third is None:
            return None
        middle = (2 * lesion.third + 1) / 6  # of the third: the quantile that most masks of it are near
        return int(np.quantile(self.areas, middle, method="nearest"))

    def _candidates(
        self, lesion: LesionRequest, pixels: int | None, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Yield masks of the requested side: in the zone first, of similar area first."""
        masks, sides = self.masks, self.sides
        number = np.arange(len(masks))  # of the mask that each comes from
        if self.mirrored:
            other = {"left": "right", "right": "left"}
            masks = np.concatenate([masks, masks[:, :, ::-1]])
            sides = np.concatenate([sides, [other.get(side, side) for side in sides.tolist()]])
            number = np.concatenate([number, number])
        rows = rng.permutation(np.flatnonzero(sides == lesion.side) if lesion.side else np.arange(len(masks)))
        own = number[rows]
        change = np.zeros(len(rows)) if pixels is None else np.abs(np.log(self.areas[own] / pixels))
        if lesion.zone is not None:
            change += 2.0 * (self.zones[own] != lesion.zone)
        order = np.argsort(change, kind="stable")
        yield from masks[rows[rng.permutation(order[:NEAREST])]]
        yield from masks[rows[order[NEAREST:]]]

    def _moved(
        self, mask: np.ndarray, lesion: LesionRequest, pixels: int | None, rng: np.random.Generator
    ) -> np.ndarray | None:
        """Return a mask with the area, its center in the zone; itself where nothing needs a change.

        Of the scaled and slightly blurred shape the strongest pixels in ``place`` are inside, so that the
        area is exact. None where ``place`` has too few pixels.
        """
        target = int(mask.sum()) if pixels is None else pixels
        if self._agrees(mask, lesion) and target == mask.sum():
            return mask
        center = np.array(ndimage.center_of_mass(mask))
        side = side_of(mask * np.uint8(255))
        on_right = np.arange(mask.shape[1]) >= mask.shape[1] / 2  # the patient's left
        place = self.place & {"left": on_right, "right": ~on_right}.get(side, True)
        goal = center
        if lesion.zone is not None and self.every.lungs.zone(mask) != lesion.zone:
            rows = self.every.lungs.of_zone(lesion.zone)
            spots = np.argwhere(place & rows if (place & rows).any() else rows)
            goal = np.asarray(spots[rng.integers(len(spots))], dtype=float)
        scale = np.sqrt(target / mask.sum())
        for widen in (1.0, 1.15, 1.3, 1.5):
            matrix = np.eye(2) / (scale * widen)
            soft = ndimage.affine_transform(mask.astype(np.float32), matrix, center - matrix @ goal, order=1)
            soft = ndimage.gaussian_filter(soft, 0.5 + 0.2 * widen) * place
            if (soft > 1e-3).sum() >= target:
                inside = np.zeros(mask.size, bool)
                inside[np.argsort(-soft, axis=None, kind="stable")[:target]] = True
                return inside.reshape(mask.shape)
        return None
