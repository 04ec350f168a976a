"""Mean chroma of image files."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmark.images.color import TINTED, chroma


def saved(image: Image.Image, kind: str = "PNG") -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind)
    return io.BytesIO(file.getvalue())


def gray(side: int = 128) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side), np.uint8))


def test_known_colors():
    """A uniform (200, 150, 100) has a chroma of 100."""
    assert chroma(saved(Image.new("RGB", (50, 50), (200, 150, 100)))) == 100


@pytest.mark.parametrize("mode", ["L", "LA", "1", "RGB", "RGBA", "P"])
def test_gray_images_in_any_mode(mode):
    """A gray image has no chroma, whatever its mode."""
    assert chroma(saved(gray().convert(mode))) == 0


def test_gray_jpeg_in_color_mode_and_arrow():
    """JPEG noise and a small colored arrow stay below the threshold; a sepia tint does not."""
    assert chroma(saved(gray().convert("RGB"), "JPEG")) < 1
    marked = gray().convert("RGB")
    marked.paste((255, 0, 0), (4, 4, 16, 16))
    assert chroma(saved(marked)) < TINTED
    tinted = np.asarray(gray())[..., None] * np.array([1, 0.85, 0.65])
    assert chroma(saved(Image.fromarray(tinted.astype(np.uint8)))) > 2 * TINTED


def test_file_that_is_no_image():
    """NaN, since its reader reports it."""
    assert np.isnan(chroma(io.BytesIO(b"no picture")))
