"""Reads pictures from others safely: one file in, one square gray uint8 array out."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Fit = Literal["stretch", "pad"]

FORMATS = ("PNG", "JPEG", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif")
MAX_PIXELS = 50_000_000  # five times the largest chest radiograph of the public sets; decodes into 50 MB
BIT_DEPTHS = (8, 10, 12, 14, 16)  # of detectors, when a picture has more than 8 bits

_MODES_8_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_REPLACE = "Replace the file by the original, or remove its row."


def inside(root: Path, name: str, where: str) -> Path:
    """The path of a file that a table or folder names, which must lie inside ``root``.

    Args:
        root: the folder that the user gave.
        name: relative path as written in the table.
        where: place of the name, for errors.
    Raises:
        DataError: empty, absolute, outside ``root`` (also by a symbolic link), or not a plain file.
            A path where nothing is passes, since some callers may allow that.
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
    """Read a picture as a square of gray values; see ``decode_gray`` and ``to_square``.

    A JPEG is decoded at a half, a quarter or an eighth of its size, if that still is three times ``size``
    or more; the result differs by less than a gray level on average.

    Returns:
        (size, size) uint8, 0 black to 255 white.
    Raises:
        DataError: as ``decode_gray``.
    """
    return to_square(decode_gray(path, at_least=3 * size), size, fit=fit)


def decode_gray(path: Path, *, at_least: int | None = None) -> Image:
    """Decode a PNG, a JPEG or the first frame of a GIF into 8-bit gray.

    Transparency is laid on black, color becomes luminance (ITU-R 601), EXIF orientation is applied.
    More than 8 bits are scaled by the smallest bit depth of ``BIT_DEPTHS`` that holds the picture's
    maximum, so that a 12-bit picture in a 16-bit file is not read as black, and the relation
    between its gray values stays linear.

    Args:
        at_least: shorter side in pixels to which a JPEG may be reduced in decoding; without it, and for
            other formats, the picture keeps its own size.
    Returns:
        Pillow image of mode L.
    Raises:
        DataError: missing, empty, not one of the formats, corrupt, truncated, more than
            ``MAX_PIXELS`` (refused before decoding), or of one gray value throughout.
    """
    if not path.is_file():
        raise DataError(str(path), "no such file, expected a picture", _REPLACE)
    if path.stat().st_size == 0:
        raise DataError(str(path), "is empty (0 bytes), expected a picture", _REPLACE)
    return _decode(path, str(path), FORMATS, at_least)


def decode_bytes(content: bytes, where: str, formats: tuple[str, ...] = FORMATS) -> Image:
    """Decode the bytes of a picture; see ``decode_gray``.

    Args:
        where: what they are of, for errors.
        formats: Pillow's names of the formats that are admitted, told by their first bytes.
    """
    if not content:
        raise DataError(where, "is empty (0 bytes), expected a picture", _REPLACE)
    return _decode(BytesIO(content), where, formats, None)


def _decode(source: Path | BytesIO, where: str, formats: tuple[str, ...], at_least: int | None) -> Image:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise _too_large(where, f"{opened.width} x {opened.height}")
                if at_least and opened.format == "JPEG" and opened.mode in ("L", "RGB"):
                    opened.draft("L", (at_least, at_least))
                opened.load()
                ImageOps.exif_transpose(opened, in_place=True)
                gray = _to_gray(where, opened)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(where, "over 89 million") from None  # Pillow's own limit
    except Image.UnidentifiedImageError:
        raise DataError(where, f"is not a {', '.join(formats)} picture", _REPLACE) from None
    except Exception as error:  # on malformed files Pillow's decoders raise nearly anything
        reason = str(error) or type(error).__name__
        raise DataError(where, f"is corrupt or truncated: {reason}", _REPLACE) from None
    low, high = gray.getextrema()
    if low == high:
        raise DataError(where, f"has one gray value ({low}) throughout, expected a picture", _REPLACE)
    return gray


def to_square(gray: Image, size: int, *, fit: Fit = "stretch") -> np.ndarray:
    """Resize to a square with an antialiasing filter (Lanczos).

    Args:
        gray: Pillow image of mode L.
        size: side in pixels.
        fit: ``stretch`` ignores the aspect ratio, as in Schaudt et al. 2023, Table 4 (Resize to 224 by
            224); ``pad`` keeps it and fills up with black on both sides.
    Returns:
        (size, size) uint8.
    """
    from PIL import Image, ImageOps

    if fit == "pad":
        square = ImageOps.pad(gray, (size, size), method=Image.Resampling.LANCZOS, color=0)
    else:
        square = gray.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(square, dtype=np.uint8)


def _too_large(where: str, size: str) -> DataError:
    limit = f"{MAX_PIXELS // 10**6} million"
    return DataError(where, f"has {size} pixels, expected at most {limit}", "Reduce the picture before use.")


def _to_gray(where: str, picture: Image) -> Image:
    """Any admitted mode to L."""
    from PIL import Image

    if picture.mode.startswith("I"):
        return Image.fromarray(_scale_depth(where, np.asarray(picture).astype(np.int64)))
    if picture.mode not in _MODES_8_BIT:
        raise DataError(where, f"has pixel mode {picture.mode}, expected gray or color", _REPLACE)
    if "transparency" in picture.info or picture.mode in ("LA", "PA", "RGBA"):
        layered = picture.convert("RGBA")
        black = Image.new("RGBA", layered.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layered).convert("L")
    if picture.mode in ("P", "CMYK"):
        picture = picture.convert("RGB")
    return picture.convert("L")


def _scale_depth(where: str, values: np.ndarray) -> np.ndarray:
    """(H, W) integers to uint8 by the smallest bit depth that holds their maximum."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= 2**16:
        raise DataError(where, f"has values in [{low}, {high}], expected at most 16 bits", _REPLACE)
    depth = next(b for b in BIT_DEPTHS if high < 2**b)
    return np.round(values * (255 / (2**depth - 1))).astype(np.uint8)
