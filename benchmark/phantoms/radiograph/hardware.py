"""Leads, lines, tubes and pacemakers as a lateral radiograph sees them, as added attenuation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, Grid, ellipse
from benchmark.phantoms.canvas.raster import edge

Rng = np.random.Generator


def draw_lateral(names: Sequence[str], seed: int, grid: Grid) -> Array | None:
    """Devices by name, the same for the same seed; None where there are none."""
    if not names:
        return None
    rng = np.random.default_rng([seed, 3])
    total = np.zeros_like(grid.x)
    for name in names:
        total += _DEVICES[name](rng, grid)
    return total


def _wire(corners: list[tuple[float, float]], width: float, grid: Grid) -> Array:
    points, amount = fields.polyline(np.array(corners), width)
    return fields.splat(points, amount, width, grid)


def _leads(rng: Rng, grid: Grid) -> Array:
    total = np.zeros_like(grid.x)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.choice([-0.46, -0.40, 0.50]), rng.uniform(-0.4, 0.3)
        bow = (x + rng.normal(0, 0.12), (y - 0.9) / 2)
        total += 0.35 * _wire([(x, y), bow, (rng.uniform(-0.3, 0.3), -1.1)], 0.012, grid)
        total += 0.4 * edge(ellipse(grid, (x, y), (0.010, 0.03)), 0.005, grid)
    return total


def _catheter(rng: Rng, grid: Grid) -> Array:
    start = rng.uniform(-0.12, 0.02)
    return 0.3 * _wire(
        [(start, -1.05), (-0.04, -0.70), (0.0, -0.45), (-0.02, rng.uniform(-0.25, 0))], 0.014, grid
    )


def _tube(rng: Rng, grid: Grid) -> Array:
    wind = rng.normal(0, 0.015, 3)
    trachea = [(-0.05, -1.15), (-0.02 + wind[0], -0.8), (0.04, rng.uniform(-0.42, -0.34))]
    gastric = [(0.0, -1.15), (0.10 + wind[1], -0.5), (0.16 + wind[2], 0.1), (0.11, 0.5), (0.0, 0.64)]
    return 0.28 * _wire(trachea, 0.026, grid) + 0.3 * _wire(gastric, 0.014, grid)


def _pacemaker(rng: Rng, grid: Grid) -> Array:
    x, y = rng.uniform(-0.31, -0.26), rng.uniform(-0.48, -0.40)
    box = edge(ellipse(grid, (x, y), (0.026, 0.085), -0.35), 0.006, grid)
    wire = [(x + 0.02, y - 0.05), (-0.14, -0.66), (-0.01, -0.50), (0.02, -0.10), (-0.08, 0.20), (-0.26, 0.28)]
    return 0.8 * box + 0.4 * _wire(wire, 0.013, grid)


_DEVICES = {"leads": _leads, "line": _catheter, "tube": _tube, "pacemaker": _pacemaker}
