"""Left lateral projection of the torso: sternum on the left, spine on the right."""

from dataclasses import replace

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid, ellipse, unit
from benchmark.phantoms.canvas.raster import LookupIndex, crop_grid, edge, lookup, lookup_index, profile
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.skeleton import rib_bands
from benchmark.phantoms.radiograph.torso import APEX, AnatomyChange, Patient, Pose, heart_ratio
from benchmark.phantoms.radiograph.vasculature import blood, fine_tissue

_HEIGHTS = (-0.78, -0.75, -0.70, -0.55, -0.30, 0.0, 0.30, 0.60, 0.9)
_FRONT = (0.05, -0.02, -0.09, -0.21, -0.36, -0.43, -0.44, -0.42, -0.38)
_BACK = (0.08, 0.16, 0.23, 0.34, 0.43, 0.45, 0.42, 0.37, 0.33)
_BEND = (0.4, 0.5, 0.6, 0.9, 1.0, 0.6, 0.2, 0.0, 0.0)


def project(patient: Patient, pose: Pose, change: AnatomyChange, grid: Grid) -> Chest:
    """Project the chest of a patient, changed by the findings, in a left lateral exposure."""
    at = lookup_index(grid.y, len(grid.row))
    base = patient.base + 0.09 * change.flat - pose.breath
    scale = patient.depth / 0.44 * (1 + 0.08 * change.flat)
    front_line = profile(_HEIGHTS, np.array(_FRONT) * scale - 0.03 * change.flat, at.length, 0.02)
    bent = np.array(_BACK) * scale + patient.kyphosis * np.array(_BEND)
    back_line = profile(_HEIGHTS, bent, at.length, 0.02)
    front, back = front_line.take(at.index), back_line.take(at.index)
    across = (grid.x - front) / np.maximum(back - front, 0.02)
    rim = np.minimum(np.minimum(grid.x - front, back - grid.x), grid.y - (APEX - 0.012))
    domes = (base - patient.dome_gap / 2 - change.dome_right, base + patient.dome_gap / 2 - change.dome_left)
    walls = edge(rim, 0.010, grid)
    bowl = _bowl(change, across, len(grid.row))
    gaps = [bowl + np.float32(dome) - grid.y for dome in domes]
    each = tuple(walls * edge(gap, 0.010, grid) for gap in gaps)
    inside = np.maximum(*each)
    heart, ratio = _heart(patient, pose, change, grid, base, scale)
    down = (grid.y - APEX) * np.float32(1 / (base - APEX))
    middle = unit(rim * 4)
    depth = np.sqrt(middle + np.float32(0.03)) * (0.62 + 0.38 * unit(down * 2))
    density = 0.60 * (1 + 0.10 * change.flat)
    air = density * depth * (0.5 * (each[0] + each[1])) * (1 - 0.55 * heart)
    shift = 0.02 * change.flat
    hila = ((0.02 + shift, -0.10 - change.hilum_right), (0.09 + shift, -0.15 - change.hilum_left))
    chest = Chest(
        lateral_view=True, supine=False, grid=grid, solid=air, air=air, vessels=air, inside=inside,
        heart=heart, side=np.zeros_like(air), across=across, down=down, rim=rim,
        above=(gaps[0] + gaps[1]) / 2, outer=back_line, front=front_line, base=base, ratio=ratio,
        hila=hila, domes=domes,
        each=(each[0], each[1]),
    )  # fmt: skip
    solid = _solid(patient, chest, at, front, back)
    return replace(chest, solid=solid, vessels=_vessels(patient, change, chest) * walls)


def _bowl(change: AnatomyChange, across: Array, size: int) -> Array:
    """Diaphragm from anterior to posterior: highest anterior to the middle, lowest posteriorly."""
    at = (0.0, 0.15, 0.35, 0.55, 0.75, 0.88, 1.0)
    round_dome = np.array([0.09, 0.03, 0.0, 0.035, 0.13, 0.22, 0.33])
    flat_dome = np.array([0.03, 0.01, 0.0, 0.01, 0.04, 0.075, 0.12])
    flat = min(change.flat, 1.0)
    return lookup(at, (1 - flat) * round_dome + flat * flat_dome, lookup_index(across, size), 0.04)


def _heart(
    patient: Patient, pose: Pose, change: AnatomyChange, grid: Grid, base: float, scale: float
) -> tuple[Array, float]:
    """Cardiac silhouette, 0..1, behind the lower sternum; a large heart reaches the spine."""
    ratio = heart_ratio(patient, change) + 0.25 * pose.breath
    grow = ratio / 0.435
    center = (-0.18 * scale + 0.14 * (grow - 1), base - 0.05 - 0.06 * (grow - 1))
    body = ellipse(grid, center, (0.30 * grow * scale, 0.20 * grow), -0.60)
    outflow = ellipse(grid, (center[0] + 0.03, center[1] - 0.11), (0.19 * grow * scale, 0.20), 0.25)
    root = ellipse(grid, (center[0] + 0.14, center[1] - 0.27), (0.085, 0.20), 0.15)
    soft = (
        (1 - edge(body, 0.045, grid))
        * (1 - 0.85 * edge(outflow, 0.05, grid))
        * (1 - 0.45 * edge(root, 0.04, grid))
    )
    return 1 - soft, ratio


def _solid(patient: Patient, chest: Chest, at: LookupIndex, front: Array, back: Array) -> Array:
    """Attenuation of the body as if the lungs had no air."""
    grid = chest.grid
    inside, depth = _outline(patient, grid, at, front, back)
    belly = edge(-chest.above, 0.06, grid)
    shoulder = edge(-0.42 - grid.y, 0.16, grid)
    soft = (0.52 + 0.7 * (patient.wall - 0.13)) + 0.30 * depth + 0.20 * belly + 0.16 * shoulder
    soft += 0.12 * chest.heart + 0.09 * _aorta(patient, grid, at, back) - 0.16 * _trachea(grid)
    away = np.abs(grid.x - front + np.float32(0.03))
    sternum = edge(0.022 - away, 0.006, grid) * edge(grid.y + 0.58, 0.02, grid)
    sternum = sternum * edge(0.22 - grid.y, 0.04, grid)
    bone = 0.15 * _spine(patient, grid, at, back) + 0.10 * sternum
    bone += 0.055 * _ribs(patient, chest, grid, front, back) + 0.06 * _shoulders(grid)
    total = inside * (soft + patient.bone * bone)
    _stomach(patient, chest, total)
    return total


def _outline(patient: Patient, grid: Grid, at: LookupIndex, front: Array, back: Array) -> tuple[Array, Array]:
    """Body outline, 0..1, and depth relative to its maximum; the arms are raised."""
    bust = np.array([0.0, 0.0, 0.1, 0.9, 1.0, 0.35, 0.1]) * (0.6 * patient.breast)
    heights = (-0.9, -0.5, -0.25, 0.05, 0.2, 0.4, 0.6)
    skin = front - np.float32(0.035 + 0.36 * patient.wall) - lookup(heights, bust, at, 0.05)
    neck = lookup((-1.3, -1.0, -0.8, -0.55), (0.26, 0.22, 0.13, 0.0), at, 0.05)
    rear = back + np.float32(0.11 + 0.5 * patient.wall)
    trunk = np.minimum(grid.x - skin + neck, rear - grid.x + 0.6 * neck)
    arm = ellipse(grid, (-0.10, -1.08), (0.60, 0.32), 0.20)
    inside = edge(np.maximum(trunk, arm), 0.012, grid)
    depth = np.sqrt(unit(np.maximum(trunk, arm) * 4.5))
    return inside, depth


def _aorta(patient: Patient, grid: Grid, at: LookupIndex, back: Array) -> Array:
    """Aortic arch and descending aorta, 0..1; unfolding makes them more visible and more posterior."""
    reach = 0.15 + 0.03 * patient.unfolded
    center = (0.08 + 0.03 * patient.unfolded, -0.20)
    ring = edge(0.045 + 0.2 * patient.knob - np.abs(ellipse(grid, center, (reach, 0.21))), 0.015, grid)
    arch = ring * edge(center[1] + 0.06 - grid.y, 0.05, grid)
    path = back - np.float32(0.17 - 0.02 * patient.unfolded)
    falling = edge(0.055 - np.abs(grid.x - path), 0.02, grid) * edge(grid.y + 0.2, 0.08, grid)
    return np.maximum(arch, (0.35 + 0.5 * patient.unfolded) * falling)


def _trachea(grid: Grid) -> Array:
    """Trachea and the end-on left main bronchus, 0..1."""
    away = grid.x - (0.045 + 0.13 * (grid.y + 0.4))
    tube = edge(0.036 - np.abs(away), 0.012, grid) * edge(-0.16 - grid.y, 0.03, grid)
    return np.maximum(tube, 0.7 * edge(ellipse(grid, (0.075, -0.13), (0.033, 0.033)), 0.01, grid))


def _spine(patient: Patient, grid: Grid, at: LookupIndex, back: Array) -> Array:
    """Vertebral bodies with discs, and posterior arches."""
    away = grid.x - back + 0.085
    level = grid.y + 0.25 * away
    turns = level * np.float32(1 / (0.98 * patient.rib_gap)) + np.float32(patient.pedicle)
    part = np.abs(turns - np.round(turns))
    disc = edge(0.13 - part, 0.04, grid)
    rim = 0.75 + 0.25 * unit(np.abs(away) * 14) ** 2
    body = edge(0.070 - np.abs(away), 0.008, grid) * (1 - 0.62 * disc) * rim
    arch = edge(0.045 - np.abs(away - 0.125), 0.02, grid) * (0.35 + 0.5 * disc)
    return body + 0.5 * arch


def _ribs(patient: Patient, chest: Chest, grid: Grid, front: Array, back: Array) -> Array:
    """Ribs of both sides, steeply descending from the spine."""
    far = unit(1 - chest.across)
    level = grid.y - 0.62 * (back - grid.x) + 0.20 * (back - grid.x) ** 2
    steep = np.float32(0.86)
    near = rib_bands(level, patient.rib_gap, patient.rib_phase, 0.026, grid, steep)
    other = rib_bands(level * 1.04 + 0.03, patient.rib_gap, patient.rib_phase + 0.35, 0.024, grid, steep)
    cage = (
        edge(chest.rim + 0.05, 0.02, grid) * edge(grid.y + 0.66, 0.06, grid) * (1 - 0.5 * unit(far * 2 - 1))
    )
    return (near + 0.8 * other) * cage * (1 - 0.6 * edge(-chest.above, 0.08, grid))


def _shoulders(grid: Grid) -> Array:
    """Scapular borders and raised humeri."""
    blade = ellipse(grid, (0.36, -0.38), (0.055, 0.30), 0.18)
    other = ellipse(grid, (0.30, -0.36), (0.05, 0.28), 0.10)
    shaft = edge(0.055 - np.abs(grid.y + 0.86 + 0.30 * (grid.x + 0.1)), 0.01, grid) * edge(
        0.12 - grid.x, 0.05, grid
    )
    head = edge(ellipse(grid, (0.10, -0.80), (0.11, 0.11)), 0.012, grid)
    thin = edge(0.014 - np.abs(blade), 0.006, grid) + edge(0.012 - np.abs(other), 0.006, grid)
    return 0.9 * thin + 0.8 * shaft + head


def _vessels(patient: Patient, change: AnatomyChange, chest: Chest) -> Array:
    """Share of the air that vessels and hila replace, 0..1."""
    rng = np.random.default_rng([patient.seed, 5])
    grid = chest.grid
    thick = 0.020 * patient.vessel * (1 - 0.35 * min(change.flat, 1.0))
    roots = []
    for x, y in chest.hila:
        fan = np.linspace(-2.7, 3.0, 10) + rng.normal(0, 0.2, 10)
        start = np.array([x, y]) + rng.normal(0, 0.075, (10, 2))
        upper = np.where(np.sin(fan) < 0, 0.85 + 0.5 * change.upper_vessels, 1.05)
        roots.append((start, fan, thick * upper))
    total = blood(rng, roots, grid)
    for x, y in chest.hila:
        where, part = crop_grid(grid, (x, y), 0.22)
        total[where] += 0.016 * patient.vessel * edge(ellipse(part, (x, y), (0.075, 0.085), 0.4), 0.035, part)
    return np.minimum(np.maximum(total * 7.0 + fine_tissue(rng, grid, chest.down), 0), 0.6)


def _stomach(patient: Patient, chest: Chest, total: Array) -> None:
    """Subtract the gastric bubble under the left hemidiaphragm, in place."""
    if patient.stomach < 0.35:
        return
    grow = 0.06 + 0.08 * patient.stomach
    center = (0.03, chest.domes[1] + 0.06 + grow)
    where, part = crop_grid(chest.grid, center, 2 * grow + 0.05)
    hole = edge(ellipse(part, center, (1.3 * grow, 0.7 * grow), 0.2), 0.014, part)
    total[where] -= 0.22 * hole * edge(-chest.above[where] - 0.02, 0.01, part)
