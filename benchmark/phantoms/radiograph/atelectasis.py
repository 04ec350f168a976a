"""Atelectasis: plate-like, or collapse of a lobe."""

from dataclasses import replace

import numpy as np

from benchmark.phantoms.canvas.fields import ellipse, unit
from benchmark.phantoms.canvas.raster import crop_grid, edge
from benchmark.phantoms.radiograph.effects import Effect
from benchmark.phantoms.radiograph.pathology import FindingSpec
from benchmark.phantoms.radiograph.projection import Chest


def atelectasis(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Plate-like atelectasis at the base, or collapse of a lobe towards the hilum."""
    if spec.form == "plate":
        return [effect for side in spec.sides for effect in _plates(spec, chest, side)]
    return [_lobar_collapse(spec, chest, side) for side in spec.sides]


def _plates(spec: FindingSpec, chest: Chest, side: int) -> list[Effect]:
    rng = np.random.default_rng([spec.seeds[0], side + 1])
    effects = []
    for number in range(spec.count):
        across, depth, down = spec.spots[number]
        place = (across + rng.normal(0, 0.05), depth, down + rng.normal(0, 0.04))
        length = (0.09 + 0.15 * spec.grade) * rng.uniform(0.8, 1.2)
        thick = (0.009 + 0.013 * spec.grade) * rng.uniform(0.8, 1.3)
        center, tilt = chest.spot(side, *place), rng.normal(0.1 * side, 0.16)
        where, part = crop_grid(chest.grid, center, length + 0.04)
        bent = 0.25 * (part.x - center[0]) ** 2
        level = replace(part, y=part.y + bent)
        plate = edge(ellipse(level, center, (length, thick), tilt), 0.007, part) * chest.lung(side)[where]
        effects.append(
            Effect(extent=plate, opacity=(0.36 + 0.28 * spec.grade) * chest.share * plate, where=where)
        )
    return effects


def _lobar_collapse(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    """A collapsed lobe: a wedge between the hilum and the apex, or a triangle behind the heart."""
    grid, grade, lung = chest.grid, spec.grade, chest.lung(side)
    behind = np.zeros_like(lung)
    if chest.lateral_view:
        if spec.form == "upper":
            wedge = edge(0.10 + 0.26 * grade + 0.25 * (0.6 - chest.across) - chest.down, 0.012, grid)
        else:
            wedge = edge(chest.across + 0.45 * chest.down - 1.30 + 0.30 * grade, 0.02, grid)
    elif spec.form == "upper":
        wedge = edge(0.16 + 0.26 * grade + 0.05 - 0.22 * chest.across**2 - chest.down, 0.010, grid)
    else:
        limit = (0.12 + 0.34 * grade) * unit((chest.down - 0.42) * 1.7) + 0.06
        lateral = chest.side * grid.x
        wedge = edge(limit - lateral, 0.012, grid) * edge(chest.down - 0.46, 0.05, grid)
        behind = wedge * lung * chest.heart
    extent = wedge * lung
    return Effect(extent=extent, opacity=(0.62 + 0.30 * grade) * chest.share * extent, added=0.05 * behind)
