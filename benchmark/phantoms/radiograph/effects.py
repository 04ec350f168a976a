"""Effects of findings on the image, and their superposition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.canvas.fields import Array
from benchmark.phantoms.canvas.raster import EVERYWHERE, Region
from benchmark.phantoms.radiograph.projection import Chest


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


def shadow(chest: Chest, effects: Sequence[Effect]) -> Array:
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
