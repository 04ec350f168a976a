"""From attenuation to an image: geometry, scatter, noise, tone curve, collimation and markers.

The exposure has a separate random stream, independent of the finding, so no nuisance reveals the class.
"""

from dataclasses import dataclass, replace

import numpy as np

from benchmark.phantoms.canvas import fields
from benchmark.phantoms.canvas.fields import Array, Grid, edge, unit
from benchmark.phantoms.canvas.lettering import bitmap
from benchmark.phantoms.pneumonia.anatomy import Pose

SITES = ("site_a", "site_b")


@dataclass(frozen=True)
class Exposure:
    """Nuisance parameters of one exposure; lengths as a share of half the image unless noted."""

    pose: Pose
    site: str
    zoom: float
    angle: float  # radians
    shift: tuple[float, float]
    scatter: float
    noise: float
    window: float  # center, attenuation
    contrast: float  # width, attenuation
    gamma: float
    collimation: tuple[float, float, float, float]  # left, right, top, bottom
    marker: str  # "", "L" or "R"
    marker_at: tuple[float, float]
    devices: tuple[str, ...]
    seed: int


def sample_exposure(rng: np.random.Generator, view: str) -> Exposure:
    """Sample an exposure; AP ones, often at the bedside, are less aligned and show more devices."""
    bedside = view == "AP"
    site = SITES[int(rng.random() < (0.55 if bedside else 0.35))]
    chance = {"leads": 0.6, "line": 0.4, "tube": 0.2, "pacemaker": 0.06} if bedside else \
        {"leads": 0.08, "line": 0.06, "tube": 0.01, "pacemaker": 0.04}  # fmt: skip
    devices = tuple(name for name, p in chance.items() if rng.random() < p)
    pose = Pose(
        view=view,
        breath=float(rng.normal(0.09 if bedside else 0.0, 0.045)),
        turn=float(rng.normal(0, 0.30 if bedside else 0.15)),
        arms=float(np.clip(rng.normal(0.8 if bedside else 0.25, 0.2), 0, 1)),
        plates=int(rng.poisson(0.6 if bedside else 0.15)),
    )
    borders = np.where(rng.random(4) < 0.15, rng.uniform(0.01, 0.07, 4), 0.0)
    side = rng.random()
    return Exposure(
        pose=pose,
        site=site,
        zoom=float(np.exp(rng.normal(0.12, 0.08))),
        angle=float(np.radians(rng.normal(0, 4.0 if bedside else 2.2))),
        shift=(float(rng.normal(0, 0.05)), float(rng.normal(-0.12, 0.065))),
        scatter=float(rng.uniform(0.05, 0.22) + 0.1 * bedside),
        noise=float(np.exp(rng.normal(-4.7, 0.4))),
        window=float(rng.normal(0.64 if site == SITES[0] else 0.68, 0.06)),
        contrast=float(np.exp(rng.normal(0.02 if site == SITES[0] else -0.08, 0.15))),
        gamma=float(np.exp(rng.normal(0, 0.12))),
        collimation=(float(borders[0]), float(borders[1]), float(borders[2]), float(borders[3])),
        marker="" if side < 0.3 else ("L" if side < 0.8 else "R"),
        marker_at=(float(rng.uniform(0.70, 0.86)), float(rng.uniform(-0.88, -0.55))),
        devices=devices,
        seed=int(rng.integers(2**31)),
    )


def expose(attenuation: Array, exposure: Exposure, grid: Grid) -> Array:
    """Scatter, quantum noise, tone curve, collimation and marker.

    Args:
        attenuation: (S, S) line integrals, about 0.2 in lung and 1.0 in the mediastinum.
    Returns:
        (S, S) uint8.
    """
    rng = np.random.default_rng([exposure.seed, 2])
    # detector aperture: attenuates detail finer than two pixels instead of aliasing it
    primary = fields.blur(np.exp(-1.6 * attenuation), 0.5 * grid.pixel, grid)
    veil = fields.blur(primary, 0.22, grid)
    share = exposure.scatter
    detected = (1 - share) * primary + share * veil
    # counts grow with the pixel's area, relative noise falls with their root and depends on the signal
    grain = np.float32(exposure.noise * np.sqrt(0.016 / grid.pixel))
    detected = detected + grain * np.sqrt(detected) * rng.standard_normal(detected.shape, dtype=np.float32)
    depth = np.log(np.maximum(detected, 0.01)) / -1.6
    if exposure.site == SITES[1]:  # the second site enhances edges
        depth = depth + 0.35 * (depth - fields.blur(depth, 0.07, grid))
    level = (depth - exposure.window) / np.float32(exposure.contrast * 0.85) + 0.52
    film = 1 / (1 + np.exp(-4.6 * (level - 0.5)))  # linear in the middle, with a soft toe and shoulder
    tone = unit((film - 0.07) / 0.88) ** exposure.gamma
    return np.round(_frame(tone, exposure, grid) * 255).astype(np.uint8)


def _frame(tone: Array, exposure: Exposure, grid: Grid) -> Array:
    """Black collimated borders and the side marker."""
    left, right, top, bottom = exposure.collimation
    flat = replace(grid, pixel=2 / len(grid.row))
    if left or right:
        tone = tone * edge(np.minimum(grid.col + 1 - 2 * left, 1 - 2 * right - grid.col), 0.004, flat)
    if top or bottom:
        tone = tone * edge(np.minimum(grid.row + 1 - 2 * top, 1 - 2 * bottom - grid.row), 0.004, flat)
    if not exposure.marker:
        return tone
    return np.maximum(tone, 0.95 * _letter(exposure, grid))


def _letter(exposure: Exposure, grid: Grid) -> Array:
    """Side marker: L at the patient's left (right in the image), R at the right."""
    x, y = exposure.marker_at
    x = x if exposure.marker == "L" else -x
    rows, cols = np.nonzero(np.kron(bitmap(exposure.marker, "plain"), np.ones((4, 4))))
    dot = 0.018 / 4
    points = np.stack([x + (cols - 10) * dot, y + (rows - 14) * dot], -1)
    flat = fields.make_grid(len(grid.row), zoom=1.0, angle=0.0, shift=(0.0, 0.0))
    return unit(fields.splat(points, np.full(len(points), dot**2), 0.004, flat))
