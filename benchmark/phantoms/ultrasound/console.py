"""Scanner console: gain, dynamic range, gray map, and on-screen annotations; independent of the finding."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmark.phantoms.ultrasound import probe as us_probe
from benchmark.phantoms.ultrasound.echo import Echo
from benchmark.phantoms.ultrasound.probe import Array, Probe

_LOG = np.float32(np.log(10) / 20)


@dataclass(frozen=True)
class Console:
    """Settings of one clip.

    Attributes:
        gain: dB; slope: excess of the time gain compensation, dB per mm.
        range: dynamic range, dB; gamma: of the gray map.
        noise: amplifier noise at the surface, dB; noise_slope: its growth, dB per mm.
        persistence: lateral smoothing, scan lines.
        looks: share of the speckle contrast left by spatial compounding.
        marks: annotations beside the sector.
    """

    gain: float
    slope: float
    range: float
    gamma: float
    noise: float
    noise_slope: float
    persistence: float
    looks: float
    marks: tuple[str, ...]
    seed: int


_SITES = {  # dynamic range dB, gamma, persistence, looks, probability of each mark
    "site_a": (54.0, 1.3, 0.0, 0.65, 0.08),
    "site_b": (62.0, 1.6, 0.8, 0.42, 0.22),
    "site_c": (50.0, 1.25, 0.4, 0.85, 0.12),
}
AUTO_GAIN, REFERENCE = 0.8, -33.0  # share of the mean level's deviation that auto gain corrects; target, dB
MARKS = ("ruler", "logo", "focus", "text")


def sample_console(rng: np.random.Generator, site: str) -> Console:
    """Sample the settings of a clip; each site has one scanner."""
    span, gamma, persistence, looks, chance = _SITES[site]
    return Console(
        gain=float(rng.normal(-1, 3)),
        slope=float(rng.normal(-0.02, 0.03)),
        range=float(span + rng.normal(0, 4)),
        gamma=float(gamma * np.exp(rng.normal(0, 0.12))),
        noise=float(rng.normal(-62, 4)),
        noise_slope=float(rng.uniform(0.0, 0.12)),
        persistence=persistence,
        looks=float(looks * rng.uniform(0.85, 1.05)),
        marks=tuple(m for m in MARKS if rng.random() < chance),
        seed=int(rng.integers(2**31)),
    )


def compress(echo: Echo, speckle: Array, console: Console, probe: Probe) -> Array:
    """Apply envelope detection, time gain compensation, log compression and gray map.

    Args:
        speckle: (2, SAMPLES, LINES) of :func:`us_probe.speckle`.
    Returns:
        (SAMPLES, LINES) float32 in 0..1.
    """
    depth = us_probe.depths(probe)
    spread = np.exp(_LOG * echo.diffuse) * echo.through
    noise = np.exp(2 * _LOG * (console.noise + console.noise_slope * depth))
    real = speckle[0] * spread + echo.specular
    imaginary = speckle[1] * spread
    power = real * real + imaginary * imaginary + noise
    mean = spread * spread + echo.specular * echo.specular + noise
    smooth = 10 / np.log(10) * np.log(mean)
    level = (1 - console.looks) * smooth + console.looks * 10 / np.log(10) * np.log(power)
    level = level + console.gain + console.slope * depth - AUTO_GAIN * (smooth.mean() - REFERENCE)
    gray = np.minimum(np.maximum(1 + level * np.float32(1 / console.range), 0), 1) ** np.float32(
        console.gamma
    )
    if console.persistence:
        gray = gaussian_filter1d(gray, console.persistence, axis=1, truncate=2.5)
    return gray.astype(np.float32)


def write_marks(image: Array, console: Console) -> Array:
    """Add ruler, logo, focus mark and text in the margins.

    Args:
        image: (S, S) float32 in 0..1.
    """
    rng = np.random.default_rng([console.seed, 1])
    size = len(image)
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    for name in console.marks:
        image = np.maximum(image, _DRAW[name](rng, line))
    return image


def _box(line: Array, left: float, top: float, width: float, height: float) -> Array:
    """Antialiased filled rectangle."""
    pixel = 1 / len(line)

    def share(start: float, length: float) -> Array:
        low, high = np.maximum(line - pixel / 2, start), np.minimum(line + pixel / 2, start + length)
        return np.maximum(high - low, 0) / pixel

    return share(top, height)[:, None] * share(left, width)[None, :]


def _ruler(rng: np.random.Generator, line: Array) -> Array:
    left = 0.015 if rng.random() < 0.5 else 0.975
    gap, start = rng.uniform(0.05, 0.12), rng.uniform(0, 0.05)
    layer = np.zeros((len(line), len(line)), np.float32)
    for k in range(int((1 - start) / gap)):
        wide = 0.016 if k % 5 == 0 else 0.008
        layer += _box(line, left - wide / 2, start + k * gap, wide, 0.006)
    return 0.8 * np.minimum(layer, 1)


def _logo(rng: np.random.Generator, line: Array) -> Array:
    x, y = (0.05 if rng.random() < 0.7 else 0.92), rng.uniform(0.02, 0.06)
    radius = rng.uniform(0.015, 0.03)
    away = np.sqrt((line[None, :] - x - radius) ** 2 + (line[:, None] - y - radius) ** 2)
    soft = 1 / len(line)
    ring = np.clip((radius - away) / soft + 0.5, 0, 1) - np.clip((radius * 0.55 - away) / soft + 0.5, 0, 1)
    return 0.85 * ring


def _focus(rng: np.random.Generator, line: Array) -> Array:
    y, side = rng.uniform(0.2, 0.7), rng.random() < 0.5
    x = 0.03 if side else 0.97
    inside = 0.02 - np.abs(line[:, None] - y) - np.abs(line[None, :] - x)
    return 0.7 * np.clip(inside * len(line) + 0.5, 0, 1)


def _text(rng: np.random.Generator, line: Array) -> Array:
    layer = np.zeros((len(line), len(line)), np.float32)
    left, top = (0.02 if rng.random() < 0.5 else 0.8), (0.93 if rng.random() < 0.6 else 0.1)
    for row in range(int(rng.integers(1, 3))):
        for letter in range(int(rng.integers(3, 9))):
            x, y = left + 0.02 * letter, top + 0.03 * row
            layer += _box(line, x, y, 0.004, 0.018) + _box(
                line, x, y + rng.choice([0.0, 0.008, 0.015]), 0.012, 0.004
            )
    return 0.75 * np.minimum(layer, 1)


_DRAW = {"ruler": _ruler, "logo": _logo, "focus": _focus, "text": _text}
