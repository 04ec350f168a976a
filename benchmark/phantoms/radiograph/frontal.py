"""Frontal projection of the torso: lungs, mediastinum, bones, soft tissue."""

from dataclasses import replace

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid, ellipse, unit
from benchmark.phantoms.canvas.raster import LookupIndex, crop_grid, edge, lookup, lookup_index, profile
from benchmark.phantoms.radiograph import skeleton, vasculature
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.torso import APEX, AnatomyChange, Patient, Pose, heart_ratio

_REACH = 3.2  # of the tables


def project(patient: Patient, pose: Pose, change: AnatomyChange, grid: Grid) -> Chest:
    """Project the chest of a patient, changed by the findings, in a frontal exposure."""
    size = len(grid.row)
    at = lookup_index(grid.y, size)
    base = patient.base + 0.09 * change.flat - pose.breath
    width = patient.width * (1 + 0.03 * change.flat)
    outer_line = profile(_OUTER_AT, np.array(_OUTER) * (width / 0.66), at.length, 0.012)
    outer = outer_line.take(at.index)
    inner = lookup((-0.78, -0.74, -0.70, -0.60, -0.40), (0.23, 0.15, 0.10, 0.06, 0.03), at, 0.015)
    slope = np.diff(outer_line, append=outer_line[-1]) * np.float32(at.length / _REACH)
    lateral = np.abs(grid.x)
    side = np.where(grid.x < 0, np.float32(-1), np.float32(1))
    across = lateral / outer
    rim = np.minimum((outer - lateral) * (1 / np.hypot(1, slope)).take(at.index), grid.y - (APEX - 0.012))
    domes = (base - patient.dome_gap / 2 - change.dome_right, base + patient.dome_gap / 2 - change.dome_left)
    above = _floor(domes, change, across, side, size) - grid.y
    walls = edge(rim, 0.010, grid) * edge(lateral - inner, 0.015, grid)
    inside = walls * edge(above, 0.010, grid)
    heart, ratio, limits = _middle(patient, pose, change, grid, at, base, width)
    down = (grid.y - APEX) * np.float32(1 / (base - APEX))
    density = 0.56 * (1 + 0.10 * change.flat) * (1 - 0.12 * pose.breath)
    depth = (1 - 0.25 * across**4) * (0.70 + 0.30 * unit(down * 2.2) - 0.16 * unit(down * 2 - 1))
    recess = unit(1 + above * np.float32(1 / 0.17))  # lung behind the dome
    air = density * depth * (1 - heart) * walls * (np.maximum(inside, 0.16 * recess * (above < 0)))
    hila = ((-0.155 + limits, -0.10 - change.hilum_right), (0.165 + limits, -0.145 - change.hilum_left))
    chest = Chest(
        lateral_view=False, supine=pose.supine, grid=grid, solid=air, air=air, vessels=air, inside=inside,
        heart=heart, side=side, across=across, down=down, rim=rim, above=above, outer=outer_line,
        front=outer_line, base=base, ratio=ratio, hila=hila, domes=domes,
    )  # fmt: skip
    vessels = vasculature.frontal(patient, chest, change) * walls
    return replace(chest, solid=_solid(patient, pose, change, chest, at, width), vessels=vessels)


_OUTER_AT = (-0.78, -0.765, -0.745, -0.72, -0.66, -0.55, -0.40, -0.20, 0.05, 0.30, 0.60)
_OUTER = (0.22, 0.27, 0.315, 0.355, 0.42, 0.49, 0.56, 0.62, 0.655, 0.665, 0.65)


def _floor(domes: tuple[float, float], change: AnatomyChange, across: Array, side: Array, size: int) -> Array:
    """Height of the diaphragm at each pixel."""
    round_dome = np.array([0.08, 0.035, 0.0, 0.03, 0.10, 0.175, 0.255, 0.33])
    flat_dome = np.array([0.02, 0.01, 0.0, 0.0, 0.02, 0.045, 0.075, 0.10])
    flat = min(change.flat, 1.0)
    place = lookup_index(across, size)
    at = (0.0, 0.2, 0.42, 0.62, 0.78, 0.89, 0.97, 1.05)
    bowl = lookup(at, (1 - flat) * round_dome + flat * flat_dome, place, 0.03)
    right, left = domes
    floor = bowl + ((left + right) / 2 + side * np.float32((left - right) / 2))
    if change.sulcus_right or change.sulcus_left:
        deep = np.where(side < 0, np.float32(change.sulcus_right), np.float32(change.sulcus_left))
        floor = floor + deep * unit((across - 0.72) * 4) ** 2
    return floor


def _middle(
    patient: Patient,
    pose: Pose,
    change: AnatomyChange,
    grid: Grid,
    at: LookupIndex,
    base: float,
    width: float,
) -> tuple[Array, float, float]:
    """Silhouette of heart and great vessels, 0..1; cardiothoracic ratio; shift of the midline."""
    magnified = 1.11 if pose.view == "AP" else 1.0
    ratio = heart_ratio(patient, change) * magnified + 0.25 * pose.breath
    wide = ratio * 2 * width
    right, left = 0.33 * wide, 0.67 * wide
    vein = 0.012 * (pose.view == "AP") + 0.06 * max(0.0, change.heart)
    knob, bulge = 0.078 + patient.knob, 0.05 * patient.unfolded
    low = np.array([0.0, 0.3, 0.55, 0.8, 0.95, 1.1, 1.35]) * (base + 0.07) - 0.07
    upper = (-1.2, -0.85, -0.62, -0.47, -0.36, -0.265, -0.17)
    to_left = 0.135 + (left - 0.135) * np.array([0.0, 0.30, 0.68, 0.95, 1.0, 0.92, 0.6])
    to_right = 0.10 + (right - 0.10) * np.array([0.0, 0.50, 0.88, 1.0, 0.9, 0.7, 0.4])
    left_line = [
        0.16,
        0.10,
        0.075 + vein,
        0.085 + vein,
        knob + vein,
        0.090 + vein,
        0.118 + bulge * 0.6,
        *to_left,
    ]
    right_line = [0.16, 0.11, 0.078 + vein, 0.074 + vein, 0.080 + vein, 0.088 + vein, 0.094 + vein, *to_right]
    left_line[7] += bulge * 0.4
    heights = (*upper, *low)
    shift = 0.07 * pose.turn + change.shift
    middle = grid.x - 0.07 * pose.turn - change.shift * _free(grid)
    border = np.where(
        middle > 0, lookup(heights, left_line, at, 0.022), lookup(heights, right_line, at, 0.022)
    )
    away = border - np.abs(middle)
    shadow = edge(away, 0.012, grid) * (0.66 + 0.27 * unit(away * 6))
    return shadow, ratio, shift


def _free(grid: Grid) -> Array:
    """Mobility of the midline under a shift: 0 at the neck, 1 at the heart."""
    return unit((grid.y + np.float32(0.85)) * 2)


def _solid(
    patient: Patient, pose: Pose, change: AnatomyChange, chest: Chest, at: LookupIndex, width: float
) -> Array:
    """Attenuation of the body as if the lungs had no air."""
    grid = chest.grid
    lateral = np.abs(grid.x)
    inside, depth = _outline(patient, pose, grid, at, lateral, width)
    belly = edge(-chest.above, 0.08, grid)
    soft = (0.40 + 0.9 * (patient.wall - 0.13)) + 0.38 * depth + 0.13 * belly + 0.10 * chest.heart
    soft -= 0.14 * unit((grid.y + 0.45) * -2) * depth  # the midline of neck and shoulders is thinner
    soft += 0.07 * unit((grid.y + 0.50) * -5) * chest.inside  # muscle and the first rib over the apices
    if patient.breast:
        soft += 1.15 * patient.breast * _breasts(patient, grid, width)
    soft -= 0.16 * _airway(pose, change, grid)
    bone = 0.145 * skeleton.ribs(patient, chest, grid, lateral)
    bone += 0.15 * skeleton.shoulder_girdle(patient, pose, grid, width, lateral) + 0.10 * skeleton.spine(
        patient, grid
    )
    total = inside * (soft + patient.bone * bone)
    _gas(patient, chest, total)
    _calcified_arch(patient, pose, change, grid, total)
    return total


def _outline(
    patient: Patient, pose: Pose, grid: Grid, at: LookupIndex, lateral: Array, width: float
) -> tuple[Array, Array]:
    """Body outline, 0..1, and depth relative to its maximum."""
    trunk, lift = width + patient.wall, patient.shoulder
    heights = (-1.3, -1.04, -0.98 + lift, -0.91 + lift, -0.83 + lift, -0.70, -0.45, -0.28, -0.10, 0.2, 0.5, 1)
    flanks = (trunk + 0.19, trunk + 0.07, trunk, trunk - 0.02, trunk - 0.05)
    widths = (0.18, 0.23, 0.36, 0.58, 0.84, 0.98, 1.03, *flanks)
    half = lookup(heights, widths, at, 0.04)
    inside = edge(half - lateral, 0.012, grid)
    if pose.view == "AP":  # the arms hang beside the trunk
        center = trunk + 0.22 + 0.1 * (0.4 - grid.y)
        arm = edge(0.15 - np.abs(lateral - center), 0.02, grid) * edge(grid.y + 0.5, 0.1, grid)
        inside = np.maximum(inside, 0.75 * arm)
    depth = np.sqrt(unit(1 - (lateral * np.float32(1 / (trunk + 0.04))) ** 2) + np.float32(0.02))
    return inside, depth


def _breasts(patient: Patient, grid: Grid, width: float) -> Array:
    """Breast tissue, 0..1, with a sharp lower border."""
    half = replace(grid, x=np.abs(grid.x))
    center = (0.66 * width, 0.16 + patient.breast_drop)
    shape = ellipse(half, center, (0.31, 0.27 + 0.3 * patient.breast), 0.25)
    lower = unit((grid.y - patient.breast_drop + 0.12) * 2.4)
    breasts: Array = np.sqrt(unit(shape * 4.5)) * lower
    return breasts


def _airway(pose: Pose, change: AnatomyChange, grid: Grid) -> Array:
    """Trachea and main bronchi, 0..1."""
    middle = grid.x + (0.012 - 0.06 * pose.turn) - 0.8 * change.shift * _free(grid)
    away = np.abs(middle)
    tube = edge(0.036 - away, 0.014, grid) * edge(-0.27 - grid.y, 0.03, grid)
    # the right main bronchus is steeper than the left
    drop = np.where(middle < 0, np.float32(0.95), np.float32(0.62))
    bronchi = edge(0.019 - np.abs(grid.y + 0.28 - drop * away) * 0.75, 0.012, grid) * edge(
        0.16 - away, 0.03, grid
    )
    return np.maximum(tube, 0.65 * bronchi)


def _gas(patient: Patient, chest: Chest, total: Array) -> None:
    """Subtract gas in stomach and colon below the diaphragm, in place."""
    rng = np.random.default_rng([patient.seed, 3])
    grid, left = chest.grid, chest.domes[1]
    spots = []
    if patient.stomach > 0.35:
        grow = 0.06 + 0.09 * patient.stomach
        spots.append(((0.30, left + 0.10 + 0.5 * grow), (grow * 1.2, 0.6 * grow), -0.15, 0.24))
    for _ in range(patient.colon):
        x = rng.uniform(-0.55, 0.55)
        spots.append(((x, left + rng.uniform(0.22, 0.5)), (rng.uniform(0.04, 0.12), rng.uniform(0.03, 0.06)),
                      rng.normal(0, 0.5), rng.uniform(0.08, 0.2)))  # fmt: skip
    for center, axes, angle, depth in spots:
        where, part = crop_grid(grid, center, max(axes) + 0.05)
        hole = edge(ellipse(part, center, axes, angle), 0.014, part)
        total[where] -= depth * hole * edge(-chest.above[where] - 0.015, 0.01, part)


def _calcified_arch(patient: Patient, pose: Pose, change: AnatomyChange, grid: Grid, total: Array) -> None:
    """Add the calcified aortic arch, a thin bright arc at the knob, in place."""
    if patient.calcified < 0.1:
        return
    center = (0.045 + 0.07 * pose.turn + change.shift, -0.36)
    where, part = crop_grid(grid, center, 0.2)
    radius = 0.036 + patient.knob * 0.9
    arc = edge(0.007 - np.abs(ellipse(part, center, (radius, radius * 1.05))), 0.004, part)
    total[where] += 0.16 * patient.calcified * arc * edge(part.x - center[0] - 0.01, 0.02, part)
