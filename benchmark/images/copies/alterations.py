"""Alterations that hide a copy, as planted to measure which of them the detector finds."""

import io
from collections.abc import Callable

import numpy as np

Draw = np.random.Generator


def altered(kind: str, images: np.ndarray, others: np.ndarray, rng: Draw) -> np.ndarray:
    """Return (N, S, S) uint8 images altered by a kind of ``KINDS``; parts are joined with ``others``."""
    return np.clip(
        np.rint(KINDS[kind](images.astype(np.float64), others.astype(np.float64), rng)), 0, 255
    ).astype(np.uint8)


def _each(
    change: Callable[[np.ndarray, Draw], np.ndarray],
) -> Callable[[np.ndarray, np.ndarray, Draw], np.ndarray]:
    return lambda images, _, rng: np.stack([change(image, rng) for image in images])


def _near(image: np.ndarray, rng: Draw) -> np.ndarray:
    """Move by at most 1/32 of the side, with other brightness and contrast and light noise."""
    from scipy.ndimage import shift

    moved = shift(image, rng.uniform(-1, 1, 2) * len(image) / 32, order=1, mode="nearest")
    other = (moved - 128) * np.exp(rng.uniform(-0.1, 0.1)) + 128 + rng.uniform(-10, 10)
    return other + rng.normal(0, rng.uniform(0, 5), image.shape)


def _gamma(image: np.ndarray, rng: Draw) -> np.ndarray:
    return 255 * (image / 255) ** np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.6))


def _contrast(image: np.ndarray, rng: Draw) -> np.ndarray:
    return (image - 128) * rng.uniform(0.5, 0.9) + 128 + rng.uniform(-20, 20)


def _affine(image: np.ndarray, matrix: np.ndarray, move: np.ndarray) -> np.ndarray:
    """Map positions around the center by a matrix and a shift in pixels; the border is repeated."""
    from scipy.ndimage import affine_transform

    center = (len(image) - 1) / 2
    offset = center - matrix @ np.array([center, center]) + move
    return affine_transform(image, matrix, offset, order=3, mode="nearest")


def _rotate(image: np.ndarray, rng: Draw) -> np.ndarray:
    angle = np.deg2rad(rng.choice([-1, 1]) * rng.uniform(3, 15))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return _affine(image, turn, np.zeros(2))


def _shift(image: np.ndarray, rng: Draw) -> np.ndarray:
    return _affine(image, np.eye(2), rng.uniform(-0.1, 0.1, 2) * len(image))


def _zoom(image: np.ndarray, rng: Draw) -> np.ndarray:
    return _affine(image, np.eye(2) * np.exp(rng.choice([-1, 1]) * rng.uniform(0.05, 0.14)), np.zeros(2))


def _crop(image: np.ndarray, rng: Draw) -> np.ndarray:
    cut = rng.uniform(0.05, 0.15)
    return _affine(image, np.eye(2) * (1 - cut), rng.uniform(-cut / 2, cut / 2, 2) * len(image))


def _blur(image: np.ndarray, rng: Draw) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, rng.uniform(0.5, 1) * len(image) / 32, mode="nearest")


def _jpeg(image: np.ndarray, rng: Draw) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(30, 70)))
    return np.asarray(Image.open(file), np.float64)


def _warp(image: np.ndarray, rng: Draw) -> np.ndarray:
    """Displace every place by at most 3 % of the side, smoothly."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    side = len(image)
    by = gaussian_filter(rng.standard_normal((2, side, side)), (0, side / 8, side / 8))
    by *= 0.03 * side / np.abs(by).max()
    return map_coordinates(image, np.mgrid[:side, :side] + by, order=1, mode="nearest")


def _blend(images: np.ndarray, others: np.ndarray, _: Draw) -> np.ndarray:
    return (images + others) / 2


def _half(images: np.ndarray, others: np.ndarray, rng: Draw) -> np.ndarray:
    """Take the left, right, upper or lower half from the others."""
    out, middle = images.copy(), images.shape[1] // 2
    for image, other in zip(out, others, strict=True):
        part = slice(None, middle) if rng.random() < 0.5 else slice(middle, None)
        place = (part, slice(None)) if rng.random() < 0.5 else (slice(None), part)
        image[place] = other[place]
    return out


def _patch(images: np.ndarray, others: np.ndarray, rng: Draw) -> np.ndarray:
    """Paste a square of half the side into the others."""
    out, part = others.copy(), images.shape[1] // 2
    for image, other in zip(images, out, strict=True):
        y, x = rng.integers(0, images.shape[1] - part + 1, 2)
        other[y : y + part, x : x + part] = image[y : y + part, x : x + part]
    return out


KINDS: dict[str, Callable[[np.ndarray, np.ndarray, Draw], np.ndarray]] = {
    "near copy": _each(_near),
    "mirrored": lambda images, _, __: images[:, :, ::-1],
    "inverted": lambda images, _, __: 255 - images,
    "gamma": _each(_gamma),
    "contrast": _each(_contrast),
    "rotated": _each(_rotate),
    "shifted": _each(_shift),
    "zoomed": _each(_zoom),
    "cropped": _each(_crop),
    "blurred": _each(_blur),
    "JPEG": _each(_jpeg),
    "warped": _each(_warp),
    "blend": _blend,
    "half": _half,
    "patch": _patch,
}
