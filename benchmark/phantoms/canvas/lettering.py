"""Bitmap font of the markers that technicians place on a radiograph."""

from functools import lru_cache

import numpy as np

_ROWS = {
    " ": "00000 00000 00000 00000 00000 00000 00000",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110",
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "N": "10001 11001 10101 10101 10011 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "P": "11110 10001 10001 11110 10000 10000 10000",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110",
}


@lru_cache(64)
def bitmap(text: str, style: str) -> np.ndarray:
    """Bitmap of a line of capitals.

    Args:
        style: ``plain``, ``boxed`` (dark letters on a bright plate) or ``ring`` (inside a thin frame).
    Returns:
        (h, w) uint8 of 0 and 1.
    """
    glyphs = [np.array([[int(dot) for dot in row] for row in _ROWS[letter].split()]) for letter in text]
    line = np.concatenate([np.pad(glyph, ((0, 0), (0, 1))) for glyph in glyphs], 1)[:, :-1]
    if style == "plain":
        return line.astype(np.uint8)
    framed = np.pad(line, 2)
    if style == "boxed":
        return (1 - framed).astype(np.uint8)
    framed[[0, -1], 1:-1] = 1
    framed[1:-1, [0, -1]] = 1
    return framed.astype(np.uint8)
