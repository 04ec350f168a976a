"""Echoes of chest wall and lung along each scan line."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.phantoms.ultrasound import chest as us_chest
from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.chest import TABLE_STEP, Patient, Placement, ScanLines
from benchmark.phantoms.ultrasound.findings import Finding
from benchmark.phantoms.ultrasound.layers import NOWHERE, Layers, find_layers
from benchmark.phantoms.ultrasound.probe import LINES, SAMPLES, Array, wave

_LOG = np.float32(np.log(10) / 20)


@dataclass(frozen=True, eq=False)
class Echo:
    """Echo strength before speckle.

    Attributes:
        diffuse: (SAMPLES, LINES) dB of unresolved scatterers.
        specular: (SAMPLES, LINES) amplitude of smooth surfaces.
        through: (SAMPLES, LINES) share of the amplitude transmitted past bone and contact loss.
        mask: (SAMPLES, LINES) bool, inside the finding.
    """

    diffuse: Array
    specular: Array
    through: Array
    mask: Array


def assemble(patient: Patient, place: Placement, finding: Finding, lines: ScanLines) -> Echo:
    """Assemble the echoes of one frame."""
    depth = us_probe.depths(place.probe)
    layers = find_layers(finding, place, lines)
    wall = us_chest.wall_table(patient, lines, place)
    aerated = 1 - layers.organ
    tails = _b_lines(finding, lines, layers, depth) * aerated
    covered = np.minimum(tails * 8, 1)
    diffuse = _lung(finding, wall, lines, layers, depth)
    diffuse = np.logaddexp(2 * _LOG * diffuse, 2 * np.log(tails + 1e-6)) / (2 * _LOG)
    airless = finding.effusion > 0 or len(finding.consolidations) > 0
    if airless:
        diffuse = _airless(finding, lines, layers, depth, diffuse)
    if np.isfinite(place.organ):
        diffuse = _organ(place, lines, layers, depth, diffuse)
    diffuse = np.where(depth < lines.pleura, _wall_echo(wall, depth), diffuse)
    specular = _surfaces(finding, place, lines, layers, depth, covered)
    below_skin = np.minimum(depth / lines.pleura, 1)
    through = us_chest.contact(place) * np.exp(
        _LOG * us_chest.line_attenuation(patient, place, lines) * below_skin
    )
    cover, bone = us_chest.ribs(patient, place, lines)
    if cover.any():
        through = through * (1 - 0.985 * cover * _step(depth - bone, 1.5))
    specular = specular * through
    if cover.any():  # ribs are dimmer where they turn away from the beam
        surface = 0.5 * cover**2 * np.exp(-(((depth - bone) / (0.6 + 0.003 * depth)) ** 2))
        specular = np.maximum(specular, surface)
    airless_tissue = (depth > lines.pleura) & (depth < layers.far) & (layers.far - lines.pleura > 1.5)
    mask = (airless_tissue | (covered > 0.6)) & (layers.organ < 0.5)
    return Echo(diffuse.astype(np.float32), specular.astype(np.float32), through, mask & (through > 0.3))


def _wall_echo(table: Array, depth: Array) -> Array:
    """Echo of the chest wall at these depths, mm."""
    row = np.minimum(depth * np.float32(1 / TABLE_STEP), len(table) - 1).astype(np.int32)
    if row.shape[1] == 1:
        return table[row[:, 0]]
    return np.take_along_axis(table, row, 0)


def _lung(finding: Finding, wall: Array, lines: ScanLines, layers: Layers, depth: Array) -> Array:
    """Aerated lung: reverberations between pleura and probe repeat the wall with decreasing strength."""
    turn = np.floor(depth / lines.pleura)
    again = _wall_echo(wall, depth - turn * lines.pleura) + 19
    below = np.maximum(depth - layers.air, 0)
    return finding.haze - finding.decay * below + (0.25 + 0.5 * finding.a_lines) ** turn * again


def _b_lines(finding: Finding, lines: ScanLines, layers: Layers, depth: Array) -> Array:
    """Amplitude of the B-lines, which run from the aerated lung to the bottom of the image."""
    if not finding.b_lines:
        return np.zeros((SAMPLES, LINES), np.float32)
    at, width, level, fade, flicker = np.array(
        [(b.at, b.width, b.level, b.fade, b.flicker) for b in finding.b_lines], np.float32
    ).T[:, :, None]
    level = level + 4 * np.sin(lines.breath + flicker)
    across = np.exp(_LOG * level - 0.5 * ((lines.lung - at) / width) ** 2)
    down = np.exp(-_LOG * fade * np.maximum(depth[:, 0] - float(lines.pleura.mean()), 0)[None, :])
    return (down.T @ across) * _step(depth - layers.air, 1.5)


def _airless(finding: Finding, lines: ScanLines, layers: Layers, depth: Array, lung: Array) -> Array:
    """Replace the artifacts of aerated lung by fluid and consolidation."""
    rng = np.random.default_rng([finding.seed, 2])
    patchy = 2.5 * wave(rng, 9.0)(lines.lung) + 2.5 * wave(rng, 12.0)(depth[:, 0])[:, None]
    within = _step(depth - layers.fluid, 1.5)
    past_far = _step(depth - layers.far, 3.5)
    deep = _step(depth - layers.solid, 1.5)
    tissue = finding.echo + 0.5 * patchy
    gain = np.minimum(0.15 * (layers.far - lines.pleura), 7)  # posterior acoustic enhancement
    behind = -24 + gain - 0.25 * (depth - layers.far) + patchy
    past = np.where(layers.air < NOWHERE, lung + gain, behind)
    level = finding.debris + (tissue - finding.debris) * within * (1 - deep)
    level = level + (past - level) * past_far
    spots = _bronchograms(rng, finding, lines, layers, depth)
    if spots is None:
        return level
    return level + np.maximum(-4 - level, 0) * spots * within * (1 - deep)


def _bronchograms(
    rng: np.random.Generator, finding: Finding, lines: ScanLines, layers: Layers, depth: Array
) -> Array | None:
    """Air bronchograms, 0 to 1: bright dots and short branching lines inside a consolidation."""
    spots = np.zeros((SAMPLES, LINES), np.float32)
    for consolidation in finding.consolidations:
        hilum = rng.normal(np.pi / 2, 0.5)  # airways converge
        area = 2 * consolidation.half_width * consolidation.depth * 0.7 / 1000
        for _ in range(int(rng.poisson(finding.bronchograms * area))):
            steps = 1 + int(rng.exponential(1.3))
            bend = np.cumsum(rng.normal(0, 0.2, steps)) + rng.normal(hilum, 0.35)
            x = (
                consolidation.at
                + consolidation.half_width * rng.uniform(-0.8, 0.8)
                + np.cumsum(1.3 * np.cos(bend))
            )
            y = consolidation.depth * rng.uniform(0.12, 0.9) + np.cumsum(1.3 * np.sin(bend))
            line = np.round(np.interp(x, lines.lung[0], np.arange(LINES))).astype(int)
            row = ((layers.fluid[0, line] + y) * SAMPLES / (depth[-1, 0] + depth[0, 0])).astype(int)
            keep = (row < SAMPLES) & (line > 0) & (line < LINES - 1)
            spots[row[keep], line[keep]] += np.exp(rng.normal(-0.6, 0.6))
    if not spots.any():
        return None
    return np.minimum(gaussian_filter(spots, (1.1, 0.8), truncate=2.5) * 6, 1)


def _organ(place: Placement, lines: ScanLines, layers: Layers, depth: Array, lung: Array) -> Array:
    """Liver or spleen with vessels, and its mirror image above the diaphragm."""
    rng = np.random.default_rng([place.seed, 3])
    level = float(rng.normal(-19, 2.0)) - 0.03 * depth
    level = level - 5 * _step(depth - layers.diaphragm - 3, 3.0)
    for _ in range(int(rng.integers(1, 5))):
        x = place.organ_side * (place.organ + rng.uniform(10, 45))
        y, long, thin = rng.uniform(35, 110), rng.uniform(3, 16), rng.uniform(1.5, 4)
        slant = rng.normal(0, 0.7)
        c, s = float(np.cos(slant)), float(np.sin(slant))
        dx, dy = lines.lung - x, depth - y
        far = ((c * dx + s * dy) / long) ** 2 + ((c * dy - s * dx) / thin) ** 2
        level = level - 16 * np.clip(1.5 - far, 0, 1)
    return lung + (level - lung) * layers.organ


def _surfaces(
    finding: Finding, place: Placement, lines: ScanLines, layers: Layers, depth: Array, covered: Array
) -> Array:
    """Specular echoes: pleural line, A-lines at multiples of its depth, consolidation borders, diaphragm."""
    rng = np.random.default_rng([finding.seed, 4])
    rough = finding.rough * wave(rng, 4.0)(lines.lung)
    gap = np.clip((wave(rng, 5.0)(lines.lung) + 2.2 - 5 * finding.broken) * 1.5, 0.15, 1)
    aerated = 1 - layers.organ
    bare = np.clip(1 - (layers.air - lines.pleura) / 4, 0.25, 1)
    strength = 0.75 * lines.facing * gap * (0.35 + 0.65 * aerated) * (0.8 + 0.2 * wave(rng, 12.0)(lines.lung))
    n = np.maximum(np.round(depth / lines.pleura), 1)
    first = n == 1
    off = depth - n * lines.pleura - rough * first
    width = np.where(first, finding.thickness * 0.75, 1.0 + 0.25 * n)
    echo = (
        0.38
        * finding.a_lines
        * np.float32(0.5) ** (n - 2)
        * (1 - covered)
        * aerated
        * (bare > 0.9)
        * lines.facing**2
    )
    specular = strength * np.exp(-((off / width) ** 2)) * np.where(first, 0.4 + 0.6 * bare, echo)
    uneven = np.clip(0.6 + 0.35 * finding.border(lines.lung * 0.4), 0.1, 1.5) * aerated
    for surface, bright, wide in (
        (layers.fluid, 0.12, 1.2),
        (layers.solid, 0.07, 2.2),
        (layers.far, 0.14, 1.8),
    ):
        there = np.clip((surface - lines.pleura - 2) / 4, 0, 1) * uneven * bright
        specular = specular + there * np.exp(-(((depth - surface) / wide) ** 2))
    if not np.isfinite(place.organ):
        return specular
    dome = 0.35 * layers.organ * np.clip(0.7 + 0.5 * wave(rng, 9.0)(lines.lung), 0.1, 1.4)
    return specular + dome * np.exp(-(((depth - layers.diaphragm) / (0.8 + 0.008 * depth)) ** 2))


def _step(distance: Array, width: float) -> Array:
    """Linear step from 0 above to 1 below, over ``width`` mm."""
    return np.minimum(np.maximum(distance * np.float32(1 / width) + np.float32(0.5), 0), 1)
