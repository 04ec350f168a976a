"""Decode image files from others safely, each into one square gray uint8 array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from benchmark.errors import DataError
from benchmark.images.gray_levels import bit_depth, luminance

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["stretch", "pad"]

FORMATS = ("PNG", "JPEG", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif")
MAX_PIXELS = 50_000_000  # five times the largest chest radiograph of the public sets; decodes into 50 MB

_MODES_8_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_REPLACE = "Replace the file by the original, or remove its record."


def inside(root: Path, name: str, where: str) -> Path:
    """Return the path of a file that a table or folder names, which must be inside ``root``.

    Args:
        root: the folder that the user gave.
        name: relative path in the table.
        where: place of the name, for errors.
    Raises:
        DataError: empty, absolute, outside ``root`` (also by a symbolic link), or not a plain file. A
            missing file is no error, since some callers allow it.
    """
    remedy = f"Name a file inside {root}, relative to it."
    if not name or "\0" in name or Path(name).is_absolute():
        raise DataError(where, f"'{name}' is not a relative file name", remedy)
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataError(where, f"'{name}' points outside the folder", remedy)
    if path.exists() and not path.is_file():
        raise DataError(where, f"'{name}' is not a file", remedy)
    return path


def read_gray(path: Path, size: int, *, fit: Fit = "stretch") -> np.ndarray:
    """Read an image file as a square of gray values; see ``decode_gray`` and ``to_square``.

    A JPEG is decoded at a half, a quarter or an eighth of its size if the result is at least three times
    ``size``; that changes it by less than a gray level on average.

    Returns:
        (size, size) uint8, 0 black to 255 white.
    Raises:
        DataError: as ``decode_gray``.
    """
    return to_square(decode_gray(path, at_least=3 * size), size, fit=fit)


def decode_gray(path: Path, *, at_least: int | None = None) -> Image:
    """Decode a PNG, a JPEG or the first frame of a GIF into 8-bit gray.

    Transparency becomes black, color becomes luminance (ITU-R 601), EXIF orientation is applied. More than 8
    bits are scaled by the smallest bit depth of ``BIT_DEPTHS`` that holds the image's maximum, so that a
    12-bit image in a 16-bit file does not turn black, and gray values stay linear.

    Args:
        at_least: shorter side in pixels to which decoding may reduce a JPEG; by default, and for other
            formats, the image keeps its size.
    Returns:
        Pillow image of mode L.
    Raises:
        DataError: missing, empty, not one of the formats, corrupt, truncated, more than
            ``MAX_PIXELS`` (refused before decoding), or of one gray value throughout.
    """
    if not path.is_file():
        raise DataError(str(path), "no such file, expected an image", _REPLACE)
    if path.stat().st_size == 0:
        raise DataError(str(path), "is empty (0 bytes), expected an image", _REPLACE)
    return _decode(path, str(path), FORMATS, at_least)


def decode_bytes(
    content: bytes, where: str, formats: tuple[str, ...] = FORMATS, *, blank: bool = False
) -> Image:
    """Decode the bytes of an image file; see ``decode_gray``.

    Args:
        where: name of the file, for errors.
        formats: Pillow's names of the admitted formats, recognized by their first bytes.
        blank: admit one gray value throughout, as in a mask.
    """
    if not content:
        raise DataError(where, "is empty (0 bytes), expected an image", _REPLACE)
    return _decode(BytesIO(content), where, formats, None, blank)


def _decode(
    source: Path | BytesIO, where: str, formats: tuple[str, ...], at_least: int | None, blank: bool = False
) -> Image:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise _too_large(where, f"{opened.width} x {opened.height}")
                if at_least and opened.format == "JPEG" and opened.mode in ("L", "RGB"):
                    opened.draft("L", (at_least, at_least))
                deep = _is_deep_color(opened)
                opened.load()
                image = _read_deep_color(source, opened.info) if deep else opened
                ImageOps.exif_transpose(image, in_place=True)
                gray = _to_gray(where, image)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(where, "over 89 million") from None  # Pillow's own limit
    except Image.UnidentifiedImageError:
        raise DataError(where, _unidentified(source, formats), _REPLACE) from None
    except Exception as error:  # on malformed files Pillow's decoders raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(where, f"is corrupt or truncated: {reason}", _REPLACE) from None
    low, high = gray.getextrema()
    if low == high and not blank:
        raise DataError(where, f"has one gray value ({low}) throughout, expected an image", _REPLACE)
    return gray


def _unidentified(source: Path | BytesIO, formats: tuple[str, ...]) -> str:
    """Return what a file is, for an error: not of these formats, or a JPEG of a kind that is not read."""
    from PIL.JpegImagePlugin import JpegImageFile

    if isinstance(source, BytesIO):
        source.seek(0)
    try:
        JpegImageFile(source)
    except SyntaxError as error:  # which Image.open leaves out, as that of 12 bits
        if "JPEG" in formats and str(error) != "not a JPEG file":
            return f"is a JPEG that cannot be read: {error}"
    return f"is not a {', '.join(formats)} image"


def to_square(gray: Image, size: int, *, fit: Fit = "stretch") -> np.ndarray:
    """Resize to a square with an antialiasing filter (Lanczos).

    Args:
        gray: Pillow image of mode L.
        size: side in pixels.
        fit: ``stretch`` ignores the aspect ratio, as in Schaudt et al. 2023, Table 4 (Resize to 224 by
            224); ``pad`` keeps it and fills both sides with black.
    Returns:
        (size, size) uint8.
    """
    from PIL import Image, ImageOps

    if fit == "pad":
        square = ImageOps.pad(gray, (size, size), method=Image.Resampling.LANCZOS, color=0)
    else:
        square = gray.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(square, dtype=np.uint8)


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Resize (N, H, W) uint8 images as ``to_square`` does; images of the size stay as they are."""
    from PIL import Image

    if images.shape[1:] == (size, size):
        return images
    squares = [to_square(Image.fromarray(np.ascontiguousarray(image)), size) for image in images]
    return np.stack(squares) if squares else np.zeros((0, size, size), np.uint8)


def _too_large(where: str, size: str) -> DataError:
    limit = f"{MAX_PIXELS // 10**6} million"
    return DataError(where, f"has {size} pixels, expected at most {limit}", "Reduce the image before use.")


def _is_deep_color(opened: Image) -> bool:
    """Return whether a PNG has 16 bits of color or transparency, of which Pillow keeps 8 (its issue 7723)."""
    raw_mode = str(opened.tile[0][3]) if opened.format == "PNG" and opened.tile else ""  # type: ignore[attr-defined]
    return raw_mode.endswith(";16B") and (opened.mode != "I;16" or "transparency" in opened.info)


def _read_deep_color(source: Path | BytesIO, info: Mapping[Any, Any]) -> Image:
    """Read a PNG of 16 bits of color or transparency as mode L, by FFmpeg; transparency becomes black.

    Args:
        info: Pillow's, for the orientation.
    """
    import av
    from PIL import Image

    content = source.getvalue() if isinstance(source, BytesIO) else source.read_bytes()
    with av.open(BytesIO(content), "r", format="png_pipe") as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode"}
        layers = next(container.decode(video=0)).to_ndarray(format="rgba64le")
    color, alpha = layers[..., :3], layers[..., 3:]
    depth = bit_depth(int((color * (alpha > 0)).max()))
    image = Image.fromarray(luminance(color * (alpha / 65535), depth))
    image.info = {key: value for key, value in info.items() if key != "transparency"}
    return image


def _to_gray(where: str, image: Image) -> Image:
    """Convert any admitted mode to L."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray(_scale_depth(where, np.asarray(image).astype(np.int64)))
    if image.mode not in _MODES_8_BIT:
        raise DataError(where, f"has pixel mode {image.mode}, expected gray or color", _REPLACE)
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        layered = image.convert("RGBA")
        black = Image.new("RGBA", layered.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layered).convert("L")
    if image.mode in ("P", "CMYK"):
        image = image.convert("RGB")
    return image.convert("L")


def _scale_depth(where: str, values: np.ndarray) -> np.ndarray:
    """Scale (H, W) integers to uint8 by the smallest bit depth that holds their maximum."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**16:
        raise DataError(where, f"has values in [{low}, {high}], expected at most 16 bits", _REPLACE)
    return np.round(values * (255 / (2 ** bit_depth(high) - 1))).astype(np.uint8)
