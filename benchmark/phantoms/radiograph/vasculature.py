"""Pulmonary vessels: branching trees from the hila, and unresolved fine vessels."""

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, Grid, ellipse, unit
from benchmark.phantoms.canvas.raster import crop_grid, edge, texture
from benchmark.phantoms.radiograph.projection import Chest
from benchmark.phantoms.radiograph.torso import AnatomyChange, Patient

_OPEN = np.array([[1], [-1]])  # the two branches of a fork diverge


def frontal(patient: Patient, chest: Chest, change: AnatomyChange) -> Array:
    """Share of the air that vessels, hila and fine tissue replace in the frontal view, 0..1."""
    rng = np.random.default_rng([patient.seed, 1])
    grid = chest.grid
    thick = 0.031 * patient.vessel * (1 - 0.35 * min(change.flat, 1.0))
    roots = []
    for side, (x, y) in zip((-1, 1), chest.hila, strict=True):
        fan = np.linspace(-1.45, 1.55, 9) + rng.normal(0, 0.13, 9)
        start = np.array([x, y]) + rng.normal(0, 0.018, (9, 2))
        start[:, 1] += 0.075 * np.linspace(-1, 1, 9)
        start[:, 0] += side * 0.03 * np.cos(fan)
        # in the upright patient, perfusion favors the bases
        gravity = np.where(fan < -0.2, 0.80 + 0.55 * change.upper_vessels + 0.2 * chest.supine, 1.08)
        roots.append((start, fan if side > 0 else np.pi - fan, thick * gravity))
    total = blood(rng, roots, grid)
    for side, (x, y) in zip((-1, 1), chest.hila, strict=True):
        where, part = crop_grid(grid, (x, y), 0.25)
        knot = edge(ellipse(part, (x + 0.012 * side, y + 0.02), (0.042, 0.10), 0.35 * side), 0.03, part)
        total[where] += 0.016 * patient.vessel * knot
    share = np.minimum(np.maximum(total * 7.0 + fine_tissue(rng, grid, chest.down), 0), 0.6)
    for _ in range(patient.granulomas):  # healed granulomas: dense dots that are not a finding
        spot = chest.spot(int(rng.choice([-1, 1])), rng.uniform(0.2, 0.9), 0.5, rng.uniform(0.1, 0.9))
        radius = rng.uniform(0.012, 0.024)
        where, part = crop_grid(grid, spot, 2 * radius + 0.02)
        dot = edge(ellipse(part, spot, (radius, radius)), 0.008, part)
        share[where] = np.maximum(share[where], 0.6 * dot)
    return share


def fine_tissue(rng: np.random.Generator, grid: Grid, down: Array) -> Array:
    """Share of the air that unresolved vessels and septa replace."""
    return (0.07 + 0.050 * texture(rng, grid, 0.034) + 0.025 * texture(rng, grid, 0.13)) * (
        0.7 + 0.5 * unit(down)
    )


def blood(rng: np.random.Generator, roots: list[tuple[Array, Array, Array]], grid: Grid) -> Array:
    """Shadow of vessels that fork three times; trunks are softer than peripheral branches.

    Args:
        roots: by lung, the starts (N, 2), directions (N,) in radians, and widths (N,) of the trunks.
    Returns:
        (S, S) float32; scales with the square of the width, as the shadow of a round vessel does.
    """
    start, angles, width = (np.concatenate(part) for part in zip(*roots, strict=True))
    layers = _branch(rng, start, angles, width, len(grid.row))
    total = np.zeros_like(grid.x)
    for first, soft in ((0, 0.016), (2, 0.006)):
        points, amount = (np.concatenate(part) for part in zip(*layers[first : first + 2], strict=True))
        total += fields.splat(points, amount, soft, grid)
    return total


def _branch(
    rng: np.random.Generator, at: Array, angles: Array, width: Array, size: int
) -> list[tuple[Array, Array]]:
    """Points and amounts by generation, for :func:`fields.splat`."""
    layers, length = [], 0.17
    count = int(np.clip(size / 12, 6, 64))  # dense enough to look continuous
    ramp = ((np.arange(count) + 0.5) / count).astype(np.float32)
    for _ in range(4):
        n = len(angles)
        reach = length * rng.uniform(0.65, 1.35, n)
        bend, split = rng.normal(0, 0.40, n), rng.uniform(0.55, 0.75, (2, n))
        fork = rng.uniform(0.15, 0.65, (2, n)) * _OPEN
        heading = angles[:, None].astype(np.float32) + bend[:, None].astype(np.float32) * ramp
        step = (reach * (1 / count))[:, None]
        path = np.empty((n, count, 2))
        np.cumsum(np.cos(heading) * step, 1, out=path[..., 0])
        np.cumsum(np.sin(heading) * step, 1, out=path[..., 1])
        path += at[:, None]
        taper = width[:, None] * (1 - np.float32(0.3) * ramp)
        layers.append((path.reshape(-1, 2), (step * taper * taper).ravel()))
        angles = (angles + bend + fork).ravel()
        width = (width * split).ravel()
        at = np.concatenate([path[:, -1], path[:, int(0.7 * count)]])
        length *= 0.78
    return layers
