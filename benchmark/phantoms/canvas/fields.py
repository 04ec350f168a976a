"""Soft shapes, textures and lines on a pixel grid; body units make all image sizes look alike."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from benchmark.errors import DataError

Array = np.ndarray
TEXTURE_CELLS = 72
TEXTURE_REACH = 1.35


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixel centers of one image in body units (1 unit is about 20 cm).

    Attributes:
        x, y: (S, S) float32 body coordinates; x grows to the patient's left, y downwards.
        col, row: (1, S) and (S, 1) float32 image coordinates in -1..1.
        back: (2, 2) matrix from body to image coordinates.
        shift: (2,) body coordinates of the image's center.
        pixel: width of a pixel in body units.
    """

    x: Array
    y: Array
    col: Array
    row: Array
    back: Array
    shift: Array
    pixel: float


def make_grid(size: int, *, zoom: float, angle: float, shift: tuple[float, float]) -> Grid:
    """Grid of an image of the body: ``zoom`` above 1 magnifies it, ``angle`` in radians rotates it."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    col, row = line[None, :], line[:, None]
    c, s = np.cos(angle) / zoom, np.sin(angle) / zoom
    dx, dy = shift
    x = float(c) * col - float(s) * row + dx
    y = float(s) * col + float(c) * row + dy
    back = np.array([[c, s], [-s, c]]) * zoom**2
    return Grid(x, y, col, row, back, np.array([dx, dy]), 2 / size / zoom)


def unit(values: Array) -> Array:
    """Clip to 0..1; several times faster than ``numpy.clip`` on small arrays."""
    return np.minimum(np.maximum(values, 0), 1)


def edge(distance: Array, width: float, grid: Grid) -> Array:
    """Smoothstep from 0 (outside, distance below 0) to 1, as wide as ``width`` and the pixel together."""
    soft = np.float32(2 * np.hypot(width, 0.5 * grid.pixel))
    t = unit(distance / (2 * soft) + 0.5)
    return t * t * (3 - 2 * t)


def ellipse(grid: Grid, center: tuple[float, float], axes: tuple[float, float], angle: float = 0.0) -> Array:
    """Approximate signed distance to an ellipse in body units, positive inside."""
    dx, dy = grid.x - np.float32(center[0]), grid.y - np.float32(center[1])
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    p, q = (c * dx + s * dy) / np.float32(axes[0]), (c * dy - s * dx) / np.float32(axes[1])
    return (1 - np.sqrt(p * p + q * q)) * np.float32(min(axes))


def blur(image: Array, width: float, grid: Grid) -> Array:
    """Gaussian blur with a standard deviation in body units."""
    return gaussian_filter(image, width / grid.pixel, mode="nearest", truncate=3.0)


def texture(rng: np.random.Generator, grid: Grid, scale: float, *, ridged: bool = False) -> Array:
    """Random field fixed to the body, with features of about ``scale`` body units.

    Returns:
        (S, S) float32 of mean 0 and standard deviation about 1; ridged: 0..1, a mesh of thin lines.
    """
    cell = 2 * TEXTURE_REACH / TEXTURE_CELLS
    noise = rng.standard_normal((TEXTURE_CELLS, TEXTURE_CELLS), dtype=np.float32)
    noise = gaussian_filter(noise, max(scale / cell / 2, 0.5), mode="wrap", truncate=3.0)
    noise /= noise.std()
    if ridged:
        noise = np.exp(-((noise / 0.35) ** 2))
    if grid.pixel > cell:  # average detail finer than a pixel instead of sampling it
        noise = gaussian_filter(noise, 0.4 * grid.pixel / cell, mode="wrap", truncate=3.0)
    where = np.stack([grid.y, grid.x])
    where += TEXTURE_REACH
    where /= cell
    return map_coordinates(noise, where, order=1, mode="grid-wrap", prefilter=False)


def splat(points: Array, amount: Array, width: float, grid: Grid) -> Array:
    """Bilinear splatting of lines given as dense points, blurred to ``width`` body units.

    Args:
        points: (N, 2) body coordinates (x, y).
        amount: (N,) thickness times length of each point's segment, in body units squared.
    Returns:
        (S, S) float32: the amount per area.
    """
    size = len(grid.row)
    place = ((points - grid.shift) @ grid.back.T + 1) * (size / 2) - 0.5
    inside = ((place > -1) & (place < size)).all(1)
    place, amount = place[inside], amount[inside]
    low = np.floor(place).astype(np.int64)
    part = place - low
    wide = size + 2  # a rim of one pixel receives points that lie partly outside
    first = (low[:, 1] + 1) * wide + low[:, 0] + 1
    right, down = part[:, 0], part[:, 1]
    shares = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
    where = np.concatenate([first, first + 1, first + wide, first + wide + 1])
    total = np.bincount(where, np.concatenate([s * amount for s in shares]), minlength=wide * wide)
    drawn = total.reshape(wide, wide)[1:-1, 1:-1].astype(np.float32) / np.float32(grid.pixel**2)
    return gaussian_filter(drawn, max(0.5 * width / grid.pixel, 0.35), truncate=3.0)


def polyline(corners: Array, width: float) -> tuple[Array, Array]:
    """Dense points and amounts, for :func:`splat`, along a smooth line through ``corners`` (N, 2)."""
    steps = 48
    t = np.linspace(0, len(corners) - 1, steps * (len(corners) - 1) + 1)
    k = np.minimum(t.astype(int), len(corners) - 2)
    f = (t - k)[:, None]
    before, after = corners[np.maximum(k - 1, 0)], corners[np.minimum(k + 2, len(corners) - 1)]
    a, b = corners[k], corners[k + 1]
    # Catmull-Rom spline: passes through each corner
    points = 0.5 * (2 * a + (b - before) * f + (2 * before - 5 * a + 4 * b - after) * f**2
                    + (3 * a - before - 3 * b + after) * f**3)  # fmt: skip
    length = np.hypot(*np.gradient(points, axis=0).T)
    return points, length * width


def branches(
    rng: np.random.Generator, start: Array, angles: Array, length: float, generations: int, width: float
) -> list[tuple[Array, Array]]:
    """Binary tree of branches.

    Args:
        start: (2,) or (N, 2) body coordinates of the roots.
        angles: (N,) directions of the roots, radians.
    Returns:
        One (points, amounts) per generation, for :func:`ink`; amounts scale with the square of the
        width, as the shadow of a round vessel does.
    """
    layers = []
    at = np.broadcast_to(start, (len(angles), 2))
    steps = np.linspace(0, 1, 16)
    for _ in range(generations):
        n = len(angles)
        reach = length * rng.uniform(0.7, 1.3, n)
        bend = rng.normal(0, 0.35, n)
        heading = angles[:, None] + bend[:, None] * steps
        step = reach[:, None] / len(steps)
        path = at[:, None, :] + np.stack([np.cos(heading) * step, np.sin(heading) * step], -1).cumsum(1)
        taper = width * (1 - 0.3 * steps)
        layers.append((path.reshape(-1, 2), (step * taper**2).ravel()))
        fork = rng.uniform(0.2, 0.6, (2, n)) * np.array([[1], [-1]])
        angles = (heading[:, -1] + fork).ravel()
        at = np.concatenate([path[:, -1], path[:, -1]])
        length, width = length * 0.75, width * 0.62
    return layers


def check_size(size: int, source: str) -> None:
    """Raise a DataError unless ``size`` is from 16 to 1024 pixels."""
    if not 16 <= size <= 1024:
        raise DataError(source, f"cannot draw {size} pixels", "Choose an image size from 16 to 1024.")
