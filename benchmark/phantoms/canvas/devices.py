"""Leads, catheters, tubes and pacemakers as added attenuation, in frontal and lateral projection."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmark.phantoms.canvas import fields, raster
from benchmark.phantoms.canvas.fields import Array, Grid, ellipse

Rng = np.random.Generator
Point = tuple[float, float]


def draw_devices(names: Sequence[str], seed: int, grid: Grid, *, lateral: bool = False) -> Array | None:
    """Attenuation of devices by name, the same for the same seed; None without devices.

    Args:
        names: keys of ``leads``, ``line`` (central venous catheter), ``tube``, ``pacemaker``.
    Returns:
        (S, S) float32.
    """
    if not names:
        return None
    rng = np.random.default_rng([seed, 3 if lateral else 1])
    total = np.zeros_like(grid.x)
    for name in names:
        total += _PAINTERS[name][lateral](rng, grid)
    return total


def _wire(corners: list[Point], width: float, grid: Grid) -> Array:
    points, amount = fields.polyline(np.array(corners), width)
    return fields.splat(points, amount, width, grid)


def _frontal_leads(rng: Rng, grid: Grid) -> Array:
    total = np.zeros_like(grid.x)
    for side in (-1, 1, 1)[: int(rng.integers(1, 4))]:
        x, y = side * rng.uniform(0.15, 0.6), rng.uniform(-0.5, 0.35)
        away = side * rng.uniform(0.5, 1.1)
        bow = (x + away) / 2 + rng.normal(0, 0.1)
        total += 0.35 * _wire([(x, y), (bow, (y - 0.9) / 2 + rng.normal(0, 0.15)), (away, -1.1)], 0.012, grid)
        total += 0.3 * fields.edge(ellipse(grid, (x, y), (0.03, 0.03)), 0.005, grid)
    return total


def _lateral_leads(rng: Rng, grid: Grid) -> Array:
    total = np.zeros_like(grid.x)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.choice([-0.46, -0.40, 0.50]), rng.uniform(-0.4, 0.3)
        bow = (x + rng.normal(0, 0.12), (y - 0.9) / 2)
        total += 0.35 * _wire([(x, y), bow, (rng.uniform(-0.3, 0.3), -1.1)], 0.012, grid)
        total += 0.4 * raster.edge(ellipse(grid, (x, y), (0.010, 0.03)), 0.005, grid)
    return total


def _frontal_catheter(rng: Rng, grid: Grid) -> Array:
    side = -1 if rng.random() < 0.7 else 1
    tip = rng.uniform(-0.28, -0.02)
    corners = [(side * rng.uniform(0.2, 0.3), -1.05), (side * 0.16, -0.72), (-0.06, -0.45), (-0.07, tip)]
    return 0.3 * _wire(corners, 0.014, grid)


def _lateral_catheter(rng: Rng, grid: Grid) -> Array:
    start = rng.uniform(-0.12, 0.02)
    corners = [(start, -1.05), (-0.04, -0.70), (0.0, -0.45), (-0.02, rng.uniform(-0.25, 0))]
    return 0.3 * _wire(corners, 0.014, grid)


def _tubes(trachea: list[Point], gastric: list[Point], grid: Grid) -> Array:
    """Endotracheal and nasogastric tube."""
    return 0.28 * _wire(trachea, 0.026, grid) + 0.3 * _wire(gastric, 0.014, grid)


def _frontal_tube(rng: Rng, grid: Grid) -> Array:
    wind = rng.normal(0, 0.015, 4)
    trachea = [(wind[0], -1.15), (-0.01, -0.8), (-0.01 + wind[1], rng.uniform(-0.42, -0.34))]
    gastric = [(0.02, -1.15), (0.01 + wind[2], -0.5), (0.03 + wind[3], 0.2), (0.14, 0.6), (0.34, 0.68)]
    return _tubes(trachea, gastric, grid)


def _lateral_tube(rng: Rng, grid: Grid) -> Array:
    wind = rng.normal(0, 0.015, 3)
    trachea = [(-0.05, -1.15), (-0.02 + wind[0], -0.8), (0.04, rng.uniform(-0.42, -0.34))]
    gastric = [(0.0, -1.15), (0.10 + wind[1], -0.5), (0.16 + wind[2], 0.1), (0.11, 0.5), (0.0, 0.64)]
    return _tubes(trachea, gastric, grid)


def _frontal_pacemaker(rng: Rng, grid: Grid) -> Array:
    x, y = rng.uniform(0.45, 0.6), rng.uniform(-0.55, -0.4)
    box = fields.edge(ellipse(grid, (x, y), (0.105, 0.085), 0.2), 0.006, grid)
    lead = [(x - 0.05, y - 0.04), (0.25, -0.62), (0.02, -0.5), (-0.09, -0.1), (0.0, 0.28), (0.2, 0.33)]
    return 0.8 * box + 0.4 * _wire(lead, 0.013, grid)


def _lateral_pacemaker(rng: Rng, grid: Grid) -> Array:
    x, y = rng.uniform(-0.31, -0.26), rng.uniform(-0.48, -0.40)
    box = raster.edge(ellipse(grid, (x, y), (0.026, 0.085), -0.35), 0.006, grid)
    lead = [(x + 0.02, y - 0.05), (-0.14, -0.66), (-0.01, -0.50), (0.02, -0.10), (-0.08, 0.20), (-0.26, 0.28)]
    return 0.8 * box + 0.4 * _wire(lead, 0.013, grid)


Painter = Callable[[Rng, Grid], Array]
_PAINTERS: dict[str, tuple[Painter, Painter]] = {  # frontal, lateral
    "leads": (_frontal_leads, _lateral_leads),
    "line": (_frontal_catheter, _lateral_catheter),
    "tube": (_frontal_tube, _lateral_tube),
    "pacemaker": (_frontal_pacemaker, _lateral_pacemaker),
}
