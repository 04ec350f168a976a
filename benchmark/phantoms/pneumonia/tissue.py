"""Attenuation of a body without a finding: bones, soft tissue, air and vessels, projected."""

from dataclasses import dataclass, replace

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, Grid, edge, ellipse, unit
from benchmark.phantoms.pneumonia.anatomy import HILUM_X, HILUM_Y, Body, Lungs, Pose


@dataclass(frozen=True, eq=False)
class Tissue:
    """Attenuation by layer, each (S, S).

    ``air`` is subtracted from ``solid``; ``vessels`` is the share of the air that blood replaces.
    """

    solid: Array
    air: Array
    vessels: Array


def _smooth(t: Array) -> Array:
    t = unit(t)
    return t * t * (3 - 2 * t)


def _ribs(body: Body, lungs: Lungs) -> Array:
    """Posterior and anterior ribs: two families of evenly spaced sloping bands."""
    grid, across = lungs.grid, np.clip(lungs.across, 0, 1.25)
    level = grid.y + 0.10 * grid.y * grid.y
    cage = edge(1.10 - across, 0.02, grid) * edge(across - 0.10, 0.02, grid)
    cage *= edge(grid.y + 0.68, 0.05, grid) * edge(0.62 - grid.y, 0.08, grid)
    cage *= 1 - 0.5 * edge(lungs.down - 1.05, 0.06, grid)  # faint behind the abdomen
    back = level - body.rib_slope * (across - 0.18) ** 2
    front = level - 1.5 * body.rib_slope * (1 - across) + 0.3 * (1 - across) ** 2
    gap, phase = body.rib_gap, body.rib_phase
    total = _bands(back / gap + phase, gap, 0.029, grid)
    total *= 1 + 0.45 * unit((across - 0.75) / 0.25)  # seen edge-on at the chest wall
    bony = unit((across - 0.45) * 4)
    return (total + 0.55 * bony * _bands(front / gap + phase + 0.45, gap, 0.034, grid)) * cage


def _bands(phase: Array, gap: float, half: float, grid: Grid) -> Array:
    """Bands of half width ``half`` at integer phases, with a brighter rim for the cortical bone."""
    away = np.abs(phase - np.round(phase)) * gap
    rim = 0.7 + 0.3 * np.minimum((away / half) ** 2, 1)
    return edge(half - away, 0.008, grid) * rim


def _mirrored(grid: Grid, middle: float = 0.0) -> Grid:
    """The grid folded at the midline, for symmetric structures."""
    return replace(grid, x=np.abs(grid.x - middle))


def _shoulder_girdle(body: Body, pose: Pose, grid: Grid) -> Array:
    """Clavicles, scapulae and humeral heads."""
    half = _mirrored(grid, 0.05 * pose.turn)
    lift = body.shoulder + (-0.06 if pose.view == "AP" else 0.0)
    line = -0.60 + lift - 0.16 * half.x + 0.04 * np.sin(6.0 * half.x)
    away = np.abs(grid.y - line)
    clavicle = edge(0.027 - away, 0.008, grid) * (0.65 + 0.35 * np.minimum((away / 0.027) ** 2, 1))
    clavicle *= edge(half.x - 0.07, 0.02, grid) * edge(0.86 - half.x, 0.03, grid)
    blade_x = body.lung_width + 0.17 - 0.17 * pose.arms
    blade = edge(ellipse(half, (blade_x, -0.36 + lift), (0.12, 0.30), -0.22), 0.02, grid)
    head = edge(ellipse(half, (body.lung_width + 0.33, -0.62 + lift), (0.12, 0.13)), 0.012, grid)
    return clavicle + 0.28 * blade + 0.8 * head


def _spine(body: Body, grid: Grid) -> Array:
    """Vertebral column with discs and spinous processes."""
    away = np.abs(grid.x - body.scoliosis * np.sin(3.0 * grid.y + 6 * body.rib_phase))
    level = grid.y / (0.92 * body.rib_gap) + body.rib_phase
    disc = edge(0.13 - np.abs(level - np.round(level)), 0.07, grid)
    body_of = edge(0.085 - away, 0.014, grid) * (1 - 0.3 * disc)
    return body_of + 0.25 * edge(0.018 - away, 0.012, grid)


def _outline(body: Body, grid: Grid) -> tuple[Array, Array]:
    """Body outline, 0..1, and depth relative to its maximum."""
    lateral = np.abs(grid.x)
    half = body.lung_width + body.wall + 0.45 * _smooth((-0.22 - grid.y) / 0.40)
    half = half - 0.08 * unit(grid.y - 0.35)
    neck_side = unit((lateral - 0.22) / 0.30)
    shoulder = -1.30 + body.shoulder + 0.45 * _smooth(neck_side) + 0.35 * np.clip(lateral - 0.5, 0, 2) ** 1.5
    inside = edge(half - lateral, 0.012, grid) * edge(grid.y - shoulder, 0.02, grid)
    depth = np.sqrt(unit(1 - (lateral / (half + 0.03)) ** 2))
    return inside, depth


def _breasts(body: Body, grid: Grid) -> Array:
    """Breast tissue, 0..1, with a sharp lower border."""
    center = (0.66 * body.lung_width, 0.18 + body.breast_drop)
    shape = ellipse(_mirrored(grid), center, (0.30, 0.27), 0.2)
    lower = unit((grid.y - body.breast_drop + 0.05) * 3)
    return unit(shape * 5) ** 0.6 * lower


def _vessels(body: Body, lungs: Lungs) -> Array:
    """Share of the air that branching vessels and hila replace, 0..1."""
    rng = np.random.default_rng([body.seed, 1])
    trees = []
    for side in (-1, 1):
        fan = np.linspace(-1.3, 1.4, 9) + rng.normal(0, 0.15, 9)
        start = np.array([side * HILUM_X, HILUM_Y + 0.03 * (side < 0)]) + rng.normal(0, 0.02, (9, 2))
        start[:, 1] += 0.09 * np.linspace(-1, 1, 9)
        angles = fan if side > 0 else np.pi - fan
        trees.append(fields.branches(rng, start, angles, 0.20, 3, 0.029 * body.vessel))
    total = np.zeros_like(lungs.inside)
    for layers, width in zip(zip(*trees, strict=True), (0.024, 0.013, 0.008), strict=True):
        points, amount = (np.concatenate(part) for part in zip(*layers, strict=True))
        total += fields.splat(points, amount, width, lungs.grid)
    for side in (-1, 1):
        hilum = ellipse(lungs.grid, (side * (HILUM_X + 0.02), HILUM_Y), (0.055, 0.12), 0.3 * side)
        total += 0.013 * edge(hilum, 0.04, lungs.grid)
    share = np.minimum(total * (12.0 / (1 + 0.5 * body.emphysema)), 0.6)
    for _ in range(body.granulomas):  # healed granulomas: dense dots that are not a finding
        spot = lungs.place(int(rng.choice([-1, 1])), rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.9))
        radius = rng.uniform(0.014, 0.03)
        share = np.maximum(share, 0.55 * edge(ellipse(lungs.grid, spot, (radius, radius)), 0.01, lungs.grid))
    return share * lungs.inside


def _plates(body: Body, pose: Pose, lungs: Lungs) -> Array:
    """Plate-like atelectasis at the bases, 0..1: a nuisance in each class."""
    rng = np.random.default_rng([body.seed, 2, pose.plates])
    total = np.zeros_like(lungs.inside)
    for _ in range(pose.plates):
        spot = lungs.place(int(rng.choice([-1, 1])), rng.uniform(0.45, 0.8), rng.uniform(0.75, 0.97))
        line = ellipse(
            lungs.grid, spot, (rng.uniform(0.08, 0.18), rng.uniform(0.010, 0.022)), rng.normal(0, 0.3)
        )
        total = np.maximum(total, 0.4 * edge(line, 0.01, lungs.grid))
    return total


def _airway(pose: Pose, grid: Grid) -> Array:
    """Trachea and main bronchi, 0..1."""
    half = _mirrored(grid, -0.01 + 0.08 * pose.turn)
    tube = edge(0.035 - half.x, 0.014, grid) * edge(-0.26 - grid.y, 0.02, grid)
    bronchi = edge(0.020 - 0.7 * np.abs(grid.y + 0.27 - half.x), 0.014, grid) * edge(
        0.15 - half.x, 0.03, grid
    )
    return np.maximum(tube, 0.6 * bronchi)


def project(body: Body, pose: Pose, lungs: Lungs) -> Tissue:
    """Project a patient without a finding."""
    grid = lungs.grid
    inside, depth = _outline(body, grid)
    belly = edge(grid.y - lungs.base, 0.10, grid)
    soft = 0.42 + 0.40 * depth + 0.9 * (body.wall - 0.14) + 0.10 * belly
    soft += 0.9 * body.breast * _breasts(body, grid) - 0.10 * _airway(pose, grid)
    if body.stomach > 0.45:
        axes = (0.06 + 0.10 * body.stomach, 0.045 + 0.04 * body.stomach)
        soft -= 0.24 * edge(ellipse(grid, (0.30, lungs.base + 0.20), axes), 0.016, grid)
    bone = 0.12 * _ribs(body, lungs) + 0.13 * _shoulder_girdle(body, pose, grid) + 0.11 * _spine(body, grid)
    profile = (1 - 0.22 * lungs.across**4) * (0.80 + 0.20 * unit(lungs.down * 3))
    density = 0.55 * (1 + 0.10 * body.emphysema)
    air = density * lungs.inside * profile * lungs.free
    vessels = np.maximum(_vessels(body, lungs), _plates(body, pose, lungs))
    return Tissue(inside * (soft + body.bone * bone), air, vessels)
