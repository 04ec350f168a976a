"""The projected chest, frontal or lateral, and the effects of findings on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid
from benchmark.phantoms.canvas.raster import EVERYWHERE, HIGH, LOW, Region
from benchmark.phantoms.radiograph.torso import APEX


@dataclass(frozen=True, eq=False)
class Chest:
    """Projected chest; arrays are (S, S) float32 unless noted.

    Attributes:
        lateral_view: lateral projection, in which the lungs overlap.
        solid: attenuation of everything but the air; air: attenuation that the air of the lungs removes.
        vessels: share of the air that blood replaces.
        inside: 0..1, projected lung; heart: 0..1, silhouette of heart and great vessels.
        side: -1 in the patient's right lung (left in the image), +1 in the left; 0 in the lateral view.
        across: frontal 0 at the midline to 1 at the wall; lateral 0 at the sternum to 1 at the back.
        down: 0 at the apex to 1 at the dome of the diaphragm.
        rim: distance from the outer pleura, body units, positive inside.
        above: height over the diaphragm, body units.
        outer, front: lookup tables by height: lateral or posterior wall, anterior wall.
        base: height of the domes; ratio: cardiothoracic ratio.
        hila: body coordinates of the right and the left hilum; domes: height of the right and the left one.
        each: projections of the right and the left lung in the lateral view.
    """

    lateral_view: bool
    supine: bool
    grid: Grid
    solid: Array
    air: Array
    vessels: Array
    inside: Array
    heart: Array
    side: Array
    across: Array
    down: Array
    rim: Array
    above: Array
    outer: Array
    front: Array
    base: float
    ratio: float
    hila: tuple[tuple[float, float], tuple[float, float]]
    domes: tuple[float, float]
    each: tuple[Array, Array] | None = None

    @property
    def share(self) -> float:
        """Share of one lung in the air behind a pixel."""
        return 0.5 if self.lateral_view else 1.0

    def lung(self, side: int) -> Array:
        """Projection of one lung, 0..1."""
        if self.each is not None:
            return self.each[side > 0]
        return self.inside * (self.side == side)

    def spot(self, side: int, across: float, depth: float, down: float) -> tuple[float, float]:
        """Body coordinates of a point in one lung.

        Args:
            across: 0 at the midline to 1 at the wall; depth: 0 at the sternum to 1 at the back.
            down: 0 at the apex to 1 at the dome.
        """
        y = APEX + down * (self.base - APEX)
        row = min(len(self.outer) - 1, max(0, int((y - LOW) / (HIGH - LOW) * len(self.outer))))
        far = float(self.outer[row])
        if not self.lateral_view:
            return side * across * far, y
        near = float(self.front[row])
        return near + depth * (far - near), y


@dataclass(frozen=True, eq=False)
class Effect:
    """Effect of one finding on the image; arrays cover ``where``.

    Attributes:
        extent: coverage, 0..1; the mask is where it exceeds half its peak.
        opacity: share of the air replaced by fluid or tissue.
        lucency: additional air, as a share of the normal air.
        vessel_loss: share of the vessels removed.
        added: added attenuation, independent of the air: walls, calcification; negative for gas.
    """

    extent: Array
    opacity: Array | None = None
    lucency: Array | None = None
    vessel_loss: Array | None = None
    added: Array | None = None
    where: Region = EVERYWHERE


def shadow_of(chest: Chest, effects: Sequence[Effect]) -> Array:
    """(S, S) attenuation of the chest with its findings, independent of their order."""
    air, vessels, total = chest.air, chest.vessels, chest.solid
    if effects:
        air, vessels, total = air.copy(), vessels.copy(), total.copy()
    for effect in effects:
        if effect.opacity is not None:
            air[effect.where] *= 1 - effect.opacity
        if effect.lucency is not None:
            air[effect.where] *= 1 + effect.lucency
        if effect.vessel_loss is not None:
            vessels[effect.where] *= 1 - effect.vessel_loss
        if effect.added is not None:
            total[effect.where] += effect.added
    drawn: Array = total - air * (1 - vessels)
    return drawn


def mask_of(effects: Sequence[Effect], size: int) -> np.ndarray:
    """(S, S) uint8, 255 inside any effect."""
    mask = np.zeros((size, size), np.uint8)
    for effect in effects:
        # a line thinner than a pixel covers no pixel by half, so the limit follows the peak
        limit = 0.5 * min(1.0, float(effect.extent.max(initial=0.0)))
        mask[effect.where][effect.extent > max(limit, 0.05)] = 255
    return mask
