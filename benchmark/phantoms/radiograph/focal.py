"""Circumscribed findings: nodules, masses, hiatal hernia, cardiomegaly."""

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid, ellipse, unit
from benchmark.phantoms.canvas.raster import crop_grid, edge
from benchmark.phantoms.radiograph.pathology import FindingSpec
from benchmark.phantoms.radiograph.projection import Chest, Effect
from benchmark.phantoms.radiograph.torso import CM


def nodule_radii(spec: FindingSpec) -> list[float]:
    """Radii in body units; the first is the largest, all below 1.5 cm."""
    rng = np.random.default_rng(spec.seeds[0])
    largest = (0.40 + 1.0 * spec.grade) * CM
    return [largest * share for share in (1.0, *rng.uniform(0.55, 0.95, 2))][: spec.count]


def nodules(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """One to three round opacities below 3 cm."""
    rng = np.random.default_rng([spec.seeds[0], 1])
    effects = []
    for number, radius in enumerate(nodule_radii(spec)):
        side = spec.sides[number % len(spec.sides)]
        squeeze, turn = rng.uniform(0.82, 1.0), rng.uniform(0, 3.1)
        center = chest.spot(side, *spec.spots[number])
        where, part = crop_grid(chest.grid, center, radius + 0.04)
        distance = ellipse(part, center, (radius, radius * squeeze), turn)
        ball = edge(distance, 0.007, part)
        # projected thickness of a sphere
        thick = np.sqrt(np.clip(distance * np.float32(1 / radius) + 0.22, 0.05, 1.0))
        density = min(0.95, 0.38 + 0.45 * spec.grade) * (1 - 0.25 * chest.lateral_view)
        calcification = 0.28 * ball * thick if spec.form == "calcified" else None
        effects.append(Effect(extent=ball, opacity=density * ball * thick, added=calcification, where=where))
    return effects


def mass_radius(spec: FindingSpec) -> float:
    """Radius in body units: a mass is larger than 3 cm across."""
    return (1.6 + 3.0 * spec.grade) * CM


def mass(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """One opacity of 3 cm or more, lobulated or spiculated."""
    rng = np.random.default_rng([spec.seeds[0], 1])
    radius = mass_radius(spec)
    across, depth, down = spec.spots[0]
    center = chest.spot(spec.sides[0], float(np.clip(across, 0.30 + 0.25 * spec.grade, 0.85)), depth, down)
    where, part = crop_grid(chest.grid, center, 1.7 * radius + 0.05)
    lobes, phases = rng.uniform(0.4, 1.0, 3), rng.uniform(0, 2 * np.pi, 3)
    outline = _outline(part, center, radius, lobes, phases)
    body = edge(outline, 0.010 if spec.form == "lobulated" else 0.018, part)
    thick = np.sqrt(np.clip(outline * np.float32(1 / radius) + 0.30, 0.05, 1.0))
    opacity = (0.70 + 0.27 * spec.grade) * body * thick
    if spec.form == "spiculated":
        opacity = np.maximum(opacity, _spikes(part, center, radius, outline, rng))
    inside = chest.inside[where] + 0.4 * chest.heart[where]
    body = body * unit(inside * 2)
    return [Effect(extent=body, opacity=opacity * (1 - 0.25 * chest.lateral_view), where=where)]


def _outline(part: Grid, center: tuple[float, float], radius: float, lobes: Array, phases: Array) -> Array:
    """Distance to a wavy circle, positive inside."""
    dx, dy = part.x - np.float32(center[0]), part.y - np.float32(center[1])
    turn = np.arctan2(dy, dx)
    wave = sum(
        size * lobe * np.sin(k * turn + phase)
        for k, size, lobe, phase in zip((2, 3, 5), (0.08, 0.07, 0.04), lobes, phases, strict=True)
    )
    distance: Array = np.float32(radius) * (1 + wave) - np.hypot(dx, dy)
    return distance


def _spikes(
    part: Grid, center: tuple[float, float], radius: float, outline: Array, rng: np.random.Generator
) -> Array:
    """Spicules that radiate from a mass into the lung."""
    turn = np.arctan2(part.y - np.float32(center[1]), part.x - np.float32(center[0]))
    count, phase = int(rng.integers(9, 15)), rng.uniform(0, 6.2)
    uneven = 0.6 + 0.4 * np.sin(3 * turn + phase)
    rays = unit(np.cos(count * turn + phase) * 3 - 2) * uneven
    fade = unit(1 + outline * np.float32(1 / (0.5 * radius)))
    spikes: Array = 0.40 * rays * fade * fade
    return spikes


def hernia(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Stomach above the diaphragm: a round retrocardiac opacity with an air-fluid level."""
    rng = np.random.default_rng(spec.seeds[0])
    radius = (1.5 + 3.0 * spec.grade) * CM
    x = rng.uniform(-0.03, 0.08) if not chest.lateral_view else rng.uniform(0.13, 0.18)
    center = (float(x), chest.base - 0.35 * radius - 0.02)
    where, part = crop_grid(chest.grid, center, 1.4 * radius + 0.05)
    distance = ellipse(part, center, (1.15 * radius, 0.95 * radius), rng.normal(0, 0.2))
    bag = edge(distance, 0.014, part)
    wall = bag * edge(0.016 - distance, 0.008, part)
    level = center[1] + rng.uniform(-0.25, 0.2) * radius
    gas = edge(distance - 0.014, 0.018, part) * edge(level - part.y, 0.004, part)
    lower = edge(part.y - level, 0.004, part)
    fluid = bag * (lower + 0.3 * (1 - lower) * (1 - gas))
    added = 0.045 * fluid + 0.02 * wall * (1 - chest.heart[where]) - 0.11 * gas
    return [Effect(extent=bag, opacity=0.75 * fluid + 0.15 * wall, added=added, where=where)]


def hernia_radius(spec: FindingSpec) -> float:
    """Half the width of the hernial sac in body units."""
    return 1.15 * (1.5 + 3.0 * spec.grade) * CM


def cardiomegaly(spec: FindingSpec, chest: Chest) -> list[Effect]:
    """Extent of the enlarged heart, which the anatomy draws."""
    low = edge(chest.grid.y + 0.17, 0.01, chest.grid) * edge(chest.above + 0.10, 0.02, chest.grid)
    return [Effect(extent=unit(chest.heart * 1.25) * low)]
