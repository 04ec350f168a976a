"""Color of image files: radiographs are gray, so a tint is that of a scan, a film or a generator."""

from io import BytesIO
from pathlib import Path

import numpy as np

from benchmark.images.decoding import FORMATS, MAX_PIXELS

TINTED = 8.0  # gray values; a gray JPEG saved in color has below 1, sepia and blue film 15 and more
SIDE = 64  # pixels to which an image is averaged, so that letters and noise hardly count
_GRAY = {"1", "L", "A", "I", "F"}


def chroma(source: Path | BytesIO) -> float:
    """Return the mean over the pixels of the largest less the smallest of red, green and blue, 0 to 255.

    NaN for a file that cannot be read, which is for its reader to report.
    """
    from PIL import Image

    try:
        with Image.open(source, formats=FORMATS) as opened:
            if set(opened.getbands()) <= _GRAY:
                return 0.0
            if opened.width * opened.height > MAX_PIXELS:
                return float("nan")
            opened.draft("RGB", (SIDE, SIDE))
            layered = opened.convert("RGBA")
            black = Image.new("RGBA", layered.size, (0, 0, 0, 255))
            shown = Image.alpha_composite(black, layered).convert("RGB")
            small = np.asarray(shown.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    except Exception:  # on malformed files Pillow's decoders raise nearly anything
        return float("nan")
    return float(np.ptp(small, axis=2).mean())
