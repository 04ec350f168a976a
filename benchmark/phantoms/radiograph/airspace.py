"""Parenchymal findings: consolidation, edema, fibrosis, emphysema, atelectasis."""

from dataclasses import replace

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, ellipse, unit
from benchmark.phantoms.canvas.raster import crop_grid, edge, reticulation, texture
from benchmark.phantoms.radiograph.pathology import FindingSpec
from benchmark.phantoms.radiograph.projection import Chest, Effect


def lobe(spec: FindingSpec, chest: Chest, side: int) -> Array:
    """Projected lobe of one lung, 0..1; sharp where a fissure is tangential to the beam."""
    grid, down, across = chest.grid, chest.down, chest.across
    if chest.lateral_view:
        behind = down - 0.28 - (0.85 - across) * 1.15  # the oblique fissure
        if spec.form == "lower":
            shape = edge(behind, 0.012, grid)
        elif spec.form == "middle":
            shape = edge(-behind, 0.012, grid) * edge(down - 0.52, 0.012, grid)
        else:
            shape = edge(-behind, 0.012, grid) * edge((0.52 if side < 0 else 0.9) - down, 0.012, grid)
    elif spec.form == "upper":
        shape = edge(0.52 - down, 0.008, grid) if side < 0 else edge(0.66 - down + 0.1 * across, 0.06, grid)
    elif spec.form == "middle":
        shape = edge(down - 0.52, 0.008, grid) * edge(0.85 - across - 0.45 * (down - 0.52), 0.10, grid)
    else:
        shape = edge(down - 0.44 + 0.10 * (1 - across), 0.07, grid)
    return shape * chest.lung(side)


def _start(spec: FindingSpec) -> tuple[float, float, float]:
    """Lung coordinates at which a consolidation begins in its lobe."""
    across, depth, down = spec.spots[0]
    if spec.form == "upper":
        return across, 0.3 + 0.4 * depth, 0.14 + 0.32 * down
    if spec.form == "middle":
        return 0.25 + 0.4 * across, 0.3 * depth, 0.60 + 0.25 * down
    return across, 0.65 + 0.3 * depth, 0.62 + 0.30 * down


def consolidation(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Lobar consolidation up to the fissure, with air bronchograms."""
    return [_lobar(spec, chest, side) for side in spec.sides]


def _lobar(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng([spec.seeds[0], side + 1])
    center = chest.spot(side, *_start(spec))
    reach = 0.13 + 0.42 * grade
    crumbly = 0.07 * texture(rng, grid, 0.20)
    part = edge(ellipse(grid, center, (reach * 1.1, reach), rng.normal(0, 0.4)) + crumbly, 0.05, grid)
    extent = lobe(spec, chest, side) * part
    rough = 1 + 0.12 * texture(rng, grid, 0.10)
    opacity = np.minimum(extent * rough * (0.62 + 0.32 * grade), 0.96)
    opacity *= 1 - 0.7 * min(1.0, 0.4 + grade) * _bronchi(rng, chest, side, center)
    return Effect(extent=extent, opacity=chest.share * opacity)


def _bronchi(rng: np.random.Generator, chest: Chest, side: int, towards: tuple[float, float]) -> Array:
    """Air bronchogram from the hilum into a consolidation, 0..1."""
    x, y = chest.hila[side > 0]
    aim = np.arctan2(towards[1] - y, towards[0] - x)
    angles = aim + np.linspace(-0.55, 0.55, 4) + rng.normal(0, 0.12, 4)
    total = np.zeros_like(chest.air)
    for points, amount in fields.branches(rng, np.array([x, y]), angles, 0.17, 3, 0.024):
        total += fields.splat(points, amount, 0.012, chest.grid)
    return unit(total * 30)


def pneumonia(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Ill-defined patches of consolidation that merge, mostly within one lobe."""
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng(spec.seeds[0])
    crumbly = 0.06 * texture(rng, grid, 0.15)
    fine = 1 + 0.22 * texture(rng, grid, 0.07)
    effects = []
    for side in spec.sides:
        clear = np.ones_like(chest.air)
        across, depth, down = _start(spec)
        for number in range(4):
            spot = (across + rng.normal(0, 0.13), depth + rng.normal(0, 0.08), down + rng.normal(0, 0.09))
            size = (0.08 + 0.13 * grade) * float(np.exp(rng.normal(0, 0.3)))
            shape = (size, size * rng.uniform(0.7, 1.1))
            turn, last = rng.normal(0, 0.6), 1 + int(rng.random() < 0.8) + int(rng.random() < 0.6)
            if number <= last:
                blob = ellipse(grid, chest.spot(side, *np.clip(spot, 0.08, 1.0)), shape, turn)
                clear *= 1 - edge(blob + crumbly, 0.055, grid)
        extent = (1 - clear) * chest.lung(side)
        opacity = np.clip(extent * fine * (0.28 + 0.50 * grade), 0, 0.9)
        effects.append(Effect(extent=extent, opacity=chest.share * opacity))
    return effects


def infiltration(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Ill-defined haze with fine reticulation."""
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng(spec.seeds[0])
    lines = reticulation(texture(rng, grid, 0.045), 0.6)
    cloud = 0.5 * texture(rng, grid, 0.30)
    effects = []
    for side in spec.sides:
        center = chest.spot(side, *spec.spots[0])
        reach = 0.20 + 0.26 * grade
        away = ellipse(grid, center, (reach, reach * rng.uniform(0.9, 1.4)), rng.normal(0, 0.4))
        extent = unit(0.5 + (away + 0.10 * cloud) * np.float32(1 / 0.22)) * chest.lung(side)
        opacity = extent * (0.12 + 0.34 * grade) * (0.55 + 0.55 * lines)
        effects.append(Effect(extent=extent, opacity=chest.share * opacity))
    return effects


def edema(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Bilateral edema: perihilar bat-wing opacities, or interstitial with Kerley lines."""
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng(spec.seeds[0])
    cloud = texture(rng, grid, 0.22)
    if chest.lateral_view:
        far = ((chest.across - 0.55) / 0.34) ** 2 + ((chest.down - 0.58) / 0.36) ** 2
    else:
        far = ((chest.across - 0.36) / 0.27) ** 2 + ((chest.down - 0.58) / 0.34) ** 2
    reach = 0.45 + 1.3 * grade
    wing = np.exp(-far * np.float32(1 / reach)) * np.maximum(1 + 0.22 * cloud, 0.2)
    fine = reticulation(texture(rng, grid, 0.030), 0.7)
    alveolar = 0.66 if spec.form == "wing" else 0.30
    opacity = wing * (0.14 + alveolar * grade) * (0.90 + 0.2 * fine)
    opacity += (0.05 + 0.12 * grade) * fine * unit(chest.down * 1.6)
    opacity = np.clip(opacity + _kerley(rng, spec, chest), 0, 0.85) * chest.inside
    extent = chest.inside * edge(wing - (0.52 - 0.22 * grade), 0.02, grid)
    return [Effect(extent=extent, opacity=opacity, vessel_loss=(0.35 * wing * grade) * chest.inside)]


def _kerley(rng: np.random.Generator, spec: FindingSpec, chest: Chest) -> Array:
    """Kerley B lines at the lateral bases, and fluid in the horizontal fissure."""
    ramp = np.linspace(0, 1, 10)
    points, amounts = [], []
    for number in range(14):
        side = -1 if number % 2 else 1
        x, y = chest.spot(side, 0.985, rng.uniform(0.1, 0.95), rng.uniform(0.62, 1.02))
        length = rng.uniform(0.05, 0.10)
        tilt = rng.normal(0, 0.12)
        inward = -side if not chest.lateral_view else -1
        points.append(np.stack([x + inward * length * ramp, y + tilt * length * ramp], -1))
        amounts.append(np.full(10, length / 10 * 0.008))
    if not chest.lateral_view:
        x, y = chest.spot(-1, 0.95, 0.5, 0.52)
        points.append(np.stack([np.linspace(-0.14, x, 40), y + 0.03 * np.linspace(1, 0, 40) ** 2], -1))
        amounts.append(np.full(40, abs(x + 0.14) / 40 * 0.006))
    strength = np.float32((0.25 + 0.6 * spec.grade) * (1.0 if spec.form == "interstitial" else 0.55))
    return strength * unit(fields.splat(np.concatenate(points), np.concatenate(amounts), 0.006, chest.grid))


def fibrosis(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Coarse reticulation, mostly peripheral and basal, or apical."""
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng(spec.seeds[0])
    lines = reticulation(texture(rng, grid, 0.040), 0.45)
    coarse = reticulation(texture(rng, grid, 0.080), 0.35)
    cloud = texture(rng, grid, 0.25)
    weave = 0.65 * lines + 0.45 * coarse
    rim = unit(1 - chest.rim * np.float32(1 / (0.10 + 0.22 * grade)))
    if spec.form == "basal":
        zone = unit((chest.down - 0.95 + 0.62 * grade) * 2.6) * (0.45 + 0.55 * rim)
    else:
        zone = unit((0.18 + 0.30 * grade - chest.down) * 4.5) * (0.75 + 0.25 * rim)
    zone = unit(zone * (1 + 0.25 * cloud))
    effects = []
    for side in spec.sides:
        here = zone * chest.lung(side)
        opacity = np.minimum(here * (0.10 + 0.20 * grade + (0.30 + 0.45 * grade) * weave), 0.85)
        effects.append(
            Effect(extent=edge(here - 0.2, 0.02, grid), opacity=chest.share * opacity, vessel_loss=0.4 * here)
        )
    return effects


def emphysema(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Hyperlucency with few vessels, sometimes thin-walled bullae."""
    grid, grade = chest.grid, spec.grade
    rng = np.random.default_rng(spec.seeds[0])
    cloud = texture(rng, grid, 0.30)
    upper = unit(1.25 - chest.down) if spec.form == "upper" else np.ones_like(chest.down)
    weight = upper * np.maximum(1 + 0.25 * cloud, 0.2) * chest.inside
    extent = chest.inside * edge(0.32 + 0.72 * grade - chest.down, 0.03, grid)
    effects = [
        Effect(
            extent=extent,
            lucency=(0.05 + 0.15 * grade) * weight,
            vessel_loss=unit((0.20 + 0.60 * grade) * weight),
        )
    ]
    for number in range(spec.count if grade > 0.45 else 0):
        side = -1 if rng.random() < 0.5 else 1
        across, depth, down = spec.spots[number]
        radius = rng.uniform(0.05, 0.13) * (0.5 + grade)
        where, part = crop_grid(grid, chest.spot(side, across, depth, down), radius + 0.04)
        away = ellipse(part, chest.spot(side, across, depth, down), (radius, 0.85 * radius))
        hole = edge(away, 0.012, part) * chest.inside[where]
        wall = edge(0.005 - np.abs(away), 0.003, part) * chest.inside[where]
        effects.append(
            Effect(extent=hole, lucency=0.12 * hole, vessel_loss=0.8 * hole, added=0.03 * wall, where=where)
        )
    return effects


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
