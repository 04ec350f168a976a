"""Sample images of the rows: inline on the page of one run, lossless WebP files beside the site."""

import base64
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

from benchmark.reporting.leaderboards.board import Board

FOLDER = "images"  # beside index.html


def data_uri(png: bytes) -> str:
    """Encode a picture for an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def picture_name(png: bytes) -> str:
    """Return the path of a picture beside the site; the name is the hash of the PNG in the bundle."""
    return f"{FOLDER}/{hashlib.sha256(png).hexdigest()[:20]}.webp"


def pictures(boards: Iterable[Board]) -> dict[str, bytes]:
    """Return the PNG of every row with samples by the path of its file."""
    return {picture_name(row.grid): row.grid for board in boards for row in board.rows if row.grid}


def as_webp(png: bytes) -> bytes:
    """Convert a PNG without loss."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.save(buffer, "webp", lossless=True, quality=50, method=2)
    return buffer.getvalue()


def shows(path: Path, png: bytes) -> bool:
    """Return whether a file has the pixels of a PNG, whichever version of an encoder wrote it."""
    from PIL import Image

    try:
        with Image.open(path) as file, Image.open(io.BytesIO(png)) as image:
            return file.size == image.size and file.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
