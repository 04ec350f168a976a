"""What a finding does to the picture, and how the effects of several findings add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.canvas.fields import Array
from benchmark.phantoms.canvas.raster import EVERYWHERE, Region
from benchmark.phantoms.radiograph.projection import Chest


@dataclass(frozen=True, eq=False)
class Effect:
    """What one finding does to the picture; arrays cover ``where``.

    Attributes:
        extent: 0..1, where the finding lies; the mask is what exceeds half its peak.
        opacity: share of the air that fluid or tissue replaces.
        lucent: additional air, as a share of the normal air.
        bare: share of the vessels that are gone.
        added: attenuation that is added, whatever the air: walls, chalk; negative for gas.
    """

    extent: Array
    opacity: Array | None = None
    lucency: Array | None = None
    vessel_loss: Array | None = None
    added: Array | None = None
    where: Region = EVERYWHERE


def shadow(chest: Chest, effects: Sequence[Effect]) -> Array:
    """Attenuation of the chest with its findings, whatever their order; (S, S)."""
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
    """255 where one of the effects lies, (S, S) uint8."""
    mask = np.zeros((size, size), np.uint8)
    for effect in effects:
        # a line thinner than a pixel has no half-covered pixel, but it has a place
        limit = 0.5 * min(1.0, float(effect.extent.max(initial=0.0)))
        mask[effect.where][effect.extent > max(limit, 0.05)] = 255
    return mask
