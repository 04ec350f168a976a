"""Attenuation of ribs, shoulder girdle and spine in the frontal view."""

from dataclasses import replace

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid, ellipse, unit
from benchmark.phantoms.canvas.raster import edge
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.torso import Patient, Pose


def ribs(patient: Patient, chest: Chest, grid: Grid, lateral: Array) -> Array:
    """Posterior and anterior ribs: bands that meet at the chest wall."""
    wall = np.minimum(chest.across * np.float32(0.97), 1.06)
    turn = np.sqrt(np.maximum(1 - wall * wall, 0) + np.float32(0.002))
    level = grid.y + 0.12 * grid.y * grid.y  # the lower ribs are further apart
    level += 0.012 * np.sin(
        5 * grid.y + 4 * grid.x + np.float32(9 * patient.rib_phase)
    )  # and slightly uneven
    drop = np.float32(patient.rib_drop) * (1 + 0.6 * grid.y)
    back = level - drop * (0.55 * wall + 1 - turn)
    front = level - drop * (1.55 + 2.1 * turn)
    gap = patient.rib_gap
    steep = 1 / np.sqrt(1 + (drop * wall / np.maximum(turn, 0.18)) ** 2)
    posterior = rib_bands(back, gap, patient.rib_phase, 0.031, grid, steep)
    anterior = rib_bands(front, gap, patient.rib_phase + 0.3, 0.034, grid, steep)
    cage = edge(1.05 - chest.across, 0.02, grid) * edge(grid.y + 0.70, 0.04, grid)
    cage *= 1 - 0.65 * edge(-chest.above - 0.06, 0.06, grid)
    bony = unit((wall - 0.40) * 4)  # anteriorly the ribs end in cartilage
    bony = bony * (0.46 * edge(0.34 - grid.y, 0.12, grid))
    total = posterior * (edge(lateral - 0.075, 0.015, grid) * (0.90 + 0.45 * unit((wall - 0.7) * 3.3)))
    return (total + anterior * bony) * cage


def rib_bands(
    level: Array, gap: float, phase: float, half: float, grid: Grid, steep: Array | np.float32
) -> Array:
    """Bands of half width ``half`` at integer phases, with a brighter rim for the cortical bone."""
    turns = level * np.float32(1 / gap) + np.float32(phase)
    away = np.abs(turns - np.round(turns)) * (np.float32(gap) * steep)
    part = np.minimum(away * np.float32(1 / half), 1)
    return edge(half - away, 0.006, grid) * (0.52 + 0.48 * part * part * part)


def shoulder_girdle(patient: Patient, pose: Pose, grid: Grid, width: float, lateral: Array) -> Array:
    """Clavicles, scapulae and humeral heads."""
    lift = patient.shoulder * 0.6 + (-0.05 if pose.view == "AP" else 0.0)
    line = -0.545 + lift - 0.20 * lateral + 0.030 * np.sin(6.5 * lateral - 0.6)
    away = np.abs(grid.y - line)
    thick = 0.033 - 0.006 * unit(lateral * 1.5)
    clavicle = edge(thick - away, 0.006, grid) * (0.62 + 0.38 * np.minimum((away / thick) ** 2, 1))
    clavicle *= edge(lateral - 0.06, 0.02, grid) * edge(0.84 - lateral, 0.03, grid)
    half = replace(grid, x=lateral)
    blade_x = width + 0.20 - 0.20 * pose.arms
    distance = ellipse(half, (blade_x, -0.36 + lift), (0.135, 0.31), -0.20)
    blade = edge(distance, 0.012, grid) * (0.35 + 0.4 * edge(0.022 - distance, 0.01, grid))
    spine = edge(0.020 - np.abs(grid.y + 0.56 - lift + 0.35 * (lateral - blade_x)), 0.01, grid) * edge(
        0.20 - np.abs(lateral - blade_x - 0.04), 0.03, grid
    )
    joint = ellipse(half, (width + 0.33, -0.60 + lift), (0.11, 0.12))
    head = edge(joint, 0.010, grid)
    shaft = edge(0.06 - np.abs(lateral - width - 0.37 - 0.12 * (grid.y + 0.5)), 0.01, grid) * edge(
        grid.y + 0.55 - lift, 0.05, grid
    )
    return clavicle + 0.55 * blade + 0.30 * spine + 0.8 * np.maximum(head, 0.9 * shaft)


def spine(patient: Patient, grid: Grid) -> Array:
    """Vertebral column with discs, pedicles and spinous processes."""
    bend = np.float32(patient.scoliosis) * np.sin(3.0 * grid.y + 6 * patient.rib_phase)
    away = np.abs(grid.x - bend)
    turns = grid.y * np.float32(1 / (0.98 * patient.rib_gap)) + np.float32(patient.pedicle)
    part = np.abs(turns - np.round(turns))
    disc = edge(0.12 - part, 0.05, grid)
    column = edge(0.082 + 0.012 * disc - away, 0.010, grid) * (1 - 0.38 * disc)
    pedicle = edge(0.22 - np.abs(part - 0.32), 0.05, grid) * edge(0.014 - np.abs(away - 0.056), 0.008, grid)
    return column + 0.35 * pedicle + 0.30 * edge(0.016 - away, 0.008, grid) * (1 - disc)
