"""Thirty ways to alter (N, S, S) uint8 images that a submitter may try, each at a stated strength."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from benchmark.images.copies.alterations import altered


def affine(
    images: np.ndarray, degrees: float = 0, zoom: float = 1, down: float = 0, right: float = 0
) -> np.ndarray:
    """Rotate, magnify and move (pixels of 32) around the center; the border is repeated."""
    angle, side = np.deg2rad(degrees), images.shape[1]
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / zoom
    center = np.full(2, (side - 1) / 2)
    offset = center - matrix @ center + np.array([down, right]) * side / 32
    return np.stack([ndimage.affine_transform(i, matrix, offset, order=1, mode="nearest") for i in images])


def saved(images: np.ndarray, quality: int) -> np.ndarray:
    """Save as JPEG and read again."""
    out = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        out.append(np.asarray(Image.open(file)))
    return np.stack(out)


def filtered(images: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Change every image as a picture of Pillow."""
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def noisy(images: np.ndarray, sd: float) -> np.ndarray:
    """Add Gaussian noise of ``sd`` gray values."""
    return np.clip(images + np.random.default_rng(0).normal(0, sd, images.shape), 0, 255).astype(np.uint8)


def toned(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change gray values between 0 and 1."""
    return np.clip(255 * change(images / 255), 0, 255).astype(np.uint8)


def as_planted(kind: str) -> Callable[[np.ndarray], np.ndarray]:
    """Alter as the gate's planted copies, parts joined with the next image."""
    return lambda images: altered(kind, images, np.roll(images, 1, 0), np.random.default_rng(0))


def smaller(picture: Image.Image) -> Image.Image:
    """Reduce to three quarters, and enlarge again."""
    side = picture.width
    return picture.resize((side * 3 // 4,) * 2, Image.Resampling.BILINEAR).resize(
        (side,) * 2, Image.Resampling.BICUBIC
    )


ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "one gray value brighter": lambda i: np.minimum(i, 254) + np.uint8(1),
    "brightness + 25": lambda i: toned(i, lambda v: v + 0.1),
    "contrast x 0.7": lambda i: toned(i, lambda v: 0.7 * (v - 0.5) + 0.5),
    "gamma 0.6": lambda i: toned(i, lambda v: v**0.6),
    "gamma 1.6": lambda i: toned(i, lambda v: v**1.6),
    "inverted": lambda i: 255 - i,
    "mirrored": lambda i: i[:, :, ::-1],
    "upside down": lambda i: i[:, ::-1],
    "moved by 1/32": lambda i: affine(i, right=1),
    "moved by 2/32": lambda i: affine(i, down=2),
    "moved by 3/32": lambda i: affine(i, down=-2, right=2),
    "rotated by 2 degrees": lambda i: affine(i, 2),
    "rotated by 4 degrees": lambda i: affine(i, -4),
    "rotated by 8 degrees": lambda i: affine(i, 8),
    "rotated by 15 degrees": lambda i: affine(i, -15),
    "enlarged by 5 %": lambda i: affine(i, zoom=1.05),
    "enlarged by 15 %": lambda i: affine(i, zoom=1.15),
    "reduced by 10 %": lambda i: affine(i, zoom=0.9),
    "noise of 4 gray values": lambda i: noisy(i, 4),
    "noise of 10 gray values": lambda i: noisy(i, 10),
    "blurred by 1/32": lambda i: np.stack([ndimage.gaussian_filter(x, len(x) / 32) for x in i]),
    "sharpened": lambda i: filtered(i, lambda p: p.filter(ImageFilter.SHARPEN)),
    "median of 3 x 3": lambda i: filtered(i, lambda p: p.filter(ImageFilter.MedianFilter(3))),
    "JPEG of quality 50": lambda i: saved(i, 50),
    "reduced to 3/4 and back": lambda i: filtered(i, smaller),
    "warped by 3 %": as_planted("warped"),
    "half of another": as_planted("half"),
    "a quarter pasted into another": as_planted("patch"),
    "50:50 blend of two": as_planted("blend"),
    "mirrored, inverted, rotated, moved": lambda i: affine(255 - i[:, :, ::-1], 6, 1.05, 1, -1),
}
