"""Convex probe: scan lines in polar coordinates, speckle, scan conversion; and smooth random curves."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

Array = np.ndarray
LINES, SAMPLES = 128, 256  # scan lines and samples per line, independent of the image size
AXIAL, FINE, COARSE = 0.9, 0.8, 2.0  # standard deviations: pulse in samples, beam in scan lines


@dataclass(frozen=True)
class Probe:
    """Geometry of the sector.

    Attributes:
        radius: of the transducer's arc, mm.
        half_angle: between the middle and the last scan line, radians.
        depth: of the deepest sample below the arc, mm.
        focus: depth at which the beam is narrowest, mm.
    """

    radius: float
    half_angle: float
    depth: float
    focus: float


@dataclass(frozen=True)
class Window:
    """Field of view in mm; y is 0 at the arc's apex and grows downwards."""

    left: float
    top: float
    width: float
    height: float
    mirrored: bool


def sample_probe(rng: np.random.Generator) -> Probe:
    """Sample an abdominal convex probe: radius 45 to 65 mm, depth 80 to 150 mm."""
    depth = float(rng.uniform(80, 150))
    return Probe(
        radius=float(rng.uniform(45, 65)),
        half_angle=float(np.radians(rng.uniform(26, 37))),
        depth=depth,
        focus=float(depth * rng.uniform(0.15, 0.6)),
    )


def sample_window(rng: np.random.Generator, probe: Probe) -> Window:
    """Sample a nearly square crop as in public clips, from the whole sector to its middle."""
    full_width = 2 * (probe.radius + probe.depth) * np.sin(probe.half_angle)
    full_height = probe.depth + probe.radius * (1 - np.cos(probe.half_angle))
    share = rng.random() ** 1.3
    height = full_height * rng.uniform(0.82, 1.0) if rng.random() < 0.4 else full_height
    width = min(height, full_width) * (1 - share) + full_width * share
    side = max(width, height) if rng.random() < 0.5 else height
    width *= rng.uniform(0.9, 1.05)
    return Window(
        left=float(-width / 2 + rng.normal(0, 0.03) * full_width),
        top=float(probe.radius * (np.cos(probe.half_angle) - 1) * rng.uniform(0, 1.1) - rng.uniform(0, 2)),
        width=float(width),
        height=float(side),
        mirrored=bool(rng.random() < 0.3),
    )


def depths(probe: Probe) -> Array:
    """(SAMPLES, 1) float32 depths below the arc, mm."""
    return ((np.arange(SAMPLES, dtype=np.float32) + 0.5) * np.float32(probe.depth / SAMPLES))[:, None]


def angles(probe: Probe) -> Array:
    """(1, LINES) float32 angles of the scan lines, radians, growing to the right."""
    line = (np.arange(LINES, dtype=np.float32) + 0.5) * np.float32(2 / LINES) - 1
    return (line * np.float32(probe.half_angle))[None, :]


def white(rng: np.random.Generator) -> Array:
    """(2, SAMPLES, LINES) float32 independent scatterers of mean 0 and power 1, real and imaginary part.

    A signed square of uniform numbers is several times faster than normal numbers and has nearly their
    kurtosis (25/9). The beam sums many scatterers, so its response is normal.
    """
    drawn = rng.random((2, SAMPLES, LINES), dtype=np.float32)
    drawn -= np.float32(0.5)
    drawn *= np.abs(drawn)
    drawn *= np.float32(4 * 5**0.5)
    return drawn


def speckle(scatterers: Array, probe: Probe) -> Array:
    """Fully developed speckle: scatterers convolved with a pulse and a beam that widens away from the focus.

    The sum of many random phasors has a Rayleigh distributed modulus, whose mean is 1.91 times its standard
    deviation (Burckhardt 1978, IEEE Trans. Sonics Ultrason. 25, 1).

    Args:
        scatterers: (2, SAMPLES, LINES) of :func:`white`.
    Returns:
        (2, SAMPLES, LINES) float32, real and imaginary part, of mean power 1.
    """
    pulse = gaussian_filter1d(scatterers, AXIAL, axis=1, mode="wrap", truncate=3.0)
    fine = gaussian_filter1d(pulse, FINE, axis=2, mode="wrap", truncate=3.0)
    coarse = gaussian_filter1d(fine, COARSE, axis=2, mode="wrap", truncate=2.5)
    of_fine, of_coarse, common = _powers()
    away = np.minimum(np.abs(depths(probe) - np.float32(probe.focus)) / np.float32(0.6 * probe.depth), 1)
    one, two = (1 - away) / np.sqrt(of_fine), away / np.sqrt(of_coarse)
    power = 2 * (one**2 * of_fine + two**2 * of_coarse + 2 * one * two * common)
    return fine * (one / np.sqrt(power)).astype(np.float32) + coarse * (two / np.sqrt(power)).astype(
        np.float32
    )


@lru_cache(maxsize=1)
def _powers() -> tuple[float, float, float]:
    """Response power of the narrow and of the wide beam to white scatterers, and their covariance."""
    point = np.zeros(65)
    point[32] = 1
    pulse = gaussian_filter1d(point, AXIAL, truncate=3.0)
    fine = gaussian_filter1d(point, FINE, truncate=3.0)
    coarse = gaussian_filter1d(fine, COARSE, truncate=2.5)
    axial = float((pulse**2).sum())
    return (
        axial * float((fine**2).sum()),
        axial * float((coarse**2).sum()),
        axial * float((fine * coarse).sum()),
    )


def scan_convert(polar: Array, probe: Probe, window: Window, size: int) -> Array:
    """Convert scan lines to a sector image and average them down to pixels.

    Args:
        polar: (SAMPLES, LINES) float32.
        size: height and width of the image in pixels.
    Returns:
        (size, size) float32, 0 outside the sector.
    """
    times = -(-128 // size)  # small images are averages of a canvas of at least 128 pixels
    canvas = size * times
    pooled = 0.5 * (polar[::2] + polar[1::2]) if canvas < 200 else polar
    step = (np.arange(canvas, dtype=np.float32) + 0.5) / np.float32(canvas)
    x = window.left + window.width * (step[::-1] if window.mirrored else step)[None, :]
    y = (window.top + window.height * step + probe.radius)[:, None]
    where = np.empty((2, canvas, canvas), np.float32)
    where[0] = (np.sqrt(x * x + y * y) - probe.radius) * (len(pooled) / probe.depth) - 0.5
    where[1] = (np.arctan2(x, y) / probe.half_angle + 1) * (LINES / 2) - 0.5
    flat = map_coordinates(pooled, where, order=1, mode="constant", cval=0.0, prefilter=False)
    return _average(_average(flat, times).T, times).T


def _average(image: Array, times: int) -> Array:
    """Average groups of ``times`` rows."""
    if times == 1:
        return image
    total = image[::times].copy()
    for k in range(1, times):
        total += image[k::times]
    return total * np.float32(1 / times)


@dataclass(frozen=True, eq=False)
class Wave:
    """Smooth random curve: the sum of a few sine waves."""

    height: Array
    pace: Array
    phase: Array

    def __call__(self, x: Array | float) -> Array:
        """Values at ``x`` (any shape), standard deviation about 1."""
        turns = np.asarray(x, dtype=np.float32)[..., None] * self.pace + self.phase
        return (self.height * np.sin(turns)).sum(-1).astype(np.float32)


def wave(rng: np.random.Generator, length: float, terms: int = 5) -> Wave:
    """Sample a curve with a correlation length of about ``length``."""
    pace = 2 * np.pi / (length * rng.uniform(1.0, 3.5, terms))
    height = rng.uniform(0.5, 1.0, terms)
    height *= np.sqrt(2 / (height**2).sum())
    phase = rng.uniform(0, 2 * np.pi, terms)
    return Wave(height.astype(np.float32), pace.astype(np.float32), phase.astype(np.float32))
