"""Pleural findings: effusion, pneumothorax, thickening."""

import numpy as np

from benchmark.phantoms.canvas.fields import unit
from benchmark.phantoms.canvas.raster import edge, texture
from benchmark.phantoms.radiograph.pathology import FindingSpec
from benchmark.phantoms.radiograph.projection import Chest, Effect
from benchmark.phantoms.radiograph.torso import APEX


def effusion(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Blunted angle and meniscus when upright, veil-like opacity when supine."""
    return [_veil(spec, chest, side) if chest.supine else _pool(spec, chest, side) for side in spec.sides]


def _pool(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    """Free fluid in the upright patient, with a meniscus."""
    grid, dome = chest.grid, chest.domes[side > 0]
    height = 0.05 + 0.60 * spec.grade
    curve = min(0.16, 0.6 * height)
    if chest.lateral_view:
        lowest, middle = dome + 0.33, 0.5
    else:
        lowest, middle = dome + 0.31, 0.30
    inward = unit((chest.across - middle) * np.float32(1 / (1 - middle)))
    surface = np.float32(lowest - height + curve) - np.float32(curve) * inward * inward
    fluid = edge(grid.y - surface, 0.010, grid) * chest.lung(side)
    return Effect(extent=fluid, opacity=np.float32(0.96 * chest.share) * fluid)


def _veil(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    """Layering fluid in the supine patient: haze towards the base, with visible vessels."""
    lung = chest.lung(side)
    top = 0.95 - 0.95 * spec.grade
    rise = unit((chest.down - np.float32(top)) * np.float32(1 / (0.30 + 0.5 * spec.grade)))
    low = unit(1 - chest.above * np.float32(1 / (0.05 + 0.14 * spec.grade)))
    haze = (0.22 + 0.42 * spec.grade) * rise + 0.35 * low * (chest.across > 0.4)
    rim = unit(1 - chest.rim * np.float32(1 / (0.02 + 0.04 * spec.grade))) * (0.3 * spec.grade)
    return Effect(
        extent=edge(rise - 0.15, 0.02, chest.grid) * lung, opacity=np.minimum(haze + rim, 0.9) * lung
    )


def pneumothorax(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Visceral pleural line without lung markings beyond it; supine: deep sulcus sign."""
    return [_front_air(spec, chest, side) if chest.supine else _cap(spec, chest, side) for side in spec.sides]


def _cap(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    lung, grid = chest.lung(side), chest.grid
    wave = 0.010 * texture(np.random.default_rng(spec.seeds[1]), grid, 0.35)
    # width of the pleural space by height: widest at the apex
    widest, reach = 0.055 + 0.36 * spec.grade**1.2, 0.30 + 1.5 * spec.grade
    gap = np.float32(widest) * np.sqrt(unit(1 - chest.down * np.float32(1 / reach)))
    gap = gap * (0.75 if chest.lateral_view else 1.0)
    # distance to the wall and the apex, rounded at the corner between them
    top, wall = np.maximum(grid.y - np.float32(APEX - 0.012), 0.01), np.maximum(chest.rim, 0.005)
    rim = 1 / np.sqrt(1 / (wall * wall) + 0.7 / (top * top))
    gap = np.where(gap > 0, np.maximum(gap + wave * unit(gap * 12), 0), -1)
    # the collapsed lung retracts to its hilum
    space = edge(gap - rim, 0.006, grid) * lung
    line = edge(0.0045 - np.abs(rim - gap), 0.0035, grid) * lung * (gap > 0.012)
    share = chest.share
    packed = (0.05 + 0.40 * spec.grade**2) * share * (lung - space)
    return Effect(
        extent=space,
        opacity=packed,
        lucency=0.20 * share * space,
        vessel_loss=share * space,
        added=0.060 * share * line,
    )


def _front_air(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    """Anterior air in the supine patient: hyperlucent base and deep sulcus."""
    lung, grid = chest.lung(side), chest.grid
    reach = 0.10 + 0.55 * spec.grade
    outward = chest.rim * 0.55 + chest.above * 0.6
    space = edge(np.float32(reach * 0.5) - outward, 0.05, grid) * edge(chest.down - 0.35, 0.15, grid) * lung
    return Effect(
        extent=space,
        lucency=(0.22 + 0.12 * spec.grade) * space,
        vessel_loss=(0.55 + 0.4 * spec.grade) * space,
    )


def thickening(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Apical cap, or a band along the wall; sometimes calcified."""
    return [_band(spec, chest, side) for side in spec.sides]


def _band(spec: FindingSpec, chest: Chest, side: int) -> Effect:
    grid, lung = chest.grid, chest.lung(side)
    rng = np.random.default_rng([spec.seeds[0], side + 1])
    rough = texture(rng, grid, 0.24)
    thick = (0.024 + 0.060 * spec.grade) * np.maximum(1 + 0.22 * rough, 0.4)
    if spec.form == "apical":
        height = unit((0.10 + 0.14 * spec.grade - chest.down) * 9)
        thick = thick * 1.15
    else:
        height = unit((0.16 + 0.30 * spec.grade - np.abs(chest.down - spec.spots[0][2])) * 7)
    outward = chest.rim if not chest.lateral_view else np.where(chest.across > 0.5, chest.rim, np.float32(1))
    band = edge(thick * height - outward, 0.006, grid) * lung * (height > 0)
    added = None
    if rng.random() < 0.25:
        added = 0.16 * (0.4 + spec.grade) * band * unit(rough * 1.5 - 0.4)
    return Effect(extent=band, opacity=np.float32(0.72 * chest.share) * band, added=added)
