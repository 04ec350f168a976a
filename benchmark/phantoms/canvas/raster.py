"""Fast drawing primitives for any image size: edges, lookup curves, textures, blurs, crops, bitmaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from benchmark.phantoms.canvas.fields import Array, Grid

TILE = 64  # cells of the periodic noise behind a texture
LOW, HIGH = -1.6, 1.6  # range of a lookup table, body units
Region = tuple[slice, slice]
EVERYWHERE: Region = (slice(None), slice(None))


def edge(distance: Array, width: float, grid: Grid) -> Array:
    """Smoothstep from 0 (outside, distance below 0) to 1, as wide as ``width`` and the pixel together.

    Faster than :func:`fields.edge`, with other rounding errors.
    """
    soft = float(np.hypot(width, 0.5 * grid.pixel))
    t: Array = distance * np.float32(0.5 / soft)
    t += np.float32(0.5)
    np.maximum(t, 0, out=t)
    np.minimum(t, 1, out=t)
    rest = t * np.float32(-2)
    rest += 3
    rest *= t
    rest *= t
    return rest


@dataclass(frozen=True, eq=False)
class LookupIndex:
    """Positions of an (S, S) coordinate in the tables of :func:`lookup`."""

    index: Array
    length: int


def lookup_index(coordinate: Array, size: int) -> LookupIndex:
    """Positions of body coordinates in a table finer than the pixels of an image of ``size``."""
    length = max(512, 2 * size)
    scaled = (coordinate - np.float32(LOW)) * np.float32(length / (HIGH - LOW))
    return LookupIndex(np.minimum(np.maximum(scaled, 0), length - 1).astype(np.int32), length)


def lookup(
    at: Sequence[float], value: Sequence[float] | Array, where: LookupIndex, smooth: float = 0.04
) -> Array:
    """Smooth curve through points, evaluated at each pixel.

    Args:
        at: ascending body coordinates of the points.
        smooth: width of the smoothing kernel, body units.
    Returns:
        (S, S) float32.
    """
    return profile(at, value, where.length, smooth).take(where.index)


def profile(at: Sequence[float], value: Sequence[float] | Array, length: int, smooth: float = 0.04) -> Array:
    """The curve of :func:`lookup` at ``length`` even steps from ``LOW`` to ``HIGH``, float32."""
    line = np.interp(_positions(length), at, value)
    kernel = _rounding(length, round(smooth, 3))
    half = len(kernel) // 2
    padded = np.concatenate([np.full(half, line[0]), line, np.full(half, line[-1])])
    return np.convolve(padded, kernel, mode="valid").astype(np.float32)


@lru_cache(16)
def _positions(length: int) -> Array:
    return LOW + (np.arange(length) + 0.5) * ((HIGH - LOW) / length)


@lru_cache(64)
def _rounding(length: int, smooth: float) -> Array:
    cell = (HIGH - LOW) / length
    half = max(1, round(2.5 * smooth / cell))
    bell = np.exp(-0.5 * (np.arange(-half, half + 1) * cell / smooth) ** 2)
    return bell / bell.sum()


def texture(rng: np.random.Generator, grid: Grid, scale: float) -> Array:
    """Random field of mean 0 and standard deviation about 1, with features of about ``scale`` body units.

    The field is fixed to the image plane. Detail finer than a pixel is averaged, not sampled.

    Returns:
        (S, S) float32.
    """
    noise = rng.standard_normal((TILE, TILE), dtype=np.float32)
    half = len(grid.row) * grid.pixel / 2
    return (
        _kernel(grid.row[:, 0], half, grid.pixel, scale)
        @ noise
        @ _kernel(grid.col[0], half, grid.pixel, scale).T
    )


def _kernel(line: Array, half: float, pixel: float, scale: float) -> Array:
    """(S, TILE) weights of the noise cells at the pixels of one axis."""
    width, cell = 0.5 * scale, 0.55 * scale
    total_width = float(np.hypot(width, 0.3 * pixel))
    away = (line * half / cell)[:, None] - np.arange(TILE, dtype=np.float32)
    away -= TILE * np.round(away / TILE)
    away *= cell / total_width
    gain = np.sqrt(cell / (width * np.sqrt(np.pi))) * width / total_width
    weights: Array = np.float32(gain) * np.exp(-0.5 * away * away)
    return weights


def reticulation(field: Array, width: float = 0.35) -> Array:
    """Reticular pattern, 0..1: thin lines at the zero crossings of a texture."""
    scaled = field * np.float32(1 / width)
    lines: Array = np.exp(-scaled * scaled)
    return lines


def wide_blur(image: Array, width: float, grid: Grid) -> Array:
    """Gaussian blur much wider than a pixel (body units), computed at a few points and interpolated."""
    size = len(grid.row)
    points = min(size, 40)
    half = size * grid.pixel / 2
    down = _gaussian_weights(size, points, width / half)
    up = _linear_weights(size, points)
    return up @ (down @ image @ down.T) @ up.T


def _gaussian_weights(size: int, points: int, width: float) -> Array:
    """(points, size) normalized Gaussian weights of the pixels around ``points`` even positions."""
    line = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    at = (np.arange(points, dtype=np.float32) + 0.5) * (2 / points) - 1
    away = (line[None] - at[:, None]) / np.float32(width)
    bell = np.exp(-0.5 * away * away)
    return bell / bell.sum(1, keepdims=True)


@lru_cache(16)
def _linear_weights(size: int, points: int) -> Array:
    """(size, points) linear interpolation from ``points`` even positions to the pixels."""
    at = np.clip((np.arange(size) + 0.5) * (points / size) - 0.5, 0, points - 1)
    columns = [np.interp(at, np.arange(points), one) for one in np.eye(points)]
    return np.stack(columns, axis=1).astype(np.float32)


def crop_grid(grid: Grid, center: tuple[float, float], reach: float) -> tuple[Region, Grid]:
    """Region and grid within ``reach`` body units of a point; both are empty outside the image."""
    size = len(grid.row)
    col, row = ((np.array(center) - grid.shift) @ grid.back.T + 1) * (size / 2) - 0.5
    wide = reach / grid.pixel + 2
    rows = slice(max(0, int(row - wide)), max(0, min(size, int(row + wide) + 2)))
    cols = slice(max(0, int(col - wide)), max(0, min(size, int(col + wide) + 2)))
    region = (rows, cols)
    part = replace(grid, x=grid.x[region], y=grid.y[region], col=grid.col[:, cols], row=grid.row[rows])
    return region, part


def stamp(image: Array, bitmap: Array, left: float, top: float, dot: float, light: float) -> None:
    """Blend a bitmap into an image in [0, 1], in place.

    Args:
        bitmap: (h, w) of 0 and 1.
        left, top: image coordinates of its corner, -1..1; dot: width of one of its dots.
        light: gray value of its ones.
    """
    size = len(image)
    down = _coverage(size, bitmap.shape[0], top, dot)
    right = _coverage(size, bitmap.shape[1], left, dot)
    rows, cols = np.flatnonzero(down.any(1)), np.flatnonzero(right.any(1))
    if not len(rows) or not len(cols):
        return
    coverage = down[rows[0] : rows[-1] + 1] @ bitmap.astype(np.float32) @ right[cols[0] : cols[-1] + 1].T
    part = image[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    part += coverage * (np.float32(light) - part)


def _coverage(size: int, dots: int, start: float, dot: float) -> Array:
    """(size, dots) share of each pixel that each dot covers, along one axis."""
    edges = np.arange(size + 1) * (2 / size) - 1
    first = start + np.arange(dots) * dot
    low = np.maximum(edges[:-1, None], first)
    high = np.minimum(edges[1:, None], first + dot)
    return (np.maximum(high - low, 0) * (size / 2)).astype(np.float32)
