"""Depths of the interfaces below the pleura along each scan line."""

from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.ultrasound.chest import Placement, ScanLines
from benchmark.phantoms.ultrasound.findings import Finding
from benchmark.phantoms.ultrasound.probe import Array

NOWHERE = np.float32(1e3)  # mm: deeper than any image


@dataclass(frozen=True, eq=False)
class Layers:
    """Depths in mm of the interfaces below the parietal pleura, all (1, LINES).

    Attributes:
        fluid: end of the effusion, where the lung begins.
        solid: end of the consolidated lung; far: end of the fluid behind it.
        air: start of aerated lung, which returns artifacts only; NOWHERE without aerated lung.
        organ: 0 to 1, lines that meet liver or spleen instead of lung.
        diaphragm: depth of the diaphragm behind that organ.
    """

    fluid: Array
    solid: Array
    far: Array
    air: Array
    organ: Array
    diaphragm: Array


def find_layers(finding: Finding, place: Placement, lines: ScanLines) -> Layers:
    """Locate fluid, consolidation, air, organ and diaphragm along each scan line."""
    side = place.organ_side
    past = side * lines.lung - np.float32(place.organ)
    organ = np.clip(past / 4 + 0.5, 0, 1).astype(np.float32)
    diaphragm = lines.pleura + 4 + 2.6 * np.maximum(past, 0) ** 0.85 if np.isfinite(place.organ) else None
    near = (lines.lung - finding.effusion_at) / max(finding.effusion_width, 1.0)
    fluid = finding.effusion / (1 + near**4) * (1 + 0.12 * finding.border(lines.lung / 8))
    fluid = np.where(fluid > 1, fluid, 0)
    solid = np.zeros_like(lines.pleura)
    for consolidation in finding.consolidations:
        reach = np.clip(1 - ((lines.lung - consolidation.at) / consolidation.half_width) ** 2, 0, 1)
        jag = min(finding.shred * consolidation.depth, 2.0) * finding.border(
            lines.lung + 0.3 * consolidation.at
        )
        shape = consolidation.depth * reach**0.6 * (1 + 0.2 * finding.border(lines.lung / 6))
        solid = np.maximum(solid, shape + jag * np.minimum(reach * 3, 1))
    fluid_end = lines.pleura + np.maximum(fluid, 0)
    solid_end = fluid_end + solid
    wet = np.clip((fluid_end - lines.pleura) / 6, 0, 1)
    far_end = solid_end + finding.deep_fluid * wet * (1 + 0.15 * finding.border(lines.lung / 9))
    visible = finding.through_transmission & (far_end - lines.pleura > 6)
    air = np.where(visible, NOWHERE, far_end)
    dome = NOWHERE if diaphragm is None else diaphragm
    return Layers(*(np.broadcast_to(v, lines.pleura.shape).astype(np.float32)
                    for v in (fluid_end, solid_end, far_end, air, organ, dome)))  # fmt: skip
