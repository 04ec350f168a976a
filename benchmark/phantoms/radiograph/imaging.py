"""From attenuation to a radiograph: geometry, scatter, noise, gray scale, collimation, markers.

The exposure has a separate random stream, independent of the findings, so no nuisance reveals a finding.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.phantoms.canvas.fields import Array, Grid, unit
from benchmark.phantoms.canvas.lettering import bitmap
from benchmark.phantoms.canvas.raster import edge, stamp, wide_blur
from benchmark.phantoms.radiograph.torso import Patient, Pose


@dataclass(frozen=True)
class Style:
    """Imaging style of one site.

    Attributes:
        share: of the upright and of the bedside exposures.
        zoom: log of the magnification; aperture: blur of the detector, body units.
        noise: relative quantum noise; contrast: width of the gray scale over the range of the anatomy.
        level: shift of the gray scale; toe: 0 linear to 1 film curve.
        crisp: edge enhancement; local: local contrast equalization.
        bars: probability of black side bars (portrait image in a square); border: of collimated edges.
        marker: probability of a side marker; letter: its style; note: probability of a text on the technique.
    """

    share: tuple[float, float]
    zoom: float
    aperture: float
    noise: float
    contrast: float
    level: float
    toe: float
    crisp: float
    local: float
    bars: float
    border: float
    marker: float
    letter: str
    note: float


STYLES = {
    "site_a": Style((0.5, 0.3), 0.13, 0.003, 0.9, 1.10, 0.0, 0.5, 0.25, 0.0, 0.05, 0.15, 0.75, "plain", 0.15),
    "site_b": Style((0.25, 0.45), 0.07, 0.007, 1.6, 1.30, 0.06, 0.9, 0.0, 0.0, 0.5, 0.5, 0.55, "boxed", 0.6),
    "site_c": Style((0.2, 0.25), 0.17, 0.004, 1.1, 1.18, -0.02, 0.5, 0.35, 0.4, 0.0, 0.05, 0.90, "ring", 0.3),
}  # fmt: skip
SITES = tuple(STYLES)
_CHANCE = {
    True: {"leads": 0.55, "line": 0.38, "tube": 0.20, "pacemaker": 0.06},
    False: {"leads": 0.06, "line": 0.05, "tube": 0.005, "pacemaker": 0.04},
}


@dataclass(frozen=True)
class Exposure:
    """Nuisance parameters of one exposure; lengths as a share of half the image unless noted.

    Attributes:
        cutoff, heel: gray-scale gradient across (grid cutoff) and along (anode heel effect).
        marker: empty, ``L`` or ``R``; note: empty, or text on the technique.
    """

    pose: Pose
    site: str
    zoom: float
    angle: float
    shift: tuple[float, float]
    scatter: float
    noise: float
    level: float
    contrast: float
    gamma: float
    cutoff: float
    heel: float
    bars: float
    borders: tuple[float, float, float, float]
    marker: str
    marker_at: tuple[float, float]
    note: str
    devices: tuple[str, ...]
    seed: int


def sample_exposure(
    rng: np.random.Generator, view: str | None, site: str | None, devices: bool | None
) -> Exposure:
    """Sample an exposure; given properties leave the other draws unchanged.

    AP ones are mostly at the bedside: less aligned, with more scatter and more devices.
    """
    chance, normal = rng.random(24), rng.standard_normal(14)
    seed = int(rng.integers(2**31))
    view = view or ("AP" if chance[0] < 0.4 else "PA")
    bedside = view == "AP"
    shares = np.cumsum([style.share[bedside] for style in STYLES.values()])
    site = site or SITES[int(np.searchsorted(shares, chance[1] * shares[-1], side="right"))]
    style = STYLES[site]
    pose = Pose(
        view=view,
        supine=bedside and bool(chance[2] < 0.5),
        breath=float((0.075 if bedside else 0.0) + 0.04 * normal[0]),
        turn=float((0.30 if bedside else 0.15) * normal[1]),
        arms=float(np.clip((0.8 if bedside else 0.25) + 0.2 * normal[2], 0, 1)),
    )
    borders = np.where(chance[4:8] < style.border, 0.01 + 0.06 * chance[8:12], 0.0)
    return Exposure(
        pose=pose,
        site=site,
        zoom=float(np.exp(style.zoom + 0.10 * (view == "LATERAL") + 0.07 * normal[3])),
        angle=float(np.radians((3.5 if bedside else 1.6) * normal[4])),
        shift=(float(0.04 * normal[5]), float(-0.08 + 0.05 * normal[6])),
        scatter=float(0.05 + 0.16 * chance[12] + 0.1 * bedside),
        noise=float(style.noise * np.exp(-5.3 + 0.35 * normal[7])),
        level=float(style.level + 0.08 * normal[8]),
        contrast=float(style.contrast * np.exp(0.15 * normal[9])),
        gamma=float(np.exp(0.10 * normal[10])),
        cutoff=float((0.10 if bedside else 0.03) * normal[11]),
        heel=float(0.04 * normal[12]),
        bars=float(0.06 + 0.08 * chance[13]) if chance[14] < style.bars else 0.0,
        borders=(float(borders[0]), float(borders[1]), float(borders[2]), float(borders[3])),
        marker="" if chance[15] >= style.marker else ("L" if chance[16] < 0.7 else "R"),
        marker_at=(float(0.68 + 0.18 * chance[17]), float(-0.90 + 0.30 * chance[18])),
        note=_note(view, pose.supine, chance[20]) if chance[19] < style.note else "",
        devices=_devices(bedside, chance[21:24], normal[13], devices),
        seed=seed,
    )


def _note(view: str, supine: bool, chance: float) -> str:
    """Text beside the side marker."""
    words = {"PA": ("PA", "PA ERECT", "CHEST PA"), "LATERAL": ("LAT", "LATERAL", "CHEST LAT")}
    bedside = ("AP SUPINE", "PORTABLE", "SUPINE") if supine else ("AP", "PORTABLE", "AP ERECT")
    return words.get(view, bedside)[int(chance * 3)]


def _devices(bedside: bool, chance: Array, drawn: float, requested: bool | None) -> tuple[str, ...]:
    """Devices on or in the patient."""
    if requested is False:
        return ()
    odds = _CHANCE[bedside]
    rolls = (*chance, (drawn + 4) % 1)
    names = tuple(name for name, roll in zip(odds, rolls, strict=True) if roll < odds[name])
    if requested and not names:
        return ("leads", "line")[int(chance[0] < 0.5) : int(chance[0] < 0.5) + 1]
    return names


# 8th and 93rd percentile of the attenuation of healthy phantoms: intercept, and slopes by chest wall, breast
# and bone; least squares over 150 patients, residual 0.01 to 0.03.
_GRAY = {
    "PA": ((0.327, 0.98, 0.17, 0.05), (0.942, 1.00, 0.14, 0.07)),
    "AP": ((0.333, 0.97, 0.12, 0.04), (0.962, 1.05, 0.14, 0.07)),
    "LATERAL": ((0.341, 0.56, 0.06, 0.07), (1.004, 0.87, 0.14, 0.08)),
}


def gray_range(patient: Patient, view: str) -> tuple[float, float]:
    """Attenuation of the lungs and of the densest parts, for which a device sets its gray scale.

    It is that of the patient without a finding, so that the gray scale tells nothing of the findings.
    """
    build = np.array([1.0, patient.wall - 0.13, patient.breast, patient.bone - 1])
    low, high = np.array(_GRAY[view]) @ build
    return float(low), float(high)


def expose(shadow: Array, scale: tuple[float, float], exposure: Exposure, grid: Grid) -> Array:
    """Detector, scatter, quantum noise, gray scale, borders and marker.

    Args:
        shadow: (S, S) line integrals, about 0.25 in lung and 1.0 in the mediastinum.
        scale: :func:`gray_range` of the patient.
    Returns:
        (S, S) uint8.
    """
    style = STYLES[exposure.site]
    rng = np.random.default_rng([exposure.seed, 2])
    # detector aperture: attenuates detail finer than two pixels instead of aliasing it
    width = np.hypot(style.aperture, 0.45 * grid.pixel) / grid.pixel
    primary = gaussian_filter(np.exp(-1.6 * shadow), width, mode="nearest", truncate=3.0)
    detected = (1 - exposure.scatter) * primary + exposure.scatter * wide_blur(primary, 0.25, grid)
    # counts grow with the pixel's area, relative noise falls with their root and depends on the signal
    grain = rng.standard_normal(detected.shape, dtype=np.float32)
    grain *= np.float32(exposure.noise * np.sqrt(0.016 / grid.pixel))
    detected += grain * np.sqrt(detected)
    depth = np.log(np.maximum(detected, 0.008)) * np.float32(-1 / 1.6)
    depth += exposure.cutoff * grid.col + exposure.heel * grid.row
    if style.crisp:
        depth += np.float32(style.crisp) * (depth - wide_blur(depth, 0.075, grid))
    if style.local:
        large = wide_blur(depth, 0.35, grid)
        depth -= np.float32(style.local) * (large - np.float32((scale[0] + scale[1]) / 2))
    low, high = scale
    span = (high - low) * exposure.contrast
    middle = np.float32((low + high) / 2 - exposure.level * span)
    level = (depth - middle) * np.float32(0.58 / span) + np.float32(0.57)
    film = 1 / (1 + np.exp(-4.4 * (level - 0.5)))  # the curve is linear (toe 0) to film (toe 1)
    curve = (1 - style.toe) * level + style.toe * ((film - 0.08) * np.float32(1 / 0.84))
    return _finish(unit(curve) ** np.float32(exposure.gamma), exposure, grid)


def _finish(tone: Array, exposure: Exposure, grid: Grid) -> Array:
    """Add collimation, side marker and note; (S, S) uint8."""
    left, right, top, bottom = exposure.borders
    left, right = left + exposure.bars, right + exposure.bars
    line = replace(grid, pixel=2 / len(grid.row))
    if left or right:
        tone = tone * edge(np.minimum(grid.col + 1 - 2 * left, 1 - 2 * right - grid.col), 0.003, line)
    if top or bottom:
        tone = tone * edge(np.minimum(grid.row + 1 - 2 * top, 1 - 2 * bottom - grid.row), 0.003, line)
    _mark(tone, exposure)
    gray: Array = (tone * 255 + np.float32(0.5)).astype(np.uint8)
    return gray


def _mark(tone: Array, exposure: Exposure) -> None:
    """Blend in L at the patient's left (right in the image) or R at the right, and the note, in place."""
    x, y = exposure.marker_at
    style = STYLES[exposure.site].letter
    dot = {"plain": 0.014, "boxed": 0.010, "ring": 0.011}[style]
    side = -1 if exposure.marker == "R" else 1
    if exposure.marker:
        letter = bitmap(exposure.marker, style)
        stamp(tone, letter, side * x - letter.shape[1] * dot / 2, y, dot, 0.94)
    if exposure.note:
        text = bitmap(exposure.note, "plain")
        small = 0.0065
        wide = text.shape[1] * small
        start = min(side * x - wide / 2, 0.97 - wide)
        stamp(tone, text, max(start, -0.97), y + 0.19, small, 0.90)
