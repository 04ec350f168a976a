"""Pneumonias as fluid that replaces air: location, amount and pattern.

Each function returns the opacity and the extent of one finding. Opacity is the share of the air that fluid
replaces, so no finding is denser than soft tissue or visible outside the lungs. Severity (``grade``) is in
0..1, from barely visible to severe.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, edge, ellipse, unit
from benchmark.phantoms.pneumonia.anatomy import APEX, HILUM_X, HILUM_Y, Lungs


@dataclass(frozen=True, eq=False)
class Finding:
    """One finding.

    Attributes:
        opacity: (S, S) share of the air replaced by fluid, 0..1.
        extent: (S, S) coverage, 0..1; the mask is where it exceeds one quarter.
    """

    opacity: Array
    extent: Array


Rng = np.random.Generator


def sample_severity(rng: Rng) -> float:
    """Sample a severity, 0..1: most moderate, one in five mild."""
    return float(rng.beta(1.2, 3.0) if rng.random() < 0.2 else rng.beta(4.0, 1.8))


def draw_finding(name: str, rng: Rng, lungs: Lungs) -> Finding:
    """Draw the finding of one class, typical or atypical."""
    return _FINDINGS[name](rng, lungs, sample_severity(rng))


def _healthy(rng: Rng, lungs: Lungs, grade: float) -> Finding:
    nothing = np.zeros_like(lungs.inside)
    return Finding(nothing, nothing)


def _bacterial(rng: Rng, lungs: Lungs, grade: float) -> Finding:
    """Lobar consolidation; atypical: bronchopneumonic patches."""
    if rng.random() < 0.30:
        return _patches(rng, lungs, count=int(rng.integers(2, 5)), size=0.13 + 0.06 * grade,
                        density=0.35 + 0.45 * grade, lateral=(0.2, 0.8), height=(0.35, 0.95),
                        sides=_sides(rng, 0.6))  # fmt: skip
    side = -1 if rng.random() < 0.58 else 1
    lobe, start = _lobe(rng, lungs, side)
    # an early consolidation fills a part of the lobe, a late one the whole lobe
    center = lungs.place(side, rng.uniform(0.3, 0.75), start)
    reach = 0.16 + 0.42 * grade
    part = edge(ellipse(lungs.grid, center, (reach * 1.15, reach), rng.normal(0, 0.4))
                + 0.05 * fields.texture(rng, lungs.grid, 0.22), 0.05, lungs.grid)  # fmt: skip
    extent = lobe * part
    rough = 1 + 0.14 * fields.texture(rng, lungs.grid, 0.12)
    density = 0.55 + 0.40 * min(1.0, grade + rng.uniform(-0.1, 0.3))
    opacity = np.clip(extent * density * rough, 0, 0.97)
    if grade > 0.3:
        opacity = opacity * (1 - 0.75 * _bronchogram(rng, lungs, side))
    if rng.random() < 0.35 * (0.5 + grade):
        pool = _effusion(rng, lungs, side, grade)
        return Finding(np.maximum(opacity, 0.92 * pool), np.maximum(extent, pool))
    return Finding(opacity, extent)


def _lobe(rng: Rng, lungs: Lungs, side: int) -> tuple[Array, float]:
    """Projected lobe of one lung, 0..1, and the height at which its pneumonia begins."""
    here = lungs.side == side
    fissure = 0.50 + rng.normal(0, 0.03) + rng.normal(0, 0.06) * lungs.across
    below = (lungs.down - fissure) * (lungs.base - APEX)
    sort = rng.random()
    if side < 0 and sort < 0.3:  # right upper lobe, above the horizontal fissure
        return here * edge(-below, 0.008, lungs.grid), rng.uniform(0.15, 0.42)
    if side < 0 and sort < 0.5:  # middle lobe: below the fissure, medial; silhouette sign at the heart
        wedge = edge(below, 0.008, lungs.grid) * edge(0.80 - lungs.across - 0.7 * below, 0.10, lungs.grid)
        return here * wedge, rng.uniform(0.6, 0.8)
    if side > 0 and sort < 0.4:  # left upper lobe with lingula
        return here * edge(0.12 - below + 0.1 * lungs.across, 0.06, lungs.grid), rng.uniform(0.2, 0.55)
    low = edge(below - 0.02 + 0.09 * (1 - lungs.across), 0.05, lungs.grid)
    return here * low, rng.uniform(0.65, 0.95)


def _bronchogram(rng: Rng, lungs: Lungs, side: int) -> Array:
    """Air bronchogram inside a consolidation, 0..1."""
    fan = np.linspace(-1.1, 1.3, 6) + rng.normal(0, 0.15, 6)
    angles = fan if side > 0 else np.pi - fan
    start = np.array([side * HILUM_X, HILUM_Y])
    total = np.zeros_like(lungs.inside)
    for points, amount in fields.branches(rng, start, angles, 0.22, 2, 0.024):
        total += fields.splat(points, amount, 0.016, lungs.grid)
    return unit(total * 30)


def _effusion(rng: Rng, lungs: Lungs, side: int, grade: float) -> Array:
    """Pleural effusion in the costophrenic angle, with meniscus, 0..1."""
    here = lungs.side == side
    top = 1.02 - rng.uniform(0.05, 0.16) * (0.5 + grade)
    meniscus = top - 0.22 * unit(lungs.across - 0.35) ** 2
    return here * lungs.inside * edge(lungs.down - meniscus, 0.015, lungs.grid)


def _viral(rng: Rng, lungs: Lungs, grade: float) -> Finding:
    """Bilateral fine reticulation with haze; atypical: ground-glass patches."""
    if rng.random() < 0.28:
        return _patches(rng, lungs, count=int(rng.integers(4, 9)), size=0.11 + 0.07 * grade,
                        density=0.30 + 0.40 * grade, lateral=(0.2, 0.75), height=(0.15, 0.8),
                        sides=(-1, 1))  # fmt: skip
    # diffuse, mostly perihilar, sometimes in the upper or lower zones
    zone, reach = rng.uniform(0.2, 0.9), rng.uniform(0.35, 0.75)
    most = np.exp(-(((lungs.across - 0.3) / reach) ** 2) - ((lungs.down - zone) / 0.45) ** 2)
    uneven = np.clip(1 + 0.3 * fields.texture(rng, lungs.grid, 0.4), 0.1, 2)
    extent = unit((0.60 + 0.40 * most) * uneven)
    reticulation = fields.texture(rng, lungs.grid, 0.10, ridged=True)
    opacity = extent * (0.25 + 0.60 * grade) * (0.45 + 0.55 * reticulation)
    return Finding(np.minimum(opacity, 0.8), extent)


def _fungal(rng: Rng, lungs: Lungs, grade: float) -> Finding:
    """Nodules, some with a cavity and an air crescent sign; atypical: miliary, or perihilar haze."""
    sort = rng.random()
    if sort < 0.07:  # as in Pneumocystis pneumonia
        return _haze(rng, lungs, 0.20 + 0.40 * grade)
    if sort < 0.14:  # miliary: many small nodules in both lungs
        return _nodules(rng, lungs, grade, int(rng.integers(15, 35)), 0.038, hollow=0.0)
    if sort < 0.32:  # one aspergilloma (fungus ball) in an old cavity, mostly in an upper lobe
        return _nodules(rng, lungs, grade, 1, 0.13, hollow=0.9, height=(0.12, 0.5))
    return _nodules(rng, lungs, grade, 2 + int(rng.poisson(0.5 + 3.0 * grade)), 0.078, hollow=0.4)


def _nodules(
    rng: Rng,
    lungs: Lungs,
    grade: float,
    count: int,
    radius: float,
    *,
    hollow: float,
    height: tuple[float, float] = (0.12, 0.94),
) -> Finding:
    """Nodules with a halo sign; one larger than 1 cm has a cavity with probability ``hollow``."""
    opacity, extent = np.zeros_like(lungs.inside), np.zeros_like(lungs.inside)
    for _ in range(count):
        side = -1 if rng.random() < 0.54 else 1
        center = lungs.place(side, rng.uniform(0.25, 0.88), rng.uniform(*height))
        size = radius * float(np.exp(rng.normal(0, 0.3))) * (0.8 + 0.4 * grade)
        shape = (size * rng.uniform(0.85, 1.2), size * rng.uniform(0.85, 1.2))
        distance = ellipse(lungs.grid, center, shape, rng.uniform(0, 3.1))
        ball = edge(distance, 0.012, lungs.grid)
        # projected thickness of a sphere, with a ground-glass halo (perifocal hemorrhage)
        thick = np.sqrt(np.clip(distance / size + 0.25, 0.05, 1.0))
        density = min(0.95, 0.68 + 0.35 * grade)
        body = density * ball * thick
        if size > 0.05 and rng.random() < hollow:
            tip = rng.uniform(0, 2 * np.pi)
            off = (float(center[0] + 0.22 * size * np.cos(tip)), float(center[1] + 0.22 * size * np.sin(tip)))
            room = edge(ellipse(lungs.grid, off, (0.58 * size, 0.52 * size)), 0.008, lungs.grid)
            body = body * (1 - 0.85 * room)
        halo = edge(distance + 0.6 * size, 0.35 * size, lungs.grid)
        opacity = np.maximum(opacity, np.maximum(body, (0.06 + 0.16 * grade) * halo))
        extent = np.maximum(extent, ball)
    return Finding(opacity, extent)


def _haze(rng: Rng, lungs: Lungs, density: float) -> Finding:
    """Symmetric perihilar ground glass."""
    far = ((lungs.across - 0.35) / 0.38) ** 2 + ((lungs.down - 0.58) / 0.36) ** 2
    extent = np.exp(-far) * np.clip(1 + 0.25 * fields.texture(rng, lungs.grid, 0.3), 0, 2)
    fine = 1 + 0.2 * fields.texture(rng, lungs.grid, 0.09)
    return Finding(np.clip(extent * density * fine, 0, 0.8), unit(extent))


def _covid19(rng: Rng, lungs: Lungs, grade: float) -> Finding:
    """Bilateral, peripheral and basal ground glass; atypical: unilateral."""
    one_sided = rng.random() < 0.15
    patches = _patches(rng, lungs, count=2 + int(rng.poisson(1.0 + 4.0 * grade)), size=0.14 + 0.09 * grade,
                     density=0.25 + 0.55 * grade, lateral=(0.68, 0.98), height=(0.42, 1.0),
                     sides=_sides(rng, 1.0 if one_sided else 0.0))  # fmt: skip
    rim = unit((lungs.across - 0.55) / 0.45) * unit((lungs.down - 0.3) * 2)
    veil = (0.16 * grade * (not one_sided)) * rim
    return Finding(
        np.maximum(patches.opacity, veil), np.maximum(patches.extent, rim * grade * (not one_sided))
    )


def _sides(rng: Rng, alone: float) -> tuple[int, ...]:
    """Both lungs, or one lung with probability ``alone``."""
    if rng.random() >= alone:
        return (-1, 1)
    return (-1,) if rng.random() < 0.54 else (1,)


def _patches(
    rng: Rng,
    lungs: Lungs,
    *,
    count: int,
    size: float,
    density: float,
    lateral: tuple[float, float],
    height: tuple[float, float],
    sides: tuple[int, ...],
) -> Finding:
    """Ill-defined ground-glass patches that merge where they overlap."""
    clear = np.ones_like(lungs.inside)
    crumbly = 0.05 * fields.texture(rng, lungs.grid, 0.16)
    for k in range(count):
        side = sides[k % len(sides)]
        center = lungs.place(side, rng.uniform(*lateral), rng.uniform(*height))
        reach = size * np.exp(rng.normal(0, 0.3))
        shape = (reach * rng.uniform(0.6, 1.0), reach * rng.uniform(0.8, 1.4))
        spot = edge(ellipse(lungs.grid, center, shape, rng.normal(0, 0.4)) + crumbly, 0.06, lungs.grid)
        clear *= 1 - spot * (lungs.side == side)
    extent = 1 - clear
    fine = 1 + 0.22 * fields.texture(rng, lungs.grid, 0.08)
    return Finding(np.clip(extent * density * fine, 0, 0.9), extent)


_FINDINGS: dict[str, Callable[[Rng, Lungs, float], Finding]] = {
    "healthy": _healthy,
    "fungal": _fungal,
    "covid19": _covid19,
    "bacterial": _bacterial,
    "viral": _viral,
}
CLASSES = tuple(_FINDINGS)
